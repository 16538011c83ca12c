"""SPI encoder and decoder: speech image to tokens and back through a causal 2-D convolutional pyramid.

    image [B, T, 20] -> 20 x T -> 10 x T/2 -> 5 x T/4 -> 3 x T/8 -> (+ linear patch) -> blocks -> tokens [B, T/8, d]
    tokens [B, K, d] -> blocks -> 3 x K -> 5 x 2K -> 10 x 4K -> 20 x 8K -> (+ linear patch) -> image [B, 8K, 20]

Each level halves or doubles time and Bark resolution; for shorter tokens the last levels keep the time resolution. The
blocks are a causal sequence model over tokens. Nothing looks past the end of its token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.spi.image import NUM_ROWS, patches
from aether_lite.spi.layers import CausalConv2d, ResidualConv, State, TokenBlock

PYRAMID_ROWS = (20, 10, 5, 3)  # Bark rows after the stem and after each level


def time_strides(token_frames: int) -> tuple[int, int, int]:
    """Frame strides of the three pyramid levels so that their product is ``token_frames`` (2, 4 or 8)."""
    strides = {8: (2, 2, 2), 4: (2, 2, 1), 2: (2, 1, 1)}
    if token_frames not in strides:
        raise ValueError(f"a token covers 2, 4 or 8 frames, not {token_frames}")
    return strides[token_frames]


class SpiEncoder(nn.Module):
    """Normalised speech image to tokens.

    Args:
        width: token width d.
        channels: feature maps of the stem and the three pyramid levels.
        blocks: sequence blocks over tokens.
        token_frames: frames per token.
        expansion: of the sequence blocks.
    """

    def __init__(self, width: int, channels: Sequence[int], blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        stem, *levels = channels
        self.stem = CausalConv2d(1, stem, (3, 3))
        self.row_bias = nn.Parameter(torch.zeros(stem, NUM_ROWS, 1))
        down: list[nn.Module] = []
        residual: list[nn.Module] = []
        incoming = stem
        for level, (outgoing, stride) in enumerate(zip(levels, time_strides(token_frames), strict=True)):
            rows = 3 if level == 2 else 4  # 5 rows to 3 needs an odd kernel
            down.append(CausalConv2d(incoming, outgoing, (rows, 2 * stride), (2, stride)))
            residual.append(ResidualConv(outgoing))
            incoming = outgoing
        self.down = nn.ModuleList(down)
        self.residual = nn.ModuleList(residual)
        self.project = nn.Linear(incoming * PYRAMID_ROWS[-1], width)
        self.patch = nn.Linear(NUM_ROWS * token_frames, width)
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)

    def forward(self, image: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """``image [B, T, 20]``, T a multiple of the token -> tokens ``[B, T / token_frames, d]`` and new state."""
        flat = patches(image, self.token_frames)
        old: Iterator[Tensor | None] = iter(state if state is not None else ())
        new: list[Tensor] = []
        x, s = self.stem(image.transpose(1, 2)[:, None], next(old, None))
        new.append(s)
        x = F.silu(x + self.row_bias)
        for down, residual in zip(self.down, self.residual, strict=True):
            for layer in (down, residual):
                x, s = layer(x, next(old, None))
                new.append(s)
        tokens = self.project(F.silu(x).permute(0, 3, 1, 2).flatten(2)) + self.patch(flat)
        for block in self.blocks:
            tokens, s = block(tokens, next(old, None))
            new.append(s)
        return self.norm(tokens), tuple(new)


class SpiDecoder(nn.Module):
    """Tokens to normalised speech image; arguments as :class:`SpiEncoder`, the channels used in reverse."""

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
