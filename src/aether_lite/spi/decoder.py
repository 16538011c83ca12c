"""Tokens to speech image: a causal sequence model, then a pyramid that doubles time and Bark resolution.

    tokens [B, K, d] -> blocks -> 3 x K -> 5 x 2K -> 10 x 4K -> 20 x 8K -> (+ linear patch) -> image [B, 8K, 20]

The mirror image of :mod:`aether_lite.spi.encoder`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.spi.encoder import PYRAMID_ROWS, time_strides
from aether_lite.spi.image import NUM_ROWS
from aether_lite.spi.layers import CausalConv2d, ResidualConv, State, TokenBlock


class SpiDecoder(nn.Module):
    """Tokens to normalised speech image.

    Args:
        width: token width d.
        channels: as in the encoder (stem first); used in reverse.
        blocks: sequence blocks over tokens.
        token_frames: frames per token.
        expansion: of the sequence blocks.
    """

    def __init__(self, width: int, channels: Sequence[int], blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)
        reverse = tuple(reversed(channels))
        self.top = reverse[0]
        self.project = nn.Linear(width, self.top * PYRAMID_ROWS[-1])
        residual: list[nn.Module] = []
        up: list[nn.Module] = []
        for level, stride in enumerate(reversed(time_strides(token_frames))):
            incoming, outgoing = reverse[level], reverse[level + 1]
            rows = 3 if level == 0 else 4
            residual.append(ResidualConv(incoming))
            up.append(nn.ConvTranspose2d(incoming, outgoing, (rows, stride), (2, stride), padding=(1, 0)))
        self.residual = nn.ModuleList(residual)
        self.up = nn.ModuleList(up)
        self.out = CausalConv2d(reverse[-1], 1, (3, 3))
        self.patch = nn.Linear(width, NUM_ROWS * token_frames)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """``tokens [B, K, d]`` -> image ``[B, K * token_frames, 20]``, refined tokens ``[B, K, d]``, new state."""
        batch, count, _ = tokens.shape
        old: Iterator[Tensor | None] = iter(state if state is not None else ())
        new: list[Tensor] = []
        for block in self.blocks:
            tokens, s = block(tokens, next(old, None))
            new.append(s)
        tokens = self.norm(tokens)
        x = self.project(tokens).reshape(batch, count, self.top, PYRAMID_ROWS[-1]).permute(0, 2, 3, 1)
        for residual, up in zip(self.residual, self.up, strict=True):
            x, s = residual(x, next(old, None))
            new.append(s)
            x = F.silu(up(x))
        x, s = self.out(x, next(old, None))
        new.append(s)
        image = x[:, 0].transpose(1, 2) + self.patch(tokens).reshape(batch, -1, NUM_ROWS)
        return image, tokens, tuple(new)
