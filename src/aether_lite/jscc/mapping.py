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

from aether_lite.jscc.conditioning import FiLM, rate_inputs, snr_inputs
from aether_lite.jscc.equaliser import equalise, parts
from aether_lite.jscc.power import scaled
from aether_lite.payload import Received, Symbols, elements_per_token, widest_token

RATES = (150, 300, 500, 600, 700, 1000, 1200)
"""Payload rates [uses/s] that one set of weights serves."""


class MappingEncoder(nn.Module):
    """Tokens ``[B, K, width]`` to ordered latents: what symbols and bits have in common.

    Args:
        width: token width.
        token_frames: frames per token.
    """

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        self.film = FiLM(2, width)
        self.expand = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, 2 * self.max_uses)
        self.contract = nn.Linear(2 * width, 2 * self.max_uses, bias=False)

    def real_latents(self, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """All ordered latents ``[B, K, 2 n_max]``.

        Args:
            tokens: ``[B, K, width]``.
            target_snr_db: ``[B, K]`` Es/N0 the link is designed for [dB]; None (or NaN) encodes blind.
        """
        conditioned = self.film(tokens, snr_inputs(target_snr_db, tokens))
        flat: Tensor = self.linear(conditioned) + self.contract(F.silu(self.expand(conditioned)))
        return flat


class JsccEncoder(MappingEncoder):
    """Tokens ``[B, K, width]`` to symbols of nominal power 1."""

    def paired(self, real_latents: Tensor) -> Tensor:
        """Latents ``[B, K, 2 n_max]`` in pairs, ``[B, K, n_max] complex64``: symbols before the power constraint."""
        return torch.view_as_complex(real_latents.reshape(*real_latents.shape[:2], self.max_uses, 2))

    def symbols(self, real_latents: Tensor, rate: int | Tensor, power: Tensor | None = None) -> Symbols:
        """What is sent of latents ``[B, K, 2 n_max]``.

        Args:
            rate: [uses/s], an int, or ``[B] int64`` for mixed ones.
            power: mean squares ``[2 n_max]`` of the latents, for the power constraint ``session``; None for ``token``.
        """
        latent = self.paired(real_latents)
        widest = widest_token(rate, self.token_frames)
        sent = Symbols(latent[..., :widest], rate, self.token_frames)
        return Symbols(scaled(sent.values, sent.used, power), rate, self.token_frames)


class MappingDecoder(nn.Module):
    """Estimates of the latents, and what is known of them, to tokens ``[B, K, width]``.

    Args:
        width: token width.
        token_frames: frames per token.
    """

    CONDITIONS = 4  # SNR and its flag, rate, erasure

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        inputs = 3 * self.max_uses
        self.linear = nn.Linear(inputs, width)
        self.expand = nn.Linear(inputs, 2 * width)
        self.film_hidden = FiLM(self.CONDITIONS, 2 * width)
        self.contract = nn.Linear(2 * width, width, bias=False)
        self.film_token = FiLM(self.CONDITIONS, width)

    def planes(self, first: Tensor, second: Tensor, reliability: Tensor) -> Tensor:
        """Estimates of a pair's two latents and its reliability, each ``[B, K, n]``, as inputs ``[B, K, 3 n_max]``."""
        batch, count, n = first.shape
        planes = torch.stack((first, second, reliability), dim=-1)
        planes = F.pad(planes, (0, 0, 0, self.max_uses - n)).reshape(batch, count, -1)
        return planes.to(self.linear.weight.dtype)

    def tokens(self, planes: Tensor, conditions: Tensor) -> Tensor:
        """Tokens of ``planes [B, K, 3 n_max]`` under ``conditions [B, K, 4]``."""
        hidden = self.film_hidden(self.expand(planes), conditions)
        tokens: Tensor = self.film_token(self.linear(planes) + self.contract(F.silu(hidden)), conditions)
        return tokens


class JsccDecoder(MappingDecoder):
    """Received symbols and channel state to tokens ``[B, K, width]``."""

    def inputs(self, received: Received, power: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What :meth:`tokens` takes: planes ``[B, K, 3 n_max]`` and conditions ``[B, K, 4]`` of what was received.

        Args:
            power: mean squares ``[2 n_max]`` of the latents, where known; the planes then hold posterior means.
        """
        batch = received.values.shape[0]
        used = Symbols(received.values, received.rate, received.token_frames).used
        front = equalise(received, used)
        planes = self.planes(*parts(front, used, power), front.reliability)
        rates = torch.as_tensor(received.rate, device=planes.device).expand(batch)
        conditions = torch.cat(
            (
                snr_inputs(front.snr_db, planes),
                rate_inputs(rates, planes),
                received.state.erased[..., None].to(planes.dtype),
            ),
            dim=-1,
        )
        return planes, conditions
