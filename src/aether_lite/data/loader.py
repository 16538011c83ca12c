"""Batches made ahead of their step, in order, by other processes."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from aether_lite.errors import AetherError
from aether_lite.parallel import follow_parent, interrupts_kept

Batch = TypeVar("Batch")
AHEAD = 2  # batches that each worker keeps ready
DEAD_WORKER = "DataLoader worker"  # in torch's error of a worker that was killed or aborted


class DeadWorkerError(AetherError):
    """A data worker was killed."""

    def __init__(self) -> None:
        super().__init__("a data worker was killed (out of memory?): use fewer workers")


class Loader(Generic[Batch]):
    """The batches of a range of steps.

    ``make(step)`` must depend on nothing but the step, and be picklable (a function of a module, a bound method, a
    ``functools.partial`` of one); its batches are then the same for any number of workers.

    Args:
        make: gives the batch of a step.
        steps: which steps, in which order.
        workers: processes that prepare batches ahead; 0 makes each when it is asked for, in this process.
        pin_memory: hand out tensors in page-locked memory, for a GPU.

    Raises:
        AetherError: stated errors of ``make``, as they are, at their step.
        DeadWorkerError: a worker was killed.
    """

    def __init__(
        self, make: Callable[[int], Batch], steps: range, *, workers: int = 0, pin_memory: bool = False
    ) -> None:
        if workers < 0:
            raise AetherError(f"a loader needs 0 workers or more, not {workers}")
        self.waited = 0.0  #: seconds in which the caller waited for data
        self._loader: DataLoader[Any] = DataLoader(
            _Steps(make, steps),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            multiprocessing_context="spawn" if workers else None,  # a fork would copy the GPU's and threads' state
            worker_init_fn=_start_worker,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # its seed is not used; the default one must not move
        )
        self._iterator: Iterator[Any] | None = None
        self._closed = False

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._closed:
            raise StopIteration
        began, batch = time.perf_counter(), None
        try:
            if self._iterator is None:
                with interrupts_kept():
                    self._iterator = iter(self._loader)
                atexit.register(self.close)  # before multiprocessing's own, which would wait for the workers
            batch = next(self._iterator)
        except RuntimeError as error:
            if DEAD_WORKER in str(error):
                raise DeadWorkerError from error
            raise
        finally:
            self.waited += time.perf_counter() - began
            if batch is None or isinstance(batch, AetherError):
                self.close()
        if isinstance(batch, AetherError):
            raise batch
        made: Batch = batch
        return made

    def close(self) -> None:
        """End the workers, however they end; no batch follows."""
        self._closed = True
        atexit.unregister(self.close)
        # Not left to the garbage collector: a traceback may hold the iterator, and the workers ignore signals.
        shut_down = getattr(self._iterator, "_shutdown_workers", None)
        self._iterator = None
        if shut_down is not None:
            try:
                shut_down()
            except RuntimeError as error:
                if DEAD_WORKER not in str(error):  # one that dies while it is ended: no batch is missed
                    raise

    def __enter__(self) -> Loader[Batch]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Steps(Dataset[Any]):
    """Batches by place; a stated error is handed over instead of raised, so that its message stays one line."""

    def __init__(self, make: Callable[[int], Any], steps: range) -> None:
        self._make, self._steps = make, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> Any:
        try:
            return self._make(self._steps[index])
        except AetherError as error:
            return error.with_traceback(None)


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_: int) -> None:
    """One thread; Ctrl-C is the trainer's business, SIGTERM ends the worker, and so does the end of the trainer.

    A worker that dies of a signal raises an error in the trainer wherever that stands, one that exits with 0 where the
    trainer asks for the next batch: what a signal to both leaves is whole.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    follow_parent()  # torch's own watch takes the process that adopts a worker for its parent
