"""Work over processes: every result once, and errors instead of hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest

from aether_lite.errors import AetherError
from aether_lite.parallel import parse_shard, run_parallel


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise AetherError(f"{number} is refused")


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_an_error():
    with pytest.raises(AetherError, match="worker process was killed"):
        list(run_parallel(die, [1, 2], 2))


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_is_done_once(jobs):
    variables = dict(os.environ)
    assert sorted(run_parallel(square, range(20), jobs)) == [number * number for number in range(20)]
    assert dict(os.environ) == variables


@pytest.mark.parametrize("jobs", [1, 2])
def test_errors_of_a_task_pass_unchanged(jobs):
    with pytest.raises(AetherError, match=r"^[01] is refused$"):
        list(run_parallel(refuse, range(2), jobs))


def refuse_or_wait(number: int) -> None:
    time.sleep(0 if number else 600)
    refuse(number)


def test_a_task_that_failed_ends_the_others():
    with pytest.raises(AetherError, match=r"^1 is refused$"):
        list(run_parallel(refuse_or_wait, range(2), 2))
    for worker in active_children():
        worker.join(60)
        assert worker.exitcode is not None


PROGRAM = """
import atexit, sys, aether_lite.cli.main as program
class Costly:
    def __del__(self):
        print("taken apart")
sys.costly = Costly()
atexit.register(print, "cleared up")
program.program()
"""


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["info", "missing.safetensors"], 1), (["--no"], 2)])
def test_the_program_ends_without_taking_its_objects_apart(words, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stdout.endswith("cleared up\n")
    assert "taken apart" not in done.stdout
    assert "aether-lite" in done.stdout + done.stderr


def test_a_shard_is_a_number_of_a_count():
    assert parse_shard("") == (1, 1)
    assert parse_shard("2/8") == (2, 8)
    for text in ("0/4", "5/4", "2", "a/b", "/", "1/0", "-1/2"):
        with pytest.raises(AetherError, match="I from 1 to N"):
            parse_shard(text)
