"""What others bring: plugins and decoded files; shards, noises and equal energy; a run that is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_systems import NoisySystem, make_noisy

from aether_lite.audio import write_audio
from aether_lite.baselines import Clip, Condition, Outcome, System, make_system
from aether_lite.bench.cache import load_plugins
from aether_lite.bench.dataset import DataSet, Source, bundled, load_clip, open_dataset
from aether_lite.bench.grid import QUICK
from aether_lite.bench.results import Row, read_results, summarise, write_results
from aether_lite.bench.run import Plan, run
from aether_lite.bench.tables import difference_table
from aether_lite.errors import AetherError
from aether_lite.features import write_f32

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "compare.md"
SMALL = replace(QUICK, rates=(1000,), snrs_db=(0.0, 20.0), clips=2, audio_clips=0, audio_conditions=0, seconds=1.0)


def plan(*systems: str, **changes: object) -> Plan:
    return Plan(bundled().chosen(2), replace(SMALL, **changes), systems, 0, 1, make_noisy)  # type: ignore[arg-type]


def bench(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aether_lite.cli.main", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_example_of_the_page_is_a_plugin(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 35
    (tmp_path / "mine.py").write_text(code)
    axes = ("--rate", "1000", "--snr", "0,20", "--channel", "awgn", "--clips", 1, "--seconds", 1, "--audio-clips", 0)
    ran = bench("--plugin", "mine.py", "--system", "ten-symbols,codec-small", *axes, "--jobs", 2, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    rows = {(row.system, row.condition.snr_db): row.record for row in read_results(tmp_path / "bench_out/results.csv")}
    losses = [rows["ten-symbols", snr]["feature_loss"] for snr in (0.0, 20.0)]
    assert losses[0] > 2 * losses[1] > rows["codec-small", 20.0]["feature_loss"]
    assert abs(rows["ten-symbols", 20.0]["level_bias"]) < 1
    assert 0.1 < rows["ten-symbols", 20.0]["symbol_power"] < 3
    assert "| Level bias [bel] |" in (tmp_path / "bench_out/tables.md").read_text().replace("  ", " ")
    lacking = bench("--plugin", "nothing.py", folder=tmp_path)
    assert (lacking.returncode, lacking.stderr.count("\n")) == (1, 1)
    assert "nothing.py: no such plugin" in lacking.stderr


def test_a_plugin_may_bring_a_channel_and_changes_the_cache(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("from aether_lite.channels import CHANNELS, clean\nCHANNELS['loud'] = clean\n")
    load_plugins([tmp_path / "loud.py"])
    from aether_lite.channels import CHANNELS

    assert CHANNELS.pop("loud")
    made = [replace(plan("noisy-1"), plugins=plugins) for plugins in ((), (tmp_path / "loud.py",))]
    for one in made:
        run(one, tmp_path)
    assert len((tmp_path / "cache" / "results.jsonl").read_text().splitlines()) == 2 * 4


@pytest.fixture
def speech_folders(tmp_path: Path, speech: np.ndarray) -> tuple[DataSet, Path]:
    """Two clips, one in a folder below, and an empty folder for decoded files."""
    (tmp_path / "speech" / "anna").mkdir(parents=True)
    (tmp_path / "decoded" / "anna").mkdir(parents=True)
    write_audio(tmp_path / "speech" / "one.wav", speech[0][:16_000])
    write_audio(tmp_path / "speech" / "anna" / "two.wav", speech[1][:16_000])
    return open_dataset(tmp_path / "speech"), tmp_path / "decoded"


def test_decoded_files_are_scored_by_name(speech_folders: tuple[DataSet, Path], tmp_path: Path) -> None:
    dataset, folder = speech_folders
    clips = {source.name: load_clip(source) for source in dataset.sources}
    write_audio(folder / "one.flac", clips["one.wav"].speech.numpy())
    write_audio(folder / "anna" / "two.wav", 0.5 * clips["anna/two.wav"].speech.numpy())
    grid = replace(SMALL, seconds=None, audio_clips=2, audio_conditions=1, without=("wer", "cer"))
    rows = run(Plan(dataset, grid, (f"wavs:{folder}",)), tmp_path / "out")
    records = {row.clip: row.record for row in rows}
    assert {row.system for row in rows} == {"wavs-decoded"}
    assert records["one.wav"]["feature_loss"] < 1e-3
    assert records["one.wav"]["uses"] == 0
    assert records["anna/two.wav"]["feature_loss"] > 0.1  # half as loud
    assert records["anna/two.wav"]["log_mel"] == pytest.approx(np.log(2), abs=0.05)


def test_a_missing_or_wrong_file_is_an_error_before_the_work(speech_folders: tuple[DataSet, Path]) -> None:
    dataset, folder = speech_folders
    place = folder.parent
    missing = bench("speech", "--system", "wavs:decoded", folder=place)
    assert missing.stderr.endswith("decoded: holds no decoded file of the clip anna/two.wav (and of 1 more); name it "
                                   "anna/two.wav\n")  # fmt: skip
    assert missing.stderr.count("\n") == 1
    for source in dataset.sources:
        write_audio(folder / source.name, load_clip(source).speech.numpy()[:14_000])
    short = bench("speech", "--system", "wavs:decoded", folder=place)
    assert (short.returncode, short.stderr.count("\n")) == (1, 1)
    assert "decoded/anna/two.wav: lasts 0.875 s, but the clip anna/two.wav 1.000 s" in short.stderr
    assert not (place / "bench_out").exists()
    with pytest.raises(AetherError, match="no such folder of decoded files"):
        make_system("wavs:nowhere")


def test_a_vocoder_is_judged_by_its_speech(tmp_path: Path) -> None:
    clip = load_clip(bundled().sources[0], 1.0)
    system = make_system("vocoder:fargan_adversarial")
    outcome = system.transmit(clip, Condition("clean", None, 1000), 0, True)
    assert outcome.features is None
    assert outcome.audio is not None
    assert outcome.audio.shape == clip.speech.shape
    assert system.name == "vocoder-fargan_adversarial"


def written(path: Path, rows: Sequence[Row]) -> bytes:
    write_results(path, rows)
    return path.read_bytes()


@pytest.mark.parametrize("equal_energy", [False, True])
@pytest.mark.parametrize("together", [True, False])
def test_shards_merge_to_the_results_of_one_process(tmp_path: Path, together: bool, equal_energy: bool) -> None:
    """In folders of their own and in one; a result that no shard has is an error."""
    whole = plan("noisy-1", "uneven", "nothing-sent", noises=2)
    whole = replace(whole, grid=replace(whole.grid, equal_energy=equal_energy), factory=make_uneven)
    alone = written(tmp_path / "alone.csv", run(whole, tmp_path / "alone"))
    folders = [tmp_path / ("all" if together else str(number)) for number in (1, 2, 3)]
    for number, folder in enumerate(folders, 1):
        with pytest.raises(AetherError, match="results are in none of"):
            run(whole, tmp_path / "merged", merged=folders[: number - 1] or [tmp_path])
        run(replace(whole, shard=(number, 3)), folder)
    assert written(tmp_path / "merged.csv", run(whole, tmp_path / "merged", merged=folders)) == alone


def test_shards_of_the_command_merge_by_one_command(tmp_path: Path) -> None:
    axes = ("--system", "codec-small,uncoded", "--rate", 1000, "--snr", "0,10", "--channel", "awgn", "--clips", 2,
            "--audio-clips", 0, "--seconds", 1, "--jobs", 1)  # fmt: skip
    for more in (("--out", "alone"), ("--shard", "1/2", "--out", "a"), ("--shard", "2/2", "--out", "b")):
        ran = bench(*axes, *more, folder=tmp_path)
        assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "a" / "results.csv").exists()
    cut = bench("--merge", "a", "--out", "merged", folder=tmp_path)
    assert "4 of 8 results are in none of a" in cut.stderr
    ran = bench("--merge", "a", "--merge", "b", "--out", "merged", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    for name in ("results.csv", "summary.csv"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert (tmp_path / "merged" / "report.html").exists()
    assert "--shard takes I/N" in bench("--shard", "3/2", folder=tmp_path).stderr


class LoudSystem(NoisySystem):
    """Sends four times the nominal power; its noise follows Es/N0 as if the power were nominal."""

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        outcome = super().transmit(clip, condition, seed, audio)
        return replace(outcome, measured={"symbol_power": 4.0, "snr_given": condition.snr_db or 0.0})


def make_loud(name: str) -> LoudSystem:
    return LoudSystem(name, 1.0)


class UnevenSystem(NoisySystem):
    """Sends every clip with a power of its own."""

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        outcome = super().transmit(clip, condition, seed, audio)
        return replace(outcome, measured={"symbol_power": 1.0 + sum(clip.name.encode()) % 7})


def make_uneven(name: str) -> System:
    return UnevenSystem(name, 1.0) if name == "uneven" else make_noisy(name)


def test_equal_energy_counts_noise_from_the_power_sent(tmp_path: Path) -> None:
    loud = replace(plan("loud"), factory=make_loud)
    nominal = run(loud, tmp_path)
    equal = run(replace(loud, grid=replace(loud.grid, equal_energy=True)), tmp_path)
    assert [row.condition for row in equal] == [row.condition for row in nominal]
    assert {row.record["snr_given"] - (row.condition.snr_db or 0.0) for row in nominal} == {0.0}
    shifts = [row.record["snr_given"] - (row.condition.snr_db or 0.0) for row in equal]
    assert shifts == pytest.approx([-10 * np.log10(4)] * len(equal))
    assert summarise(equal)[0].value("symbol_power") == 4.0


def test_numbers_are_means_over_noises(tmp_path: Path) -> None:
    (one, *_), (three, *_) = run(plan("noisy-1"), tmp_path), run(plan("noisy-1", noises=3), tmp_path)
    assert one.record["feature_loss"] != three.record["feature_loss"]
    assert one.record["uses"] == three.record["uses"]
    assert len((tmp_path / "cache" / "results.jsonl").read_text().splitlines()) == 3 * 4  # the first noise is shared


def test_differences_are_taken_clip_by_clip(tmp_path: Path) -> None:
    from aether_lite.bench.metadata import RunMetadata, _described

    rows = run(plan("noisy-1", "noisy-2"), tmp_path)
    systems = tuple(_described(make_noisy(name)) for name in ("noisy-1", "noisy-2"))
    metadata = RunMetadata("", "", "", 0, "", 2, 2, 2.0, 0, (), "", systems)
    lines = difference_table(metadata, rows, "noisy-1").splitlines()
    value = {name: summarise(rows)[2 * index].value("feature_loss") for index, name in enumerate(("one", "two"))}
    shown = float(lines[2].split(" | ")[4].split(" [")[0])
    assert shown == pytest.approx(value["two"] - value["one"], abs=2e-3)
    assert len(lines) == 2 + 2
    with pytest.raises(AetherError, match="no system 'third' to compare with"):
        difference_table(metadata, rows, "third")


def test_joined_features_can_be_several_streams(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_f32(tmp_path / "x.f32", rng.uniform(-0.4, 0.4, (100, 20)).astype(np.float32), 20)
    parts = open_dataset(tmp_path).parted(3).sources
    clips = [load_clip(part).features for part in parts]
    assert [len(clip) for clip in clips] == [32, 32, 32]
    whole = load_clip(Source("x", (tmp_path / "x.f32",))).features
    assert torch.equal(torch.cat(clips), whole[:96])
    with pytest.raises(AetherError, match="only joined features"):
        bundled().parted(2)


SLOW = """
import time
from aether_lite.baselines import SYSTEMS, Facts, Outcome
class Slow:
    name, title, fingerprint, facts = "slow", "slow", "1", Facts(1.0, "none")
    def offers(self, condition): return True
    def transmit(self, clip, condition, seed, audio):
        time.sleep(0.2 if condition.snr_db < 5 else 60.0)
        return Outcome(clip.features, None, 1)
SYSTEMS["slow"] = Slow
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_the_results_and_ends_at_once(tmp_path: Path, jobs: int) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    axes = ("--rate", "1000,600,300", "--snr", "0,10", "--channel", "awgn", "--clips", "2", "--audio-clips", "0")
    command = [sys.executable, "-m", "aether_lite.cli.main", "bench", "--plugin", "slow.py", "--system", "slow", *axes]
    process = subprocess.Popen(
        [*command, "--seconds", "1", "--jobs", str(jobs)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    cache = tmp_path / "bench_out" / "cache" / "results.jsonl"
    deadline = time.monotonic() + 120
    while not (cache.exists() and cache.read_bytes().count(b"\n")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGINT)
    begun = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - begun < 20  # not the minute of a task under way
    assert process.returncode == 130
    assert "the same command continues" in said
    assert cache.read_bytes().count(b"\n") >= 1
