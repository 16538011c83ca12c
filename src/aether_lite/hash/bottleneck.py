"""Bottleneck of a codec of bits: one bit per latent, soft bits to estimates of latents.

The n_max complex latents of the mapping are 2 n_max real ones here, b = +1 where z >= 0 and -1 elsewhere, always: no
statistics of a batch, a clip or a running average enter. The encoder is blind, so the bits of a lower rate are the
first ones of a higher rate. For training the d latents of a token are scaled to u = sqrt(d) z / |z|
(:func:`on_sphere`), which changes no bit (without it gradients through a threshold let latents grow without bound), and
the gradient passes straight through a saturating curve, db/du = 1 - tanh(u)^2.

The decoder sees a pair of soft bits as it would a QPSK symbol of unit energy after the MMSE equaliser (the soft bit
*is* the MMSE estimate of the bit), with the mean s^2 of the pair as its reliability. The quality of a token is the SNR
at which an MMSE estimate has the same mean reliability rho, that is rho / (1 - rho).

Source: Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients through stochastic neurons"
(arXiv:1308.3432).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.jscc.mapping import SNR_RANGE_DB, Estimates
from aether_lite.payload import Bits, ReceivedBits, widest_token

BIT_RATES = (300, 600, 1200, 2400)
"""Bit rates [bit/s] that one set of weights serves: 24, 48, 96 and 192 bits of a token of 80 ms."""
DEFAULT_BIT_RATE = 600  # bit/s
BITS_PER_SYMBOL = 2  # real latents in a complex one

_LEAST_NOISE = 10 ** (-SNR_RANGE_DB[1] / 10)
_LEAST_SIGNAL = 10 ** (SNR_RANGE_DB[0] / 10)


def checked_bit_rate(rate: int) -> int:
    """``rate`` [bit/s] if a hash codec serves it; else a stated error."""
    if rate not in BIT_RATES:
        raise AetherError(f"bit rate {rate} bit/s is not one of {', '.join(map(str, BIT_RATES))}")
    return int(rate)


class BitBottleneck:
    """One bit per latent."""

    unit = Bits.unit
    rates = BIT_RATES
    default_rate = DEFAULT_BIT_RATE
    received = ReceivedBits

    def send(self, latents: Tensor, rate: int | Tensor, token_frames: int, power: Tensor | None = None) -> Bits:
        """Bits of latents ``[B, K, 2 n_max]`` at ``rate`` [bit/s], an int, or ``[B] int64``; bits have no power."""
        n = widest_token(rate, token_frames)
        first = Bits(hard_bits(latents.float())[..., :n], rate, token_frames)
        return Bits(first.values * first.used, rate, token_frames)

    def estimates(self, received: ReceivedBits, power: Tensor | None = None) -> Estimates:
        """Estimates of the latents: soft bits in pairs."""
        used, erased = received.used, received.erased
        soft = received.values.masked_fill(~used | erased[:, :, None], 0)
        pairs = torch.unflatten(soft, -1, (-1, BITS_PER_SYMBOL))
        first, second = (pairs / math.sqrt(BITS_PER_SYMBOL)).unbind(-1)
        reliability = pairs.detach().square().mean(-1)
        quality = quality_db(soft.detach(), used)
        return Estimates(first, second, reliability, quality, received.rates / BITS_PER_SYMBOL, erased)


def hard_bits(latents: Tensor) -> Tensor:
    """Bits ``[..., d]``, +1 or -1, of latents ``[..., d]``, with the gradient of training."""
    smooth = torch.tanh(on_sphere(latents))
    return signs(latents) + (smooth - smooth.detach())


def on_sphere(latents: Tensor) -> Tensor:
    """Latents ``[..., d]`` scaled to a mean square of 1 in every token: ``sqrt(d) z / |z|``, zero for zero."""
    return math.sqrt(latents.shape[-1]) * F.normalize(latents, dim=-1)


def signs(latents: Tensor) -> Tensor:
    """+1 where a latent is at least 0, -1 elsewhere; no gradient."""
    one = torch.ones((), dtype=latents.dtype, device=latents.device)
    return torch.where(latents.detach() >= 0, one, -one)


def quality_db(soft: Tensor, used: Tensor) -> Tensor:
    """``[B, K]``: rho / (1 - rho) [dB] of the mean reliability rho = mean s^2 of every token's bits, -10..30 dB."""
    rho = soft.square().sum(-1) / used.sum(-1).clamp(min=1)
    ratio = rho / (1 - rho).clamp_min(_LEAST_NOISE)
    return 10 * torch.log10(ratio.clamp_min(_LEAST_SIGNAL))
