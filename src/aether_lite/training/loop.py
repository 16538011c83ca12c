"""The loop around the steps of any trainer: signals, broken partners, the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.training.distributed import Team

TROUBLE = ("gloo", "nccl", "connection closed")  # words in errors of a lost partner


class Steps(Protocol):
    """What :func:`run_steps` drives.

    Attributes:
        step: steps done.
        stopping: set to end the run after the step under way.
        team: this process among all.
    """

    step: int
    stopping: bool
    team: Team

    def train_step(self) -> Mapping[str, Tensor]:
        """One step; returns the loss parts and counts itself."""
        ...


class Finishing(Protocol):
    """What :func:`finish` ends."""

    team: Team

    def save(self) -> None:
        """Write a checkpoint."""
        ...

    def export(self) -> None:
        """Write release files."""
        ...


def run_steps(steps: Steps, count: int, after: Callable[[Mapping[str, Tensor]], None]) -> None:
    """Train until ``count`` steps are done, or until SIGINT, SIGTERM or ``stopping`` in any process.

    Args:
        steps: the trainer.
        count: where the run ends.
        after: called after every step with its loss parts: reports, validates, saves.

    Raises:
        AetherError: another process of the job has stopped.
    """
    with _stoppable(steps):
        while steps.step < count and not steps.team.agree(steps.stopping):
            try:
                parts = steps.train_step()
            except RuntimeError as error:
                if steps.team.size > 1 and any(word in str(error).lower() for word in TROUBLE):
                    raise AetherError(
                        f"process {steps.team.rank}: another process of this job has stopped at step {steps.step}; "
                        "the same command continues from the last checkpoint"
                    ) from error
                raise
            after(parts)


def finish(trainer: Finishing) -> None:
    """The end of a run: the leading process saves and exports, the others wait for it."""
    if trainer.team.leads:
        trainer.save()
        trainer.export()
    trainer.team.wait()


def finite(total: Tensor, team: Team, step: int) -> None:
    """Raise a stated error if the loss of any process is not finite."""
    if not torch.isfinite(team.total(total)):
        raise AetherError(f"the loss is not finite at step {step}: lower the learning rate")


def average_weights(average: torch.nn.Module, model: torch.nn.Module, decay: float, step: int) -> None:
    """Running average of the weights with a warm-up: early weights are forgotten fast."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)


@contextmanager
def _stoppable(steps: Steps) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        steps.stopping = True

    previous = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)
