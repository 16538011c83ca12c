"""Tokens to ordered complex symbols and back.

The encoder maps every token to ``n_max`` ordered latent symbols; a rate sends a prefix of them under the power
constraint of :mod:`aether_lite.jscc.power`. The latents do not depend on the rate, so any prefix of a stream is
the stream of a lower rate (up to one positive gain per token). The decoder is told the rate, the receiver's SNR
estimate, the reliability of every symbol and which tokens are lost.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.channels.signal import Received, Symbols, uses_per_token
from aether_lite.jscc.conditioning import FiLM, rate_inputs, snr_inputs
from aether_lite.jscc.equaliser import equalise
from aether_lite.jscc.power import normalise_prefix

RATES = (150, 300, 500, 600, 700, 1000, 1200)
"""Payload rates [uses/s] that one set of weights serves."""


class JsccEncoder(nn.Module):
    """Tokens ``[B, K, width]`` to unit-power symbols.

    Args:
        width: token width.
        token_frames: frames per token.
    """

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = int(uses_per_token(RATES[-1], token_frames))
        self.film = FiLM(2, width)
        self.expand = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, 2 * self.max_uses)
        self.contract = nn.Linear(2 * width, 2 * self.max_uses, bias=False)

    def latents(self, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """All ``n_max`` ordered latent symbols ``[B, K, n_max] complex64``, before the power constraint.

        Args:
            tokens: ``[B, K, width]``.
            target_snr_db: ``[B, K]`` Es/N0 the link is designed for [dB]; None (or NaN) encodes blind.
        """
        conditioned = self.film(tokens, snr_inputs(target_snr_db, tokens))
        flat = self.linear(conditioned) + self.contract(F.silu(self.expand(conditioned)))
        return torch.view_as_complex(flat.reshape(*flat.shape[:2], self.max_uses, 2))

    def forward(self, tokens: Tensor, rate: int | Tensor, target_snr_db: Tensor | None = None) -> Symbols:
        """Symbols at ``rate`` [uses/s]: an int, or ``[B] int64`` for a batch of mixed rates."""
        latent = self.latents(tokens, target_snr_db)
        widest = int(torch.as_tensor(uses_per_token(rate, self.token_frames)).max())
        sent = Symbols(latent[..., :widest], rate, self.token_frames)
        return Symbols(normalise_prefix(sent.values, sent.used), rate, self.token_frames)


class JsccDecoder(nn.Module):
    """Received symbols and channel state to tokens ``[B, K, width]``."""

    CONDITIONS = 4  # SNR and its flag, rate, erasure

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = int(uses_per_token(RATES[-1], token_frames))
        inputs = 3 * self.max_uses
        self.linear = nn.Linear(inputs, width)
        self.expand = nn.Linear(inputs, 2 * width)
        self.film_hidden = FiLM(self.CONDITIONS, 2 * width)
        self.contract = nn.Linear(2 * width, width, bias=False)
        self.film_token = FiLM(self.CONDITIONS, width)

    def forward(self, received: Received) -> Tensor:
        batch, count, n = received.values.shape
        used = Symbols(received.values, received.rate, received.token_frames).used
        front = equalise(received, used)
        planes = torch.stack((front.symbols.real, front.symbols.imag, front.reliability), dim=-1)
        planes = F.pad(planes, (0, 0, 0, self.max_uses - n)).reshape(batch, count, -1)
        planes = planes.to(self.linear.weight.dtype)
        rates = torch.as_tensor(received.rate, device=planes.device).expand(batch)
        conditions = torch.cat(
            (
                snr_inputs(front.snr_db, planes),
                rate_inputs(rates, planes),
                received.state.erased[..., None].to(planes.dtype),
            ),
            dim=-1,
        )
        hidden = self.film_hidden(self.expand(planes), conditions)
        tokens: Tensor = self.film_token(self.linear(planes) + self.contract(F.silu(hidden)), conditions)
        return tokens
