"""From options to a finished run: data, processes, trainer, reporter."""

from __future__ import annotations

from pathlib import Path

import torch

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.files import atomic_path
from aether_lite.training.augment import Augmentation
from aether_lite.training.config import TrainConfig
from aether_lite.training.data import Corpus
from aether_lite.training.disjoint import check_disjoint
from aether_lite.training.distributed import Team, team
from aether_lite.training.monitors import ValidationSet, chosen_clips, validation_set
from aether_lite.training.pairs import common_kind, read_speech
from aether_lite.training.reporting import Reporter
from aether_lite.training.trainer import Trainer

OPTIONS = "config.json"


def run(config: TrainConfig) -> None:
    """Train as the options say; every process started by torchrun calls this."""
    with team(config.distributed, config.device) as here:
        train, valid = corpora(config)
        trainer = Trainer(config, train, here)
        resumed = trainer.resume(config.resume)
        if here.leads:
            trainer.reporter = _reporter(config, trainer, valid, here)
            write_options(config)
            if resumed is not None:
                trainer.reporter.bar.write(f"continuing {resumed} at step {trainer.step}")
        here.wait()
        try:
            trainer.run()
        finally:
            if trainer.reporter is not None:
                trainer.reporter.close()


def corpora(config: TrainConfig) -> tuple[Corpus, Corpus]:
    """Training and validation clips; without a validation root a tenth of the training clips, by name."""
    if not config.data_root:
        raise AetherError("no training data: give --data_root FOLDER, made by `aether-lite prepare SRC FOLDER`")
    augmentation = Augmentation(share=config.augment_share) if config.augment_share > 0 else None
    train = Corpus([Path(r) for r in config.data_root], config.data_weight or None, augmentation)
    if config.stage_borders[0] < config.steps:
        _ = train.kinds  # audio that does not belong to its features is to be an error now
    if config.valid_root:
        valid = Corpus([Path(r) for r in config.valid_root])
        check_disjoint(train, valid, speakers=False)
        return train, valid
    return train.split(0.1)


def write_options(config: TrainConfig) -> None:
    """The resolved options beside the run, as JSON (which YAML readers take too)."""
    import json

    with atomic_path(Path(config.out) / OPTIONS) as partial:
        partial.write_text(json.dumps(config.as_dict(), indent=2) + "\n")


def _reporter(config: TrainConfig, trainer: Trainer, valid: Corpus, here: Team) -> Reporter:
    data = validation_set(valid, trainer.codec.config.token_frames)
    clips = chosen_clips(valid)[: max(config.estoi_clips, 1)]
    speech = torch.zeros(len(clips), data.features.shape[1] * FRAME)
    for row, clip in zip(speech, clips, strict=True):
        frames = min(clip.frames, data.features.shape[1])
        row[: frames * FRAME] = torch.from_numpy(read_speech(clip, common_kind([clip]), 0, frames))
    moved = ValidationSet(data.features.to(here.device), data.mask.to(here.device))
    epoch_steps = trainer.corpus.frames / (config.batch * config.frames)
    return Reporter(config, moved, speech, trainer.step, epoch_steps)
