"""Muon or AdamW and the learning-rate schedule; the vocoder and the critic have their own rates."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import nn

from aether_lite.training.config import TrainConfig
from aether_lite.training.distributed import Team
from aether_lite.training.muon import Muon, matrices_and_rest

ADAMW_BETAS = (0.9, 0.98)
CRITIC_BETAS = (0.8, 0.99)


def make_optimiser(
    codec: nn.Module, vocoder: nn.Module, config: TrainConfig, team: Team | None = None
) -> torch.optim.Optimizer:
    """The chosen optimiser over the codec and AdamW over the vocoder; vectors and biases are not decayed.

    The vocoder's group is there from the start. While the vocoder is frozen it has no gradients, so the optimiser
    leaves it and its state alone; unfreezing changes nothing else. The processes of ``team`` share Muon's work.
    """
    rate, decay = config.learning_rate, config.weight_decay
    vocoder_group = {"params": list(vocoder.parameters()), "weight_decay": 0.0, "peak": rate * config.vocoder_rate}
    if config.optimiser == "muon":
        matrices, rest = matrices_and_rest(codec)
        return Muon(
            [
                {"params": matrices, "weight_decay": decay, "peak": rate, "muon": True},
                {"params": rest, "weight_decay": 0.0, "peak": rate},
                vocoder_group,
            ],
            lr=rate,
            betas=ADAMW_BETAS,
            team=team,
        )
    groups = [
        {"params": [p for p in codec.parameters() if p.ndim >= 2], "weight_decay": decay, "peak": rate},
        {"params": [p for p in codec.parameters() if p.ndim < 2], "weight_decay": 0.0, "peak": rate},
        vocoder_group,
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=ADAMW_BETAS)


def make_critic_optimiser(critic: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over the discriminators, at a constant rate."""
    return torch.optim.AdamW(critic.parameters(), lr=config.critic_rate, betas=CRITIC_BETAS, weight_decay=0.0)


class Schedule(Protocol):
    """Options of the learning rate's course."""

    @property
    def steps(self) -> int:
        """Length of the run."""
        ...

    @property
    def warmup(self) -> int:
        """Steps in which it rises."""
        ...

    @property
    def final_rate(self) -> float:
        """At the end, relative to the peak."""
        ...


def rate_factor(step: int, config: Schedule) -> float:
    """Share of the peak learning rate at a step: linear rise, then a cosine to ``final_rate``."""
    rise = min(1.0, (step + 1) / max(config.warmup, 1))
    progress = min(step / max(config.steps, 1), 1.0)
    return rise * (config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's peak learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
