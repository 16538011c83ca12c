"""Small runs of the vocoder's trainer, shared by its tests."""

from __future__ import annotations

from pathlib import Path

import torch

from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Trainer, corpora
from aether_lite.training.vocoder_config import VocoderConfig
from aether_lite.training.vocoder_task import VocoderTask

ALONE = DistributedContext(0, 1, torch.device("cpu"))


def options(data_root: Path, out: Path, **changes: object) -> VocoderConfig:
    """The smallest run with both stages: two spectral steps, one of the discriminator alone, two adversarial ones."""
    values: dict[str, object] = {
        "data_root": [str(data_root)],
        "out": str(out),
        "batch": 4,
        "frames": 9,
        "adversarial_batch": 2,
        "adversarial_frames": 10,
        "spectral_steps": 2,
        "adversarial_steps": 3,
        "discriminator_steps": 1,
        "spectrogram_sizes": [64],
        "warmup": 2,
        "save_every": 1,
        "keep": 20,
        "validate_every": 100,
        "valid_clips": 1,
        "tensorboard": False,
        "captured": False,
    }
    config = VocoderConfig(**{**values, **changes})  # type: ignore[arg-type]
    config.check()
    return config


def new_trainer(data_root: Path, out: Path, **changes: object) -> Trainer:
    """A trainer before its first step."""
    config = options(data_root, out, **changes)
    return Trainer(VocoderTask(config, corpora(config)[0], ALONE))
