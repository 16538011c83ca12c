"""AdamW and its learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

from aether_lite.training.config import TrainConfig

ADAMW_BETAS = (0.9, 0.98)


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over all parameters; vectors and biases are not decayed."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=ADAMW_BETAS)


def rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at a step: linear rise, then a cosine to ``final_rate``."""
    rise = min(1.0, (step + 1) / max(config.warmup, 1))
    progress = min(step / max(config.steps, 1), 1.0)
    return rise * (config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress)))
