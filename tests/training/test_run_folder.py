"""The folder of a run: one process at a time, one run, a log that a kill has cut, a full disk, dying workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from vocoder_runs import new_trainer, options

from aether_lite.data.loader import DeadWorkerError
from aether_lite.errors import AetherError
from aether_lite.lines import LineWriter
from aether_lite.training import checkpoint
from aether_lite.training.checkpoint import BEST, load_checkpoint, newest, save_checkpoint, step_path
from aether_lite.training.loop import run
from aether_lite.training.run_logger import LOG, loss_curves, read_log
from aether_lite.training.vocoder_task import VocoderTask


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def used(data_root: Path, tmp_path: Path) -> Path:
    """A folder with two checkpoints."""
    trainer = new_trainer(data_root, tmp_path / "used")
    for step in (1, 2):
        trainer.step = step
        trainer.save()
    return tmp_path / "used"


@pytest.mark.parametrize("start", ["none", "older", "elsewhere", "after best"])
def test_a_folder_with_a_run_is_continued_or_refused(data_root: Path, tmp_path: Path, used: Path, start: str) -> None:
    """Else its newest checkpoint would outlive those of the new run, which the next start would leave aside."""
    resume = "none"
    if start == "older":
        resume = str(step_path(used, 1))
    elif start == "elsewhere":
        resume = str(newest(used))
        new_trainer(data_root, tmp_path / "other").save()
        used = tmp_path / "other"
    elif start == "after best":
        step_path(used, 1).unlink()
        step_path(used, 2).rename(used / BEST)
    before = files(used)
    with pytest.raises(AetherError, match=rf"^{used}: holds a run already \(.*\.pth\), .* give another --out"):
        run(VocoderTask, options(data_root, used, resume=resume))
    assert {name: data for name, data in files(used).items() if name != LOG} == before


def test_the_newest_checkpoint_may_be_named(data_root: Path, used: Path) -> None:
    assert new_trainer(data_root, used).resume(str(step_path(used, 2))) == step_path(used, 2)


def test_two_do_not_train_in_one_folder(data_root: Path, used: Path) -> None:
    before = files(used)
    with LineWriter(used / LOG), pytest.raises(AetherError, match=rf"^{used}: another process is writing {LOG}"):
        run(VocoderTask, options(data_root, used))
    assert {name: data for name, data in files(used).items() if name != LOG} == before


def test_a_log_that_a_kill_has_cut_is_read_and_drawn(tmp_path: Path) -> None:
    cut = b'{"step": 20, "sta\n[1]\n{"total": 2}\n\xff'
    (tmp_path / LOG).write_bytes(b'{"step": 10, "stage": "a", "total": 1.5}\n' + cut)
    with LineWriter(tmp_path / LOG) as lines:
        lines.add({"step": 30, "stage": "a", "total": 1.25, "spi": "?"})
    assert [row["step"] for row in read_log(tmp_path / LOG)] == [10, 30]
    loss_curves(tmp_path / LOG, tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes()[:4] == b"\x89PNG"


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "step_00000001.pth"
    save_checkpoint(path, {"model": {}, "step": 1, "config": {}})
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, before[1]))
    try:
        with pytest.raises(AetherError, match=r"step_00000001\.pth: cannot be written, the disk is full") as caught:
            checkpoint.save_checkpoint(path, {"model": {"w": torch.randn(1 << 16)}, "step": 2, "config": {}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.__cause__ is not None
    assert load_checkpoint(path)["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


class EndedWithUs:
    """A loader whose workers end with the signal that ends the run."""

    waited = 0.0

    def __next__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise DeadWorkerError

    def close(self) -> None:
        pass


def test_a_signal_that_ends_the_workers_too_saves_and_ends(data_root: Path, tmp_path: Path) -> None:
    trainer = new_trainer(data_root, tmp_path)
    trainer.step, trainer.loader = 3, EndedWithUs()  # type: ignore[assignment]
    assert not trainer.run()
    assert load_checkpoint(step_path(tmp_path, 3))["step"] == 3
