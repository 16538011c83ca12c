"""The ear: features of speech to the log-mel spectrum that a recogniser listens to, differentiable.

Eighteen Bark bands do not say where 80 mel bands are; speech does, nearly. The ear is a small network, learned from
pairs of features and audio, that guesses the spectrum from the features about each frame: harmonics by the pitch, the
rest by the bands. Depthwise convolutions look about, pointwise layers combine (the block of Z. Liu and others, "A
ConvNet for the 2020s", CVPR 2022, in one dimension). It is not causal: it only works in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from aether_lite.features.bark import log_bands
from aether_lite.features.layout import NUM_BANDS, PITCH, VOICING
from aether_lite.losses.asr.recogniser import MELS

INPUTS = NUM_BANDS + 2
WIDTH = 128
BLOCKS = 3
KERNEL = 7  # frames of 10 ms, at each block
EXPANSION = 2


class Block(nn.Module):
    """``[B, F, width]`` in and out; the identity before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depth = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, EXPANSION * width)
        self.down = nn.Linear(EXPANSION * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.depth(x.mT).mT)
        added: Tensor = self.down(gelu(self.up(mixed)))
        return x + added


class Ear(nn.Module):
    """Features ``[B, F, 20]`` to spectra ``[B, F, 80]``, scaled as the recogniser takes them (about -1 to 1.5)."""

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.into = nn.Linear(INPUTS, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, MELS)
        self.direct = nn.Linear(INPUTS, MELS)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(INPUTS))
        self.register_buffer("scale", torch.ones(INPUTS))

    def measure(self, features: Tensor) -> None:
        """Set mean and spread of the inputs from speech ``[..., F, 20]``."""
        levels = _inputs(features).flatten(0, -2)
        self.mean.copy_(levels.mean(0))
        self.scale.copy_(levels.std(0).clamp_min(1e-3))

    def forward(self, features: Tensor) -> Tensor:
        levels = (_inputs(features) - self.mean) / self.scale
        x = self.into(levels)
        for block in self.blocks:
            x = block(x)
        spectra: Tensor = self.direct(levels) + self.head(self.norm(x))
        return spectra


def _inputs(features: Tensor) -> Tensor:
    """Band log energies, pitch and correlation ``[..., 20]``."""
    return torch.cat([log_bands(features), features[..., PITCH : VOICING + 1]], dim=-1)
