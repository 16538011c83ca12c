"""From options to a finished run of the vocoder: data, processes, trainer, reporter."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.training.augment import Augmentation
from aether_lite.training.data import Corpus, read_frames
from aether_lite.training.disjoint import check_disjoint
from aether_lite.training.distributed import team
from aether_lite.training.monitors import chosen_clips
from aether_lite.training.pairs import common_kind, read_speech
from aether_lite.training.vocoder.config import VocoderConfig
from aether_lite.training.vocoder.reporting import VocoderReporter
from aether_lite.training.vocoder.trainer import VocoderTrainer

OPTIONS = "config.json"
MAX_FRAMES = 500  # of each validation clip


def run(config: VocoderConfig) -> None:
    """Train as the options say; every process started by torchrun calls this."""
    with team(config.distributed, config.device) as here:
        train, valid = corpora(config)
        trainer = VocoderTrainer(config, train, here)
        resumed = trainer.resume(config.resume)
        if here.leads:
            trainer.reporter = _reporter(config, trainer, valid)
            with atomic_path(Path(config.out) / OPTIONS) as partial:
                partial.write_text(json.dumps(config.as_dict(), indent=2) + "\n")
            if resumed is not None:
                trainer.reporter.bar.write(f"continuing {resumed} at step {trainer.step}")
        here.wait()
        try:
            trainer.run()
        finally:
            if trainer.reporter is not None:
                trainer.reporter.close()


def corpora(config: VocoderConfig) -> tuple[Corpus, Corpus]:
    """Training and validation clips; without a validation root a tenth of the training clips, by name."""
    if not config.data_root:
        raise AetherError("no training data: give DATA_ROOT, a folder made by `aether-lite prepare SRC DATA_ROOT`")
    augmentation = Augmentation(share=config.augment_share) if config.augment_share > 0 else None
    train = Corpus([Path(r) for r in config.data_root], config.data_weight or None, augmentation)
    if config.valid_root:
        valid = Corpus([Path(r) for r in config.valid_root])
        check_disjoint(train, valid, speakers=False)
        return train, valid
    return train.split(0.1)


def _reporter(config: VocoderConfig, trainer: VocoderTrainer, valid: Corpus) -> VocoderReporter:
    clips = chosen_clips(valid, config.valid_clips)
    lengths = [min(clip.frames, MAX_FRAMES) for clip in clips]
    features = [torch.from_numpy(read_frames(c, 0, n)) for c, n in zip(clips, lengths, strict=True)]
    speech = [torch.from_numpy(read_speech(c, common_kind([c]), 0, n)) for c, n in zip(clips, lengths, strict=True)]
    epoch_steps = trainer.corpus.frames / (config.batch * config.frames)
    return VocoderReporter(config, features, speech, trainer.step, epoch_steps)
