"""Batches made ahead: the same, in order, and never a hang."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from aether_lite.data.augment import Augmentation
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.errors import AetherError


def square(step: int) -> torch.Tensor:
    return torch.tensor([step * step])


def slow(step: int) -> int:
    time.sleep(0.05)
    return step


def fail_at_three(step: int) -> int:
    if step == 3:
        raise AetherError("clip.f32: ends before frame 7")
    return step


def break_at_three(step: int) -> float:
    return 1 / (3 - step)


def die_at_three(step: int) -> int:
    if step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step


def test_workers_give_what_the_process_itself_gives(data_root):
    corpus = Corpus([data_root], augmentation=Augmentation())
    make = functools.partial(corpus.batch_with_audio, 3, items=range(2), frames=40)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with Loader(make, range(5, 11)) as inline, Loader(make, range(5, 11), workers=2) as ahead:
        expected, given = list(inline), list(ahead)
    assert len(given) == 6
    for one, other in zip(expected, given, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert torch.equal(state, torch.get_rng_state())
    assert multiprocessing.active_children() == []


def test_waiting_is_measured():
    with Loader(slow, range(4)) as batches:
        assert list(batches) == [0, 1, 2, 3]
    assert 0.2 <= batches.waited < 1.0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stated_error_stays_one_line(workers):
    batches = Loader(fail_at_three, range(10), workers=workers)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(AetherError, match=r"^clip\.f32: ends before frame 7$"):
        next(batches)
    assert list(batches) == []
    assert multiprocessing.active_children() == []


def test_other_errors_end_the_workers():
    batches = Loader(break_at_three, range(10), workers=1)
    with pytest.raises(ZeroDivisionError):
        list(batches)
    assert multiprocessing.active_children() == []


def test_a_killed_worker_is_an_error():
    with pytest.raises(AetherError, match="a data worker was killed"):
        list(Loader(die_at_three, range(10), workers=1))


def test_leaving_early_ends_the_workers():
    with Loader(square, range(1000), workers=1) as batches:
        assert next(batches).item() == 0
    assert list(batches) == []
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX signals")
@pytest.mark.parametrize("ended", ["trainer", "worker"])
def test_a_worker_ends_with_its_trainer_and_by_sigterm(tmp_path: Path, ended: str) -> None:
    """Both hold the pipe of standard output, which closes with the last of them; a batch takes a minute."""
    script = tmp_path / "trainer.py"
    script.write_text("""
import multiprocessing, os, time
from aether_lite.data.loader import Loader

def make(step):
    if step:
        time.sleep(60)
    return os.getpid()

if __name__ == "__main__":
    with Loader(make, range(3), workers=1) as batches:
        print(next(batches), flush=True)
        next(batches)
""")
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], text=True, **quiet) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        began = time.monotonic()
        if ended == "trainer":
            process.kill()
        else:
            os.kill(worker, signal.SIGTERM)
        assert process.stdout.read() == ""
        assert time.monotonic() - began < 30


def test_a_worker_that_dies_while_it_is_ended_harms_nothing(monkeypatch):
    def aborted(_: object) -> None:
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Aborted.")

    batches = Loader(square, range(1000), workers=1)
    assert next(batches).item() == 0
    workers = batches._iterator
    end = workers._shutdown_workers
    monkeypatch.setattr(type(workers), "_shutdown_workers", aborted)
    batches.close()
    assert list(batches) == []
    monkeypatch.undo()
    end()
    assert multiprocessing.active_children() == []


def test_options_out_of_range():
    with pytest.raises(AetherError, match="workers"):
        Loader(square, range(3), workers=-1)
