"""The same codec without an image: dense layers over a token's features as one flat vector.

What the pyramid of :mod:`aether_lite.spi.encoder` and :mod:`aether_lite.spi.decoder` brings is measured against
these, with as many weights (:func:`matched_hidden`). Interfaces are those of the pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.spi.decoder import SpiDecoder
from aether_lite.spi.encoder import SpiEncoder
from aether_lite.spi.image import NUM_ROWS, patches
from aether_lite.spi.layers import State, TokenBlock


class FlatEncoder(nn.Module):
    """Normalised image, token by token as a vector, to tokens.

    Args:
        width: token width d.
        hidden: units of the layer that stands for the pyramid.
        blocks: sequence blocks over tokens.
        token_frames: frames per token.
        expansion: of the sequence blocks.
    """

    def __init__(self, width: int, hidden: int, blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.patch = nn.Linear(NUM_ROWS * token_frames, width)
        self.expand = nn.Linear(NUM_ROWS * token_frames, hidden)
        self.contract = nn.Linear(hidden, width, bias=False)
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)

    def forward(self, image: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """``image [B, T, 20]``, T a multiple of the token -> tokens ``[B, T / token_frames, d]`` and new state."""
        flat = patches(image, self.token_frames)
        tokens = self.patch(flat) + self.contract(F.silu(self.expand(flat)))
        tokens, new_state = _advanced(self.blocks, tokens, state)
        return self.norm(tokens), new_state


class FlatDecoder(nn.Module):
    """Tokens to normalised image, each token as a vector; arguments as :class:`FlatEncoder`."""

    def __init__(self, width: int, hidden: int, blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)
        self.patch = nn.Linear(width, NUM_ROWS * token_frames)
        self.expand = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, NUM_ROWS * token_frames, bias=False)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """``tokens [B, K, d]`` -> image ``[B, K * token_frames, 20]``, refined tokens ``[B, K, d]``, new state."""
        tokens, new_state = _advanced(self.blocks, tokens, state)
        tokens = self.norm(tokens)
        image = self.patch(tokens) + self.out(F.silu(self.expand(tokens)))
        return image.reshape(tokens.shape[0], -1, NUM_ROWS), tokens, new_state


def matched_hidden(width: int, channels: Sequence[int], token_frames: int) -> int:
    """Units with which encoder and decoder together have as many weights as the pyramids of these feature maps."""

    def weights(*modules: nn.Module) -> int:
        return sum(p.numel() for module in modules for p in module.parameters())

    def flat(hidden: int) -> int:
        return weights(FlatEncoder(width, hidden, 0, token_frames), FlatDecoder(width, hidden, 0, token_frames))

    pyramids = weights(SpiEncoder(width, channels, 0, token_frames), SpiDecoder(width, channels, 0, token_frames))
    unit = flat(2) - flat(1)
    return 1 + round((pyramids - flat(1)) / unit)


def _advanced(blocks: nn.ModuleList, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
    new: list[Tensor] = []
    for number, block in enumerate(blocks):
        tokens, kept = block(tokens, None if state is None else state[number])
        new.append(kept)
    return tokens, tuple(new)
