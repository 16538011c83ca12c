"""Causal layers with explicit state, shared by the speech-image encoder and decoder.

Every stateful layer is called as ``y, new_state = layer(x, state)``; its state is one tensor. Feeding a signal in
pieces with the state carried over gives the same result as feeding it at once.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.spi.gru import Gru

State = tuple[Tensor, ...]
"""States of the stateful layers of a network, in the order in which the layers run."""


class CausalConv2d(nn.Module):
    """2-D convolution over (Bark row, frame) that sees no future frame.

    Along time output ``j`` sees input frames up to ``stride_t * (j + 1) - 1``; along Bark rows it is centred and
    zero-padded. The state is the last ``kernel_t - stride_t`` input frames.

    Args:
        kernel: ``(rows, frames)``.
        stride: ``(rows, frames)``; the number of input frames must be a multiple of the frame stride.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=((kernel[0] - 1) // 2, 0))
        self.in_channels = in_channels
        self.context = kernel[1] - stride[1]

    def initial_state(self, batch: int, rows: int, like: Tensor) -> Tensor:
        """``[B, C, rows, context]`` zeros: silence of the normalised image before the clip."""
        return like.new_zeros(batch, self.in_channels, rows, self.context)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [B, C, rows, T]`` -> ``[B, C', rows', T / stride_t]`` and the new state."""
        if state is None:
            state = self.initial_state(x.shape[0], x.shape[2], x)
        padded = torch.cat((state, x), dim=3)
        return cast(Tensor, self.conv(padded)), padded[..., padded.shape[3] - self.context :]


class ResidualConv(nn.Module):
    """``x + conv1x1(SiLU(causal 3x3 conv(SiLU(x))))`` at constant resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = CausalConv2d(channels, channels, (3, 3))
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(cast(Tensor, self.mix.bias))

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        y, new_state = self.conv(F.silu(x), state)
        return x + self.mix(F.silu(y)), new_state


class TokenBlock(nn.Module):
    """Causal sequence block over tokens: a GRU, then a gated MLP, both residual and pre-normalised.

    The GRU carries what does not change quickly (a voice, a room, a channel) over seconds at constant cost.

    Args:
        width: of tokens.
        expansion: gated units of the MLP over the width.
    """

    def __init__(self, width: int, expansion: int = 2) -> None:
        super().__init__()
        hidden = width * expansion
        self.norm_time = nn.RMSNorm(width)
        self.gru = Gru(width)
        self.norm_mlp = nn.RMSNorm(width)
        self.expand = nn.Linear(width, 2 * hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [B, K, width]`` -> same shape, and the GRU state ``[1, B, width]``."""
        mixed, new_state = self.gru(self.norm_time(x), state)
        x = x + mixed
        value, gate = self.expand(self.norm_mlp(x)).chunk(2, dim=-1)
        return x + self.contract(value * F.silu(gate)), new_state
