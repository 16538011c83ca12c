"""One loop for every task: steps, checkpoints, resume, validation, signals and broken partners.

A :class:`Task` turns batches into steps of its networks; :class:`Trainer` does the rest, and :func:`run` brings data,
processes and options to both, once for each stage of a recipe. Crops, conditions and noise
are functions of (seed, step, item), so a checkpoint needs weights, optimisers, the running average and the step, and
nothing else: a killed run continues to the same bits.
"""

from __future__ import annotations

import json
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aether_lite.data.augment import Augmentation
from aether_lite.data.check import check_disjoint
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import DEAD_WORKER, DeadWorkerError, Loader
from aether_lite.data.sources import AUDIO_SUFFIXES
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path, make_folder, remove_partials
from aether_lite.lines import LineWriter
from aether_lite.training import checkpoint
from aether_lite.training.distributed import DistributedContext, distributed_context
from aether_lite.training.optimiser import restore
from aether_lite.training.options import DataConfig, RunConfig
from aether_lite.training.run_logger import LOG, RunLogger

MODEL = "model"  # the network whose running average is validated and exported
OPTIONS = "config.json"
NOTHING = "none"  # to resume
HELD_OUT = 0.1  # share of the training clips that validate where no validation root is given
TROUBLE = ("gloo", "nccl", "connection closed")  # words in errors of a lost partner

Config = TypeVar("Config", bound=RunConfig)
MakeTask = Callable[[Config, Corpus, DistributedContext], "Task"]


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        history: ``[K, H, 20]``, longer stretches of the first K items that end where their ``features`` end; None
            where no codec has to be warm at the beginning of a crop.
    """

    items: tuple[int, ...]  # numbers of the crops within the step, over all processes
    features: Tensor  # ``[B, F, 20] float32``
    audio: Tensor | None = None  # ``[B, N] float32``, speech of the features' frames; None where nothing asks for it
    history: Tensor | None = None

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the loader)."""
        return self._mapped(lambda value: value.pin_memory())

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._mapped(lambda value: value.to(device, non_blocking=True))

    def _mapped(self, change: Any) -> Batch:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in tensors.items() if isinstance(value, Tensor)})


@dataclass(frozen=True)
class Validation:
    """The number that decides which checkpoint is best (the least), and alarms in words."""

    score: float
    alarms: Sequence[str] = ()


class Task(ABC):
    """What is trained on ``corpus``, and how a batch becomes a step."""

    networks: dict[str, nn.Module]  # by their name in a checkpoint; MODEL and what learns beside it
    average: nn.Module  # of the model
    optimisers: dict[str, Optimizer]  # by their name in a checkpoint
    shown: Sequence[str] = ()  # terms in the progress bar; empty for all

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

    def extra(self, step: int) -> dict[str, Any]:
        """What else a checkpoint holds, so that it can be used as weights."""
        return {}


class Trainer:
    """One run in one folder, of a task at its start; only the leading process has a logger."""

    def __init__(self, task: Task, logger: RunLogger | None = None) -> None:
        self.task, self.logger = task, logger
        self.config, self.context, self.out = task.config, task.context, Path(task.config.out)
        self.step, self.best, self.stopping = 0, float("inf"), False
        self.loader: Loader[Batch] | None = None
        self.data_hash = checkpoint.data_hash(task.corpus)

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
            self._average(task.average, task.networks[MODEL])
        self.step += 1
        return parts

    @torch.no_grad()
    def _average(self, average: nn.Module, model: nn.Module) -> None:
        """Running average of the weights with a warm-up: early weights are forgotten fast."""
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

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
                    except DeadWorkerError:
                        if self.stopping and context.size == 1:  # the same signal ended it; this step has not begun
                            break
                        raise
                    except RuntimeError as error:
                        if DEAD_WORKER in str(error):
                            raise DeadWorkerError from error
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
                    checkpoint.save_checkpoint(self.out / checkpoint.BEST, self.content())
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
            **task.extra(self.step),
        }

    def save(self) -> None:
        """Write the checkpoint of this step and delete the oldest beyond ``keep``."""
        checkpoint.save_step(self.out, self.step, self.content(), self.config.keep)

    def resume(self, choice: str) -> Path | None:
        """Continue from ``auto`` (the newest in the run's folder), a checkpoint file, or nothing (``none``).

        Raises:
            AetherError: a file that is no checkpoint, one of another run, or a folder that holds another run.
        """
        path = checkpoint.newest(self.out) if choice == "auto" else None if choice == NOTHING else Path(choice)
        if path is None:
            return None
        content, task = checkpoint.load_checkpoint(path), self.task
        checkpoint.check_same_run(path, content, self.config, self.data_hash)
        try:
            task.average.load_state_dict(content["average"])
            for name, network in task.networks.items():
                network.load_state_dict(content["model"] if name == MODEL else content["networks"][name])
            for name, optimiser in task.optimisers.items():
                restore(optimiser, content["optimisers"][name])
            self.step, self.best = content["step"], float(content["best"])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise AetherError(
                f"{path}: was written by a version whose networks had other parameters; export it there and start a "
                "new run from those weights"
            ) from error
        checkpoint.check_unused(self.out, path)
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


def run(make: MakeTask[Config], *stages: Config) -> bool:
    """Train as the options say, stage by stage; every process started by torchrun calls this.

    A stage that was finished before is not run again; one that a signal ends is the last.

    Returns:
        Whether all stages are finished.

    Raises:
        AetherError: options, data, checkpoints or folders that cannot be used, such as one in which another process
            trains.
    """
    first = stages[0]
    for config in stages:
        if config.resume == NOTHING:
            checkpoint.check_unused(Path(config.out), None)
    with distributed_context(first.distributed, first.device, first.threads) as context:
        for config in stages:
            out = Path(config.out)
            done = config.exported.exists() and checkpoint.newest(out) == checkpoint.step_path(out, config.steps)
            if not (done and len(stages) > 1) and not _run_stage(make, config, context):
                return False
    return True


def _run_stage(make: MakeTask[Config], config: Config, context: DistributedContext) -> bool:
    """One run, from data to exported weights; whether it came to its end."""
    train, valid = corpora(config)
    task = make(config, train, context)
    trainer, out = Trainer(task), Path(config.out)
    with ExitStack() as stack:
        if context.leads:
            lines = stack.enter_context(_open_log(out))
        resumed = trainer.resume(config.resume)
        if context.leads:
            task.prepare_validation(valid)
            epoch = train.frames / (config.batch * config.frames)
            logger = RunLogger(out, config.steps, trainer.step, epoch, task.shown, config.tensorboard, lines)
            stack.callback(logger.close)
            trainer.logger = logger
            with atomic_path(out / OPTIONS) as partial:
                partial.write_text(json.dumps(config.as_dict(), indent=2) + "\n")
            for line in task.introduction():
                logger.say(line)
            if resumed is not None:
                logger.say(f"continuing {resumed} at step {trainer.step}")
        context.wait()
        return trainer.run()


def _open_log(out: Path) -> LineWriter:
    """The log of a run, held by this process alone as long as it is open; what a killed one left half-written goes."""
    make_folder(out)
    lines = LineWriter(out / LOG)
    remove_partials(out)
    return lines


def corpora(config: DataConfig) -> tuple[Corpus, Corpus]:
    """Training and validation clips of a run; without a validation root a tenth of the training clips, by name.

    Raises:
        AetherError: no data, or clips in both.
    """
    if not config.data_root:
        raise AetherError("no training data: give a folder made by `aether-lite prepare SRC FOLDER` (see --help)")
    augmentation = Augmentation(share=config.augment_share) if config.augment_share > 0 else None
    roots = [Path(root) for root in config.data_root]
    try:
        train = Corpus(roots, config.data_weight or None, augmentation, consecutive=config.consecutive)
    except AetherError as error:
        for root in roots:
            if not any(root.rglob("*.f32")) and any(path.suffix.lower() in AUDIO_SUFFIXES for path in root.rglob("*")):
                raise AetherError(
                    f"{root}: holds audio, not pairs of features and samples; run `aether-lite prepare {root} "
                    f"{root}_pairs` and train on {root}_pairs"
                ) from error
        raise
    if config.valid_root:
        valid = Corpus([Path(root) for root in config.valid_root])
        check_disjoint(train, valid, speakers=False)
        return train, valid
    return train.split(HELD_OUT)
