"""The network of the listener: Bark bands of 10 ms frames in, hidden states of a recogniser every 20 ms out.

It sees the band log energies alone, not pitch and voicing, of which recognition needs little. It is not causal: it only
works in training. Depthwise convolutions look about, pointwise layers of gated size think (the block of Z. Liu and
others, "A ConvNet for the 2020s", CVPR 2022, in one dimension).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from aether_lite.features.layout import NUM_BANDS
from aether_lite.features.tensors import log_bands

STATES = 384  # hidden states of the teacher at a time
FRAMES_PER_STATE = 2
WIDTH = 192
BLOCKS = 6
KERNEL = 13  # states of 20 ms, at each block; together 1.5 s
STEM_KERNEL = 5  # frames
EXPANSION = 2


class Block(nn.Module):
    """``[B, T, width]`` in and out; the identity before training."""

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


class Listener(nn.Module):
    """Features ``[B, F, 20]`` to predicted hidden states ``[B, F / 2, STATES]`` of mean 0 and variance 1 on speech.

    State j is centred between rows 2j and 2j + 1. F is even and at least 2.
    """

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.stem = nn.Conv1d(NUM_BANDS, width, STEM_KERNEL, padding=STEM_KERNEL // 2)
        self.halve = nn.Conv1d(width, width, 4, stride=FRAMES_PER_STATE, padding=1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, STATES)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(NUM_BANDS))
        self.register_buffer("scale", torch.ones(NUM_BANDS))

    def measure(self, features: Tensor) -> None:
        """Set mean and spread of the bands from speech ``[..., F, 20]``."""
        levels = log_bands(features).flatten(0, -2)
        self.mean.copy_(levels.mean(0))
        self.scale.copy_(levels.std(0))

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[-2] % FRAMES_PER_STATE:
            raise ValueError(f"an even number of frames is heard, not {features.shape[-2]}")
        levels = ((log_bands(features) - self.mean) / self.scale).mT
        x = self.halve(gelu(self.stem(levels))).mT
        for block in self.blocks:
            x = block(x)
        states: Tensor = self.head(self.norm(x))
        return states
