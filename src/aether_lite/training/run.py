"""From options to a finished run of the codec: data, processes, trainer, reporter."""

from __future__ import annotations

import torch

from aether_lite.data.corpus import Corpus
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.features.layout import FRAME
from aether_lite.training.config import TrainConfig
from aether_lite.training.distributed import Team, team
from aether_lite.training.launch import corpora, launch
from aether_lite.training.monitors import ValidationSet, chosen_clips, validation_set
from aether_lite.training.reporting import Reporter
from aether_lite.training.trainer import Trainer


def run(config: TrainConfig) -> None:
    """Train as the options say; every process started by torchrun calls this."""
    with team(config.distributed, config.device) as here:
        train, valid = corpora(config, consecutive=config.consecutive)
        if config.listens_to_recordings or config.stage_borders[0] < config.steps:
            _ = train.kinds  # audio that does not belong to its features is to be an error now
        trainer = Trainer(config, train, here)
        launch(trainer, config, here, lambda: _reporter(config, trainer, valid, here))


def _reporter(config: TrainConfig, trainer: Trainer, valid: Corpus, here: Team) -> Reporter:
    data = validation_set(valid, trainer.codec.config.token_frames)
    clips = chosen_clips(valid)[: max(config.estoi_clips, 1)]
    speech = torch.zeros(len(clips), data.features.shape[1] * FRAME)
    for row, clip in zip(speech, clips, strict=True):
        frames = min(clip.frames, data.features.shape[1])
        row[: frames * FRAME] = torch.from_numpy(read_speech(clip, common_kind([clip]), 0, frames))
    moved = ValidationSet(data.features.to(here.device), data.mask.to(here.device))
    epoch_steps = trainer.corpus.frames / (config.batch * config.frames)
    trainer.reporter = Reporter(config, moved, speech, trainer.step, epoch_steps)
    return trainer.reporter
