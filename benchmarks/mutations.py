"""Mutation test: faults that the tests must notice, put one at a time into a copy of the package.

Run: ``python benchmarks/mutations.py [WORD ...] [--list]``, where processes can fork (not on Windows).

Each mutation replaces a text that stands once in the package and runs the tests named beside it, up to the first that
falls. Words choose the mutations whose name contains one of them. In the end all tests that fell must pass on the
unchanged copy. The exit status is 1 if a mutation survives or its text is no longer found.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "aether_lite"
SOURCE = ROOT / "src" / PACKAGE
DATA = "assets"  # folder that the copy links to
FELL = 1  # pytest's exit status where a test failed
WRONG_PACKAGE = 99  # exit status where tests imported another package than the copy, or none
PRELOADED = ("hypothesis", "numba", "safetensors.torch", "scipy.stats", "soundfile", "torch")


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Attributes:
        name: what is wrong then.
        tests: below ``tests/``, with blanks between; one of them must fall.
        old, new: text that stands once in the package, and what replaces it.
    """

    name: str
    tests: str
    old: str
    new: str

    def file(self) -> Path | None:
        """The file with the text, relative to the package; None unless the text stands once in all."""
        counts = {path: path.read_text(encoding="utf-8").count(self.old) for path in SOURCE.rglob("*.py")}
        found = [path.relative_to(SOURCE) for path, count in counts.items() if count]
        return found[0] if sum(counts.values()) == 1 else None

    def problem(self) -> str | None:
        """Why it cannot be applied or judged, if it cannot."""
        if self.file() is None:
            return f"the package does not have {self.old!r} once"
        for test in self.tests.split():
            name, _, function = test.partition("::")
            path = ROOT / "tests" / name
            if not path.is_file() or (function and f"def {function}(" not in path.read_text(encoding="utf-8")):
                return f"no test {test}"
        return None


MUTATIONS = (
    # front end
    Mutation("pitch and voicing columns swapped", "features/test_reference_vectors.py",
             "PITCH = 18\nVOICING = 19", "PITCH = 19\nVOICING = 18"),
    Mutation("pitch feature half an octave high",
             "features/test_pitch_track.py::test_steady_tone_is_found_between_samples",
             "np.float64)) - 1.5", "np.float64)) - 1.0"),
    Mutation("pitch tracker decides without look-ahead",
             "features/test_pitch_track.py::test_tracker_agrees_with_probabilistic_yin",
             "TRACKER_LOOKAHEAD_FRAMES = 1", "TRACKER_LOOKAHEAD_FRAMES = 0"),
    Mutation("high-pass bypassed in the codec",
             "features/test_conditioning.py::test_dc_costs_nothing_through_the_chain",
             "np.stack([conditioned(clip) for", "np.stack([clip for"),
    Mutation("high-pass bypassed in the stream",
             "features/test_conditioning.py::test_a_stream_conditions_as_its_codec_does",
             "Conditioner() if condition else None", "None"),
    # codec
    Mutation("a convolution sees the next frame",
             "codec/test_codec_model.py::test_changing_a_frame_changes_nothing_before_its_token",
             "padded = torch.cat((state, x), dim=3)", "padded = torch.cat((state[..., 1:], x, x[..., -1:]), dim=3)"),
    Mutation("decoded clip a token late",
             "codec/test_lookahead.py::test_a_token_hears_the_one_behind_it_and_no_further",
             "dim=1)[:, late * frames :]", "dim=1)[:, : (received.values.shape[1] - late) * frames]"),
    Mutation("training compares with the token before",
             "codec/test_lookahead.py::test_training_hears_what_decoding_hears",
             "decoded[:, late * self.config.token_frames :]", "decoded[:, : image.shape[1]]"),
    Mutation("token after the end not marked as lost", "codec/test_lookahead.py",
             '"erased": True', '"erased": False'),
    Mutation("latency without the tokens that the decoder looks ahead", "codec/test_streaming_latency.py",
             "((1 + lookahead) *", "(1 *"),
    Mutation("vocoder's delay a half frame short", "codec/test_streaming_latency.py",
             "DELAY = FRAME + FRAME // 2", "DELAY = FRAME"),
    Mutation("vocoder's period truncated, not rounded",
             "vocoder/test_fargan.py::test_periods_equal_the_feature_layouts",
             "PERIOD_MAX).round()", "PERIOD_MAX)"),
    Mutation("decoded speech is silence", "test_readme_example.py",
             "synthesize(features, self.vocoder)", "0 * synthesize(features, self.vocoder)"),
    # symbols
    Mutation("equaliser turns the phase the wrong way",
             "jscc/test_jscc_mapping.py::test_the_equaliser_undoes_fading_as_far_as_noise_allows",
             "symbols = state.gain.conj()", "symbols = state.gain"),
    Mutation("I and Q swapped at the receiver",
             "jscc/test_jscc_mapping.py::test_posterior_means_are_those_of_gaussian_latents",
             "front.symbols.real, front.symbols.imag", "front.symbols.imag, front.symbols.real"),
    Mutation("posterior means take N0 for N0/2",
             "jscc/test_jscc_mapping.py::test_posterior_means_are_those_of_gaussian_latents",
             "(1 - rho) / 2 + ENERGY", "(1 - rho) + ENERGY"),
    Mutation("power of a mixed batch is that of its fastest item",
             "jscc/test_jscc_mapping.py::test_mixed_rates_in_a_batch_equal_items_alone",
             ".sum(-1) * used)", ".sum(-1) * torch.ones_like(used))"),
    Mutation("twice the power at every rate", "jscc/test_jscc_mapping.py::test_the_power_of_speech_is_1_at_every_rate",
             "torch.sqrt(count /", "torch.sqrt(2 * count /"),
    Mutation("SNR estimate with the wrong sign",
             "jscc/test_jscc_mapping.py::test_conditions_of_the_decoder_are_snr_rate_and_erasure",
             "snr_db = -10 * torch.log10(state", "snr_db = 10 * torch.log10(state"),
    Mutation("erasures hidden from the decoder",
             "jscc/test_jscc_mapping.py::test_conditions_of_the_decoder_are_snr_rate_and_erasure",
             "estimates.erased[..., None].to(", "torch.zeros_like(estimates.erased)[..., None].to("),
    Mutation("power for a target SNR interpolated over half a step",
             "jscc/test_jscc_mapping.py::test_power_is_1_for_every_told_snr",
             "_TARGET_STEP_DB = 4.0", "_TARGET_STEP_DB = 2.0"),
    # channels
    Mutation("half of the noise (N0/2 in a symbol)",
             "channels/test_channel_noise.py::test_snr_is_met_within_a_tenth_of_a_db",
             "xp.sqrt(n0)[", "xp.sqrt(n0 / 2)["),
    Mutation("noise estimate takes the pilots of one token", "channels/test_channel_state.py",
             "FRAMES_PER_SECOND / payload.token_frames)", "1 / payload.token_frames)"),
    Mutation("gain estimate gets better with noise", "channels/test_channel_state.py",
             "(n0 / pilots)", "(1 / (n0 * pilots))"),
    Mutation("Doppler spread of Watterson's channel halved", "channels/test_channel_watterson.py",
             "SPREAD_RANGE_HZ) / 2", "SPREAD_RANGE_HZ) / 4"),
    Mutation("Doppler shift of Jakes' spectrum halved", "channels/test_channel_fading.py",
             "width_hz * xp.cos", "0.5 * width_hz * xp.cos"),
    Mutation("Rician K of power taken as one of amplitude", "channels/test_channel_fading.py",
             "math.sqrt(k / (k + 1))", "(k / (k + 1))"),
    Mutation("bursts lose fewer tokens than asked", "channels/test_channel_erasure.py",
             "leave * p / (1 - p)", "leave * p"),
    Mutation("erased symbols keep their values", "channels/test_channel_erasure.py",
             'zeroed(values[0], lost[:, :, None]) if name == "values" else values[0]', "values[0]"),
    # bits
    Mutation("soft bits with the wrong sign", "channels/test_channel_binary.py",
             "ratio = 4 *", "ratio = -4 *"),
    Mutation("log-likelihood ratio of N0 for N0/2", "channels/test_channel_binary.py",
             "ratio = 4 *", "ratio = 2 *"),
    Mutation("confidence 1 - p for 1 - 2p", "channels/test_channel_binary.py",
             "cast(1 - 2 * known,", "cast(1 - known,"),
    Mutation("bit order of .aeth files reversed",
             "container/test_container_layout.py::test_first_bit_is_the_highest_of_the_first_byte",
             "per_token // 8), axis=1)", 'per_token // 8), axis=1, bitorder="little")'),
    Mutation("CRC starts at 0", "container/test_container_layout.py::test_crc_is_the_catalogued_one",
             "_CRC_START = 0xFFFF", "_CRC_START = 0"),
    Mutation("quality of soft bits inverted",
             "hash/test_hash_bottleneck.py::test_quality_of_a_token_is_the_snr_of_equal_reliability",
             "ratio = rho / (1 - rho)", "ratio = (1 - rho) / rho"),
    Mutation("latents of training not scaled to the sphere", "hash/test_hash_bottleneck.py",
             "math.sqrt(latents.shape[-1]) * F.normalize(latents, dim=-1)", "latents"),
    # losses and training
    Mutation("feature loss without voicing", "metrics/test_metric_features.py",
             "self.cepstrum + self.pitch + self.voicing", "self.cepstrum + self.pitch"),
    Mutation("pitch counts half in the feature loss", "metrics/test_metric_features.py",
             "3 * (10 / 18) * 2", "3 * (10 / 18)"),
    Mutation("audio losses dropped from the total", "training/test_codec_pass.py",
             "PassOutput(spi + wave,", "PassOutput(spi,"),
    Mutation("gradient of the GAN and of audio lost",
             "training/test_codec_pass.py::test_gradients_of_features_audio_and_gan_add_up",
             "total = spi + below +", "total = spi + below.detach() +"),
    Mutation("largest share of the GAN's gradient ignored",
             "training/test_codec_pass.py::test_gradients_of_features_audio_and_gan_add_up",
             "made, config.gan_ratio,", "made, 1.0,"),
    Mutation("decoder's semantic loss dropped", "codec/test_codec_model.py::test_every_loss_term_reaches_every_module",
             "given.mean(encoder + decoder)", "given.mean(encoder)"),
    Mutation("vocoder climbs the adversarial loss", "losses/test_loss_adversarial.py",
             "own + scale", "own - scale"),
    Mutation("discriminators push real scores to -1", "losses/test_loss_adversarial.py",
             "(1 - r.score).square()", "(1 + r.score).square()"),
    Mutation("GAN weight at the end of the third stage", "training/test_curriculum.py",
             "(0.1, 1.0)", "(0.1, 0.9)"),
    Mutation("weight of feature matching halved", "training/test_curriculum.py",
             '"feature_matching", 1.0)', '"feature_matching", 0.5)'),
    Mutation("stages begin a step late", "training/test_curriculum.py",
             "step >= border", "step > border"),
    Mutation("encoder given another SNR than the link's", "training/test_conditions.py",
             "target = quality if", "target = high if"),
    Mutation("momentum forgets all but a twentieth", "training/test_optimiser.py",
             "lerp_(value.grad, 1 - _MOMENTUM)", "lerp_(value.grad, _MOMENTUM)"),
    Mutation("audio of augmented crops a frame early",
             "data/test_data_augment.py::test_features_are_those_of_the_changed_audio",
             "speech[before * FRAME :]", "speech[max(before - 1, 0) * FRAME :]"),
    # streams, metrics, statistics
    Mutation("V/UV error counts agreement", "metrics/test_metric_pitch.py",
             "voiced_frames(decoded) != ", "voiced_frames(decoded) == "),
    Mutation("F0 in Hz an octave low", "metrics/test_metric_pitch.py",
             "LOWEST_F0 = 62.5", "LOWEST_F0 = 31.25"),
    Mutation("interval of 90 % called one of 95 %", "bench/test_bench_bootstrap.py",
             "[(1 - LEVEL) / 2, (1 + LEVEL) / 2]", "[1 - LEVEL, LEVEL]"),
    Mutation("interval of medians made of means", "bench/test_bench_bootstrap.py",
             "weight[drawn], median)", "weight[drawn], False)"),
)


class Laboratory:
    """A copy of the package in which one file at a time is changed.

    Files keep their times, so that code compiled by numba for the copy is reused from one mutation to the next. Tests
    run in forks of this process, which has loaded what they all import, and nothing of the package.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._package = folder, folder / PACKAGE
        shutil.copytree(SOURCE, self._package, ignore=shutil.ignore_patterns("__pycache__", DATA))
        (self._package / DATA).symlink_to(SOURCE / DATA)
        os.environ |= {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "numba"), "OMP_NUM_THREADS": "1"}
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a stale one could hide a change of the same size within a second
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder))
        os.chdir(ROOT)
        for name in PRELOADED:
            importlib.import_module(name)
        if PACKAGE in sys.modules:
            raise RuntimeError(f"{PACKAGE} is loaded already: its copy cannot be")

    def run(self, tests: Iterable[str], mutation: Mutation | None = None) -> tuple[int, str]:
        """Exit status of pytest, and the test that fell first or the last line of its output."""
        path = self._package / ((mutation and mutation.file()) or "__init__.py")
        text, status = path.read_text(encoding="utf-8"), path.stat()
        if mutation:
            path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        options = ["-x", "-m", "not slow", "--disable-warnings", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
        try:
            code, output = self._forked([*options, *(f"tests/{test}" for test in tests)])
        finally:
            path.write_text(text, encoding="utf-8")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        fell = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - |$)", output, re.MULTILINE)
        return code, fell[1] if fell else (output.strip().splitlines() or ["no output"])[-1]

    def _forked(self, arguments: list[str]) -> tuple[int, str]:
        """Exit status and output of pytest in a process of its own."""
        output = self._folder / "output.txt"
        sys.stdout.flush()
        if not (child := os.fork()):
            with output.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = WRONG_PACKAGE
            try:
                code = int(pytest.main(arguments))
                sys.stdout.flush()
                if Path(importlib.import_module(PACKAGE).__file__ or "").parent != self._package:
                    code = WRONG_PACKAGE
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), output.read_text(encoding="utf-8", errors="replace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 where every chosen mutation is noticed."""
    parser = argparse.ArgumentParser(description="Faults that the tests must notice.")
    parser.add_argument("words", nargs="*", help="only mutations whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="list them and check that their texts are there")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTATIONS if not options.words or any(w in m.name for w in options.words)]
    outdated = {m.name: problem for m in chosen if (problem := m.problem())}
    for name, problem in outdated.items():
        print(f"mutations: {name}: {problem}", file=sys.stderr)
    if options.list:
        for m in chosen:
            print(f"{m.name} | {m.file()} | {m.tests}")
    if options.list or outdated or not chosen:
        return int(bool(outdated) or not chosen)
    with tempfile.TemporaryDirectory() as folder:
        return _tried(Laboratory(Path(folder)), chosen)


def _tried(laboratory: Laboratory, chosen: Sequence[Mutation]) -> int:
    fallen: set[str] = set()
    survived = 0
    print("mutation | test that fell", flush=True)
    for m in chosen:
        status, line = laboratory.run(m.tests.split(), m)
        if status == FELL:
            fallen.add(line)
        else:
            survived += 1
            line = f"SURVIVED ({line})"
        print(f"{m.name} | {line}", flush=True)
    print(f"{len(chosen)} mutations, {survived} survived")
    status, line = laboratory.run(sorted(fallen)) if fallen else (0, "no test fell")
    print(f"the same tests without a mutation: {line}")
    return int(survived > 0 or status != 0)


if __name__ == "__main__":
    sys.exit(main())
