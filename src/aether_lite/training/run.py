"""From options to finished runs: data, processes, task and trainer; one run for each stage of a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from aether_lite.data.augment import Augmentation
from aether_lite.data.corpus import Corpus
from aether_lite.data.disjoint import check_disjoint
from aether_lite.data.sources import AUDIO_SUFFIXES
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.training.checkpoint import newest, step_path
from aether_lite.training.config import DataConfig, RunConfig
from aether_lite.training.distributed import DistributedContext, distributed_context
from aether_lite.training.loop import Task, Trainer
from aether_lite.training.run_logger import RunLogger

OPTIONS = "config.json"
HELD_OUT = 0.1  # share of the training clips that validate where no validation root is given

Config = TypeVar("Config", bound=RunConfig)
MakeTask = Callable[[Config, Corpus, DistributedContext], Task]


def run(make: MakeTask[Config], *stages: Config) -> bool:
    """Train as the options say, stage by stage; every process started by torchrun calls this.

    A stage that was finished before is not run again; one that a signal ends is the last.

    Returns:
        Whether all stages are finished.
    """
    first = stages[0]
    with distributed_context(first.distributed, first.device, first.threads) as context:
        for config in stages:
            out = Path(config.out)
            done = config.exported.exists() and newest(out) == step_path(out, config.steps)
            if not (done and len(stages) > 1) and not _run_stage(make, config, context):
                return False
    return True


def _run_stage(make: MakeTask[Config], config: Config, context: DistributedContext) -> bool:
    """One run, from data to exported weights; whether it came to its end."""
    train, valid = corpora(config)
    task = make(config, train, context)
    trainer = Trainer(task)
    resumed = trainer.resume(config.resume)
    if context.leads:
        task.prepare_validation(valid)
        out, epoch = Path(config.out), train.frames / (config.batch * config.frames)
        trainer.logger = RunLogger(out, config.steps, trainer.step, epoch, task.shown, config.tensorboard)
        with atomic_path(out / OPTIONS) as partial:
            partial.write_text(json.dumps(config.as_dict(), indent=2) + "\n")
        for line in task.introduction():
            trainer.logger.say(line)
        if resumed is not None:
            trainer.logger.say(f"continuing {resumed} at step {trainer.step}")
    context.wait()
    try:
        return trainer.run()
    finally:
        if trainer.logger is not None:
            trainer.logger.close()


def corpora(config: DataConfig) -> tuple[Corpus, Corpus]:
    """Training and validation clips of a run; without a validation root a tenth of the training clips, by name.

    Raises:
        AetherError: no data, or clips in both.
    """
    if not config.data_root:
        raise AetherError("no training data: give a folder made by `aether-lite prepare SRC FOLDER` (see --help)")
    augmentation = Augmentation(share=config.augment_share) if config.augment_share > 0 else None
    consecutive = bool(getattr(config, "consecutive", False))
    roots = [Path(root) for root in config.data_root]
    try:
        train = Corpus(roots, config.data_weight or None, augmentation, consecutive=consecutive)
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
