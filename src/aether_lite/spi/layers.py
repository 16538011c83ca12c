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

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [B, C, rows, T]`` -> ``[B, C', rows', T / stride_t]`` and the new state."""
        if state is None:  # silence of the normalised image before the clip
            state = x.new_zeros(x.shape[0], self.in_channels, x.shape[2], self.context)
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


class Lookahead(nn.Module):
    """Delays tokens by one and adds to each what the token behind it says; starts as a pure delay.

    With it a decoder gives the features of token k once token k + 1 has arrived: noise is averaged over both, and a
    lost token is interpolated instead of extrapolated. The price is the time of a token.

    Args:
        width: token width.
    """

    KEPT = 2  # entries of the decoder's state that belong to this layer

    def __init__(self, width: int) -> None:
        super().__init__()
        self.next = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.next.weight)

    def forward(self, tokens: Tensor, inputs: Tensor, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Tokens ``[B, K, width]`` and decoder inputs ``[B, K, 3 n_max]`` of the tokens before, and the new state.

        Args:
            tokens: ``[B, K, width]``, as they arrive.
            inputs: ``[B, K, 3 n_max]``, which they were made of.
            state: begins with what waited, ``[B, 1, width]`` and ``[B, 1, 3 n_max]``; None at the beginning: zeros.
        """
        if state is None:
            state = (torch.zeros_like(tokens[:, :1]), torch.zeros_like(inputs[:, :1]))
        tokens_so_far, inputs_so_far = torch.cat((state[0], tokens), 1), torch.cat((state[1], inputs), 1)
        delayed = tokens_so_far[:, :-1] + self.next(tokens)
        return delayed, inputs_so_far[:, :-1], (tokens_so_far[:, -1:], inputs_so_far[:, -1:])
