"""One loop for every task: steps, checkpoints, resume, validation, signals and broken partners.

A :class:`Task` turns batches into steps of its networks; :class:`Trainer` does the rest. Crops, conditions and noise
are functions of (seed, step, item), so a checkpoint needs weights, optimisers, the running average and the step, and
nothing else: a killed run continues to the same bits.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.errors import AetherError
from aether_lite.training.batches import Batch
from aether_lite.training.checkpoint import (
    BEST,
    check_same_run,
    load_checkpoint,
    newest,
    save_checkpoint,
    save_step,
)
from aether_lite.training.config import RunConfig
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.optimiser import restore
from aether_lite.training.provenance import data_hash
from aether_lite.training.run_logger import RunLogger

MODEL = "model"  # the network whose running average is validated and exported
TROUBLE = ("gloo", "nccl", "connection closed")  # words in errors of a lost partner


@dataclass(frozen=True)
class Validation:
    """Result of one validation: the number that decides which checkpoint is best, and alarms in words."""

    score: float
    alarms: Sequence[str] = ()


class Task(ABC):
    """What is trained, and how a batch becomes a step.

    Attributes:
        config: options.
        corpus: training clips.
        context: this process among all.
        networks: by their name in a checkpoint; :data:`MODEL` and what learns beside it.
        average: running average of the model.
        optimisers: by their name in a checkpoint.
        shown: terms in the progress bar; empty for all.
    """

    networks: dict[str, nn.Module]
    average: nn.Module
    optimisers: dict[str, Optimizer]
    shown: Sequence[str] = ()

    def __init__(self, config: RunConfig, corpus: Corpus, context: DistributedContext) -> None:
        self.config, self.corpus, self.context = config, corpus, context

    @abstractmethod
    def batches(self, first: int) -> Loader[Batch]:
        """This process's batches from step ``first`` to the end."""

    @abstractmethod
    def train_step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """One step of all networks; returns its loss terms without gradient, ``total`` among them."""

    @abstractmethod
    def prepare_validation(self, valid: Corpus) -> None:
        """Keep what :meth:`validate` needs; called in the leading process alone."""

    @abstractmethod
    def validate(self, step: int, logger: RunLogger) -> Validation:
        """Measure the running average on unseen speech, and log it."""

    @abstractmethod
    def export(self, step: int) -> None:
        """Write the running average as a release file, ``config.exported``."""

    @abstractmethod
    def next_command(self) -> str:
        """What to type when the run is finished."""

    def stage_name(self, step: int) -> str:
        """Stage of a step, in words for bar and log."""
        return ""

    def learns(self, step: int) -> bool:
        """Whether the model changes in a step, so that its average does."""
        return True

    def introduction(self) -> Sequence[str]:
        """Lines to say before the first step."""
        return ()

    def extra(self) -> dict[str, Any]:
        """What else a checkpoint holds, so that it can be used as weights."""
        return {}


class Trainer:
    """One run in one folder.

    Args:
        task: at its start.
        logger: of the leading process; None in the others.
    """

    def __init__(self, task: Task, logger: RunLogger | None = None) -> None:
        self.task, self.logger = task, logger
        self.config, self.context, self.out = task.config, task.context, Path(task.config.out)
        self.step, self.best, self.stopping = 0, float("inf"), False
        self.loader: Loader[Batch] | None = None
        self.data_hash = data_hash(task.corpus)

    def train_step(self) -> dict[str, Tensor]:
        """One step; returns the loss terms.

        Raises:
            AetherError: the loss is not finite in any process.
        """
        task = self.task
        if self.loader is None:
            self.loader = task.batches(self.step)
        parts = task.train_step(next(self.loader).to(self.context.device), self.step)
        if not torch.isfinite(self.context.total(parts["total"])):
            raise AetherError(f"the loss is not finite at step {self.step}: lower the learning rate")
        if task.learns(self.step):
            average_weights(task.average, task.networks[MODEL], self.config.average, self.step)
        self.step += 1
        return parts

    def run(self) -> bool:
        """Train to the end or to a signal, saving on the way and at the end; returns whether the end is reached.

        Raises:
            AetherError: another process of the job has stopped.
        """
        steps, context = self.config.steps, self.context
        try:
            with self._stoppable():
                while self.step < steps and not context.agree(self.stopping):
                    try:
                        parts = self.train_step()
                    except RuntimeError as error:
                        if context.size > 1 and any(word in str(error).lower() for word in TROUBLE):
                            raise AetherError(
                                f"process {context.rank}: another process of this job has stopped at step {self.step}; "
                                "the same command continues from the last checkpoint"
                            ) from error
                        raise
                    self._after(parts)
            self._finish()
        finally:
            if self.loader is not None:
                self.loader.close()
        return self.step >= steps

    def _after(self, parts: Mapping[str, Tensor]) -> None:
        """Report, validate and save as due. Only the leading process writes; the others wait for it."""
        config, last, stop = self.config, self.step == self.config.steps, False
        validates = last or self.step % config.validate_every == 0
        if self.logger is not None:
            waited = self.loader.waited if self.loader else 0.0
            self.logger.step(self.step, self.task.stage_name(self.step - 1), parts, waited)
            if validates:
                found = self.task.validate(self.step, self.logger)
                for alarm in found.alarms:
                    self.logger.say(f"step {self.step}: WARNING, {alarm}")
                stop = bool(found.alarms) and getattr(config, "stop_on_collapse", False)
                if found.score < self.best:
                    self.best = found.score
                    save_checkpoint(self.out / BEST, self.content())
        if self.context.leads and (last or self.step % config.save_every == 0):
            self.save()
        if validates:
            self.stopping = self.context.agree(stop) or self.stopping

    def _finish(self) -> None:
        """Save and export in the leading process, and say what to do next; the others wait for it."""
        if self.context.leads:
            self.save()
            self.task.export(self.step)
            if self.logger is not None and self.step >= self.config.steps:
                self.logger.say(f"finished: {self.step} steps, weights in {self.config.exported}")
                self.logger.say(f"next: {self.task.next_command()}")
            elif self.logger is not None:
                self.logger.say(f"stopped at step {self.step} of {self.config.steps}; the same command continues")
        self.context.wait()

    def content(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        task = self.task
        return {
            "model": task.networks[MODEL].state_dict(),
            "average": task.average.state_dict(),
            "networks": {name: net.state_dict() for name, net in task.networks.items() if name != MODEL},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in task.optimisers.items()},
            "step": self.step,
            "stage": task.stage_name(self.step),
            "best": self.best,
            "config": self.config.as_dict(),
            "data": self.data_hash,
            **task.extra(),
        }

    def save(self) -> None:
        """Write the checkpoint of this step and delete the oldest beyond ``keep``."""
        save_step(self.out, self.step, self.content(), self.config.keep)

    def resume(self, choice: str) -> Path | None:
        """Continue from ``auto`` (the newest in the run's folder), a checkpoint file, or nothing (``none``).

        Raises:
            AetherError: a file that is no checkpoint, or one of another run.
        """
        path = newest(self.out) if choice == "auto" else None if choice == "none" else Path(choice)
        if path is None:
            return None
        content, task = load_checkpoint(path), self.task
        check_same_run(path, content, self.config, self.data_hash)
        try:
            task.average.load_state_dict(content["average"])
            for name, network in task.networks.items():
                network.load_state_dict(content["model"] if name == MODEL else content["networks"][name])
            for name, optimiser in task.optimisers.items():
                restore(optimiser, content["optimisers"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise AetherError(
                f"{path}: was written by a version whose networks had other parameters; export it there and start a "
                "new run from those weights"
            ) from error
        self.step, self.best = content["step"], content["best"]
        return path

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run after the step under way."""

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.stopping = True

        previous = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for which, handler in previous.items():
                signal.signal(which, handler)


def average_weights(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Running average of the weights with a warm-up: early weights are forgotten fast."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
