"""Work over processes: every result once, and errors instead of hangs."""

from __future__ import annotations

import os
import signal

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


def test_a_shard_is_a_number_of_a_count():
    assert parse_shard("") == (1, 1)
    assert parse_shard("2/8") == (2, 8)
    for text in ("0/4", "5/4", "2", "a/b", "/", "1/0", "-1/2"):
        with pytest.raises(AetherError, match="I from 1 to N"):
            parse_shard(text)
