"""Work on many files by several processes, and shards of it for job arrays."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from aether_lite.errors import AetherError

Task = TypeVar("Task")
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_WAITING_TASKS = 4  # handed out ahead for each process


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parse_shard(text: str) -> tuple[int, int]:
    """Number, from 1, and count of a shard ``I/N``; (1, 1) of an empty text."""
    number, slash, count = text.partition("/")
    if not text:
        return 1, 1
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise AetherError(f"--shard takes I/N with I from 1 to N, such as 2/8, not {text!r}")
    return int(number), int(count)


def run_parallel(function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Generator[Result, None, None]:
    """``function(task)`` of every task, each as soon as it is done, in no particular order.

    Close the generator (``contextlib.closing``) where its results are not all taken: the processes end with it, while
    one left to the garbage collector holds up the end of the program until their tasks are done.

    Args:
        function: of a module, without state, so that the results do not depend on ``jobs``.
        tasks: picklable.
        jobs: processes, of one thread each; 1 works in this process, in order.

    Raises:
        AetherError: a process was killed. Exceptions of ``function`` pass unchanged.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: set[Future[Result]] = set()
    before = multiprocessing.active_children()
    with _one_thread_each(), ProcessPoolExecutor(jobs, context, _start_worker) as pool:
        try:
            while waiting or running:
                with interrupts_kept():
                    while waiting and len(running) < jobs * _WAITING_TASKS:
                        running.add(pool.submit(function, waiting.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda each: each.exception() is not None):  # no result is lost
                    yield future.result()
        except BrokenProcessPool as error:
            raise AetherError(
                "a worker process was killed (out of memory?): run the same command again, with fewer --jobs"
            ) from error
        finally:
            for worker in multiprocessing.active_children() if running else ():  # a task failed, or none is wanted more
                if worker not in before:
                    worker.terminate()  # its task may take minutes
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Numeric libraries of processes started meanwhile use one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Processes started meanwhile do not see Ctrl-C from their first instruction on; this one sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow_parent()


def follow_parent() -> None:
    """End this process as soon as the one that started it has ended; without it one whose parent was killed stays."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
