"""Commands killed at random moments come to the same end, to the bit, and leave nothing half-written."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from kill_runs import FOLDER, run_and_kill

from aether_lite.bench.cache import CACHE_FILES
from aether_lite.data.index import read_index
from aether_lite.lines import read_lines
from aether_lite.training.checkpoint import BEST, load_checkpoint, newest
from aether_lite.training.run_logger import LOG, read_log

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts commands by a fork")
SAMPLES = Path(str(files("aether_lite") / "assets" / "samples"))
OF_THE_START = ("config", "file_metadata", "lr")  # name the folder and the commit; each step sets its rate anew
COMMON = ["--batch", "4", "--warmup", "2", "--save_every", "1", "--validate_every", "3", "--no-tensorboard"]
CODEC = ["--preset", "tiny", "--steps", "5", "--stage_borders", "99", "99", "99", "--frames", "48",
         "--audio_frames", "24", "--lambda_wave", "0", "--lambda_adv", "0", "--estoi_clips", "0"]  # fmt: skip
VOCODER = ["--frames", "9", "--adversarial_batch", "2", "--adversarial_frames", "10", "--spectral_steps", "2",
           "--adversarial_steps", "2", "--discriminator_steps", "1", "--spectrogram_sizes", "64", "--valid_clips", "1",
           "--no-captured"]  # fmt: skip
PLUGIN = """
import time
from aether_lite.baselines.registry import SYSTEMS, Facts, Outcome
class Slow:
    name, title, fingerprint, facts = "slow", "slow", "1", Facts(1.0, "none")
    def offers(self, condition): return True
    def transmit(self, clip, condition, seed, audio):
        time.sleep(0.05)
        return Outcome(clip.features + 0.01 * condition.snr_db, None, 1)
SYSTEMS["slow"] = Slow
"""


def many(*values: object) -> object:
    """A case of the slow tests, in which 50 runs are killed in all."""
    return pytest.param(*values, marks=pytest.mark.slow)


def content(value: object) -> list[object]:
    """What a checkpoint or a record of it holds, in order; tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return [value.contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else value.item()]
    if isinstance(value, dict):
        return [part for key, one in value.items() if key not in OF_THE_START for part in (key, *content(one))]
    if isinstance(value, list | tuple):
        return [part for one in value for part in content(one)]
    return [value]


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize(
    ("command", "options", "kills"),
    [("train", CODEC, 1), many("train", CODEC, 15), many("train", [*CODEC, "--workers", "1"], 5),
     many("train-vocoder", VOCODER, 10)],
    ids=["train", "train-more", "train-workers", "train-vocoder"],
)  # fmt: skip
def test_training(data_root: Path, tmp_path: Path, command: str, options: list[str], kills: int) -> None:
    arguments = [command, "--data_root", str(data_root), *COMMON, *options, "--out", FOLDER]
    whole, *killed = run_and_kill(arguments, tmp_path, kills)
    last = newest(whole)
    assert killed
    assert last is not None
    for folder in killed:
        for name in (last.name, BEST):
            assert content(load_checkpoint(folder / name)) == content(load_checkpoint(whole / name))
        for weights in whole.glob("*.safetensors"):
            assert (folder / weights.name).stat().st_size == weights.stat().st_size
        steps = [[(row["step"], row.get("total"), row.get("valid")) for row in read_log(one / LOG)]
                 for one in (folder, whole)]  # fmt: skip
        assert steps[0] == steps[1]
        assert left(folder) == []


@pytest.mark.parametrize(("kills", "jobs"), [(1, 1), many(5, 1), many(5, 2)])
def test_prepare(tmp_path: Path, kills: int, jobs: int) -> None:
    whole, *killed = run_and_kill(["prepare", str(SAMPLES), FOLDER, "--jobs", str(jobs), "--quiet"], tmp_path, kills)
    pairs = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.*") if path.suffix != ".jsonl"}
    assert len(pairs) == 12
    for folder in killed:
        found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".jsonl"}
        assert found == pairs
        assert read_index(folder) == read_index(whole)


@pytest.mark.parametrize(("kills", "shard"), [(1, "1/2"), many(10, "")])
def test_bench(tmp_path: Path, kills: int, shard: str) -> None:
    """A shard writes its results alone; the whole draws pictures too, which takes seconds."""
    (tmp_path / "slow.py").write_text(PLUGIN)
    grid = ["--rate", "1000,300", "--snr", "0,10", "--channel", "awgn", "--clips", "2", "--audio-clips", "0"]
    run = ["bench", "--plugin", str(tmp_path / "slow.py"), "--system", "slow", *grid, "--seconds", "1", "--jobs", "1"]
    shards = ["--shard", shard] if shard else []
    whole, *killed = run_and_kill([*run, *shards, "--quiet", "--output", FOLDER], tmp_path, kills)
    for folder in killed:
        for name in () if shard else ("results.csv", "summary.csv"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
        ours, theirs = (
            {line["key"]: line["record"] for path in one.rglob(CACHE_FILES) for line in read_lines(path)}
            for one in (folder, whole)
        )
        assert ours == theirs
        assert left(folder) == []
