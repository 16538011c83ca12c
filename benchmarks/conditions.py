"""What degraded recordings, unusual voices and a wrong SNR at the receiver cost.

    python benchmarks/conditions.py [SPEECH] [--manifest TSV] [--clips 12] [--seconds 5] [--seed 0]

SPEECH is a folder as ``aether-lite bench`` takes it; without it the bundled speech is measured. It needs Codec2
(Debian: ``apt install codec2``) and takes some 3 minutes of a core. The tables:

1. feature loss of symbols over AWGN if the SNR given to the receiver is wrong;
2. voiced frames whose pitch is off by more than 100 cents in bits, by their F0, in the clips as they are and played at
   :data:`SPEEDS`;
3. ESTOI up to 4 kHz by input and system. Each gets the degraded speech and is compared with it: the vocoder with
   features as they are, symbols over AWGN, bits and Codec2 without errors. Means over clips; of the difference of bits
   and Codec2 the 95 % bootstrap interval;
4. feature loss and V/UV error of the same.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from aether_lite.baselines.codec2 import CODEC2
from aether_lite.bench.dataset import bundled, load_clip, open_dataset
from aether_lite.bench.results import estimate
from aether_lite.bench.tables import markdown, with_interval
from aether_lite.channels import awgn, clean
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.features.layout import PITCH, SAMPLE_RATE, VOICED_ABOVE, VOICING, Float64, f0_from_pitch
from aether_lite.metrics import clip_feature_loss, estoi_4k, vuv_error

BIT_RATE, RATE, SNR_DB = 600, 1000, 6.0
SNRS_DB = (0.0, 6.0, 15.0)
SNR_ERRORS_DB = (-10, -6, -3, 0, 3, 6, 10)
SPEEDS = (0.6, 0.75, 1.0, 1.35, 1.8)
F0_EDGES_HZ = (62.5, 75, 90, 130, 220, 260, 460, 500.1)
OFF_OCTAVES = 100 / 1200
TELEPHONE_HZ = (300.0, 3400.0)
NARROW_RATE = 8000  # Hz
MU = 255.0


def band_limited(speech: Float64, rng: np.random.Generator) -> Float64:
    """300 to 3400 Hz, by edges of 50 Hz without phase."""
    spectrum, hz = np.fft.rfft(speech), np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
    low, high = TELEPHONE_HZ
    return np.fft.irfft(spectrum * np.interp(hz, (low - 50, low, high, high + 50), (0, 1, 1, 0)), len(speech))


def mu_law(speech: Float64, rng: np.random.Generator) -> Float64:
    """8 kHz, 8 bits of mu-law, as G.711 companding would leave it, and back to 16 kHz."""
    narrow = np.clip(soxr.resample(speech, SAMPLE_RATE, NARROW_RATE), -1, 1)
    curve = np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU)
    levels = np.rint(curve * 127) / 127
    wide = soxr.resample(np.sign(levels) * np.expm1(np.abs(levels) * np.log1p(MU)) / MU, NARROW_RATE, SAMPLE_RATE)
    return np.pad(wide, (0, max(0, len(speech) - len(wide))))[: len(speech)]


def noisy(snr_db: float) -> Callable[[Float64, np.random.Generator], Float64]:
    """Noise with the clip's own long-term spectrum added at ``snr_db`` [dB] of mean powers."""

    def degrade(speech: Float64, rng: np.random.Generator) -> Float64:
        spectrum = np.abs(np.fft.rfft(speech)) * np.exp(2j * np.pi * rng.random(len(speech) // 2 + 1))
        shaped = np.fft.irfft(spectrum, len(speech))
        return speech + shaped * np.sqrt(np.mean(speech**2) / np.mean(shaped**2)) * 10 ** (-snr_db / 20)

    return degrade


def in_room(decay_s: float, direct_db: float) -> Callable[[Float64, np.random.Generator], Float64]:
    """An exponential tail of noise that falls by 60 dB in ``decay_s`` [s], the direct sound ``direct_db`` above it."""

    def degrade(speech: Float64, rng: np.random.Generator) -> Float64:
        time = np.arange(1, round(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
        response = np.concatenate([[1.0], tail / np.sqrt(np.sum(tail**2)) * 10 ** (-direct_db / 20)])
        size = len(speech) + len(response)
        heard = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(response, size), size)[: len(speech)]
        return heard * np.sqrt(np.mean(speech**2) / np.mean(heard**2))

    return degrade


def far_field(speech: Float64, rng: np.random.Generator) -> Float64:
    """A room of 0.8 s with the direct sound 3 dB below its tail, noise at 20 dB, and 20 dB less level."""
    return 0.1 * noisy(20.0)(in_room(0.8, -3.0)(speech, rng), rng)


def clipped(speech: Float64, rng: np.random.Generator) -> Float64:
    """Cut off at a quarter of the peak, and as loud as before."""
    limit = np.abs(speech).max() / 4
    cut = np.clip(speech, -limit, limit)
    return cut * np.sqrt(np.mean(speech**2) / np.mean(cut**2))


CONDITIONS: dict[str, Callable[[Float64, np.random.Generator], Float64]] = {
    "as recorded": lambda speech, rng: speech,
    "300-3400 Hz": band_limited,
    "8 kHz mu-law": mu_law,
    "noise at 20 dB": noisy(20.0),
    "noise at 10 dB": noisy(10.0),
    "reverberant, 0.5 s": in_room(0.5, 3.0),
    "far field": far_field,
    "clipped at 1/4": clipped,
}


def decoded(bits: Codec, symbols: Codec, speech: Tensor, seed: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, features ``[1, F, 20]`` and samples ``[1, N]`` of ``speech [N]`` by vocoder, symbols and bits."""
    own = symbols.features(speech, condition=False)
    yield "vocoder", own, symbols.speak(own)
    features = symbols.decode_features(awgn(symbols.encode(speech, RATE), SNR_DB, seed=seed))
    yield "symbols", features, symbols.speak(features)
    features = bits.decode_features(clean(bits.encode(speech, BIT_RATE)))
    yield "bits", features, bits.speak(features)


def codec2(speech: Tensor) -> Tensor:
    """Speech ``[1, N]`` by Codec2 at 1300 bit/s.

    Raises:
        MissingToolError: it is not installed.
    """
    system = CODEC2["1300"]
    made = system.decode(system.encode(np.pad(speech.numpy(), (0, system.delay_samples))))[system.delay_samples :]
    return torch.from_numpy(np.pad(made, (0, max(0, len(speech) - len(made))))[: len(speech)].astype(np.float32))[None]


def degraded_tables(bits: Codec, symbols: Codec, clips: list[Tensor], seed: int) -> Iterator[str]:
    """ESTOI up to 4 kHz by condition and system; feature loss and V/UV error by condition and codec."""
    estoi_rows, feature_rows = [], []
    for name, degrade in CONDITIONS.items():
        estoi: dict[str, list[float]] = {}
        errors: dict[str, list[float]] = {}
        for number, clip in enumerate(clips):
            given = degrade(clip.double().numpy(), np.random.default_rng((seed, number)))
            speech = torch.from_numpy(np.clip(given, -1, 1)).float()
            true = symbols.features(speech, condition=False)
            for system, features, samples in decoded(bits, symbols, speech, seed + number):
                pair = features[:, : true.shape[1]], true
                estoi.setdefault(system, []).append(float(estoi_4k(samples[:, : len(speech)], speech[None])))
                errors.setdefault(f"{system}, loss", []).append(float(clip_feature_loss(*pair)))
                errors.setdefault(f"{system}, voicing", []).append(float(vuv_error(*pair)))
            estoi.setdefault("codec2", []).append(float(estoi_4k(codec2(speech), speech[None])))
        ahead = [ours - theirs for ours, theirs in zip(estoi["bits"], estoi["codec2"], strict=True)]
        systems = [f"{np.mean(estoi[system]):.3f}" for system in ("vocoder", "symbols", "bits", "codec2")]
        estoi_rows.append([name, *systems, with_interval(estimate(ahead), "estoi_4k")])
        of = ("symbols, loss", "bits, loss", "symbols, voicing", "bits, voicing")
        feature_rows.append([name, *(f"{np.mean(errors[column]):.3f}" for column in of)])
    sent, coded = f"symbols, {RATE} uses/s at {SNR_DB:g} dB", f"bits, {BIT_RATE} bit/s"
    yield markdown(
        ["ESTOI up to 4 kHz: input", "vocoder", sent, coded, "Codec2, 1300 bit/s", "bits - Codec2"], estoi_rows
    )
    head = ["input", "feature loss, symbols", "feature loss, bits", "V/UV error, symbols", "V/UV error, bits"]
    yield markdown(head, feature_rows)


def pitch_table(bits: Codec, clips: list[Tensor]) -> str:
    """Voiced frames whose pitch is off after :data:`BIT_RATE`, by their F0.

    Counted are frames whose analysed F0 is within 100 cents of the recording's, times the speed: not those that the
    analysis itself takes for another octave.
    """
    f0, off = [], []
    for clip in clips:
        recorded = bits.features(clip)[0, :, PITCH].numpy()
        for speed in SPEEDS:
            played = np.clip(soxr.resample(clip.numpy(), SAMPLE_RATE * speed, SAMPLE_RATE), -1, 1)
            true = bits.features(played)[0]
            made = bits.decode_features(clean(bits.encode(played, BIT_RATE)))[0, : len(true)]
            same = np.minimum(np.rint(np.arange(len(true)) * speed).astype(int), len(recorded) - 1)
            moved = np.abs(true[:, PITCH].numpy() - recorded[same] - np.log2(speed))
            counted = (true[:, VOICING].numpy() > VOICED_ABOVE) & (moved <= OFF_OCTAVES)
            f0.append(f0_from_pitch(true[:, PITCH].numpy())[counted])
            off.append(((made - true)[:, PITCH].abs() > OFF_OCTAVES).numpy()[counted])
    hz, wrong = np.concatenate(f0), np.concatenate(off)
    rows = []
    for low, high in itertools.pairwise(F0_EDGES_HZ):
        inside = (hz >= low) & (hz < high)
        share = f"{100 * wrong[inside].mean():.0f} %" if inside.any() else ""
        rows.append([f"{low:.0f}-{high:.0f}", str(int(inside.sum())), share])
    return markdown(["F0 [Hz]", "voiced frames", "off by more than 100 cents"], rows)


def wrong_snr_table(symbols: Codec, clips: list[Tensor], seed: int) -> str:
    """Feature loss by the true Es/N0 and the error of the one given to the receiver."""
    rows = []
    for snr_db in SNRS_DB:
        losses: list[list[float]] = []
        for number, clip in enumerate(clips):
            true = symbols.features(clip)
            received = awgn(symbols.encode_features(true, RATE), snr_db, seed=seed + number)
            noise = received.state.noise_variance
            assert noise is not None
            given = [replace(received.state, noise_variance=noise * 10 ** (-error / 10)) for error in SNR_ERRORS_DB]
            made = [symbols.decode_features(replace(received, state=state)) for state in given]
            losses.append([float(clip_feature_loss(features, true)) for features in made])
        rows.append([f"{snr_db:g} dB", *(f"{loss:.3f}" for loss in np.mean(losses, axis=0))])
    return markdown(["Es/N0", *(f"{error:+g} dB" if error else "right" for error in SNR_ERRORS_DB)], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, nargs="?", help="folder; by default the bundled speech")
    parser.add_argument("--manifest", type=Path, help="columns path and language of the clips")
    parser.add_argument("--clips", type=int, default=12, help="spread evenly; 0 for all")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip")
    parser.add_argument("--seed", type=int, default=0, help="of noise, rooms and channel")
    parser.add_argument("--bits", default="hash_small", help="hash codec")
    parser.add_argument("--symbols", default="small", help="codec of symbols")
    chosen = parser.parse_args()
    data = bundled() if chosen.speech is None else open_dataset(chosen.speech, chosen.manifest)
    sources = data.chosen(chosen.clips or None).sources
    clips = [load_clip(source, chosen.seconds).speech for source in sources]
    bits, symbols = load(chosen.bits, unit="bit/s"), load(chosen.symbols, unit="uses/s")
    print(f"{chosen.bits}, {chosen.symbols}, seed {chosen.seed}: {', '.join(source.name for source in sources)}\n")
    print(wrong_snr_table(symbols, clips, chosen.seed), flush=True)
    print("\n" + pitch_table(bits, clips), flush=True)
    for table in degraded_tables(bits, symbols, clips, chosen.seed):
        print("\n" + table)


if __name__ == "__main__":
    try:
        main()
    except AetherError as error:
        sys.exit(f"conditions: {error}")
