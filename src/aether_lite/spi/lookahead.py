"""A decoder that waits for the next token before it gives the features of one.

    features of token k <- tokens 0..k, and what arrived of token k + 1

A transmitter says of a moment in two tokens what one must not carry alone, noise is averaged over both sides, and a
lost token is bridged instead of guessed. The price is the time of a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.spi.layers import State

KEPT = 2
"""Entries of the decoder's state that belong to this part: the token and the planes that wait."""


class Lookahead(nn.Module):
    """Delays what the decoder sees by one token and adds to each what the token behind it says; starts as a delay.

    Args:
        width: token width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.next = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.next.weight)

    def forward(self, tokens: Tensor, planes: Tensor, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Delayed tokens and planes and what waits.

        Args:
            tokens: ``[B, K, width]``, as they arrive.
            planes: ``[B, K, 3 n_max]``, which they were made of.
            state: begins with what waited, ``[B, 1, width]`` and ``[B, 1, 3 n_max]``; None at the beginning: zeros.

        Returns:
            ``[B, K, width]`` and ``[B, K, 3 n_max]`` of the tokens before, and what waits now.
        """
        if state is None:
            state = (torch.zeros_like(tokens[:, :1]), torch.zeros_like(planes[:, :1]))
        tokens_so_far, planes_so_far = torch.cat((state[0], tokens), 1), torch.cat((state[1], planes), 1)
        delayed = tokens_so_far[:, :-1] + self.next(tokens)
        return delayed, planes_so_far[:, :-1], (tokens_so_far[:, -1:], planes_so_far[:, -1:])
