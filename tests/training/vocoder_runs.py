"""Small runs of the vocoder's trainer, shared by its tests."""

from __future__ import annotations

from pathlib import Path

import torch

from aether_lite.training.distributed import Team
from aether_lite.training.launch import corpora
from aether_lite.training.vocoder.config import VocoderConfig, checked
from aether_lite.training.vocoder.trainer import VocoderTrainer

ALONE = Team(0, 1, torch.device("cpu"))


def options(data_root: Path, out: Path, **changes: object) -> VocoderConfig:
    """The smallest run with both stages: two spectral steps, one of the critic alone, two adversarial ones."""
    values: dict[str, object] = {
        "data_root": [str(data_root)],
        "out": str(out),
        "batch": 4,
        "frames": 9,
        "adversarial_batch": 2,
        "adversarial_frames": 10,
        "spectral_steps": 2,
        "adversarial_steps": 3,
        "critic_steps": 1,
        "spectrogram_sizes": [64],
        "warmup": 2,
        "save_every": 1,
        "keep": 20,
        "validate_every": 100,
        "valid_clips": 1,
        "tensorboard": False,
        "captured": False,
    }
    return checked(VocoderConfig(**{**values, **changes}))  # type: ignore[arg-type]


def new_trainer(data_root: Path, out: Path, **changes: object) -> VocoderTrainer:
    """A trainer before its first step."""
    config = options(data_root, out, **changes)
    return VocoderTrainer(config, corpora(config)[0], ALONE)
