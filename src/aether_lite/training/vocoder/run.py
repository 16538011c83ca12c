"""From options to a finished run of the vocoder: data, processes, trainer, reporter."""

from __future__ import annotations

import torch

from aether_lite.data.corpus import Corpus, read_frames
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.training.distributed import team
from aether_lite.training.launch import corpora, launch
from aether_lite.training.monitors import chosen_clips
from aether_lite.training.vocoder.config import VocoderConfig
from aether_lite.training.vocoder.reporting import VocoderReporter
from aether_lite.training.vocoder.trainer import VocoderTrainer

MAX_FRAMES = 500  # of each validation clip


def run(config: VocoderConfig) -> None:
    """Train as the options say; every process started by torchrun calls this."""
    with team(config.distributed, config.device) as here:
        train, valid = corpora(config)
        trainer = VocoderTrainer(config, train, here)
        launch(trainer, config, here, lambda: _reporter(config, trainer, valid))


def _reporter(config: VocoderConfig, trainer: VocoderTrainer, valid: Corpus) -> VocoderReporter:
    clips = chosen_clips(valid, config.valid_clips)
    lengths = [min(clip.frames, MAX_FRAMES) for clip in clips]
    features = [torch.from_numpy(read_frames(c, 0, n)) for c, n in zip(clips, lengths, strict=True)]
    speech = [torch.from_numpy(read_speech(c, common_kind([c]), 0, n)) for c, n in zip(clips, lengths, strict=True)]
    epoch_steps = trainer.corpus.frames / (config.batch * config.frames)
    trainer.reporter = VocoderReporter(config, features, speech, trainer.step, epoch_steps)
    return trainer.reporter
