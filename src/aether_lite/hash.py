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

Penalties (:class:`HashPenalties`) keep bits useful in training and change none. With E the running mean over tokens
(all d bits of a token, whatever the rate sends), z the scaled latents, b the bits::

    balance        mean_i E[b_i]^2                     a bit that is nearly always the same says nothing
    decorrelation  mean_{i != j} E[b_i b_j]^2          nor does one that repeats another
    confidence     mean_i E[(|z_i| - 1)^2]             scaled latents stay clear of the threshold

After n steps a batch of mean v makes m = c m + (1 - c) v with c = min(decay, (1 + n) / (10 + n)). A penalty's value is
that of the running means; its gradient is taken as if the batch alone had made the running mean (2 m dv for a square):
the decay sets the memory and not the size of the gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.jscc import SNR_RANGE_DB, Estimates
from aether_lite.losses.reduction import Reduce, alone
from aether_lite.payload import BIT_RATES, DEFAULT_BIT_RATE, Bits, ReceivedBits, widest_token

BITS_PER_SYMBOL = 2  # real latents in a complex one

_LEAST_NOISE = 10 ** (-SNR_RANGE_DB[1] / 10)
_LEAST_SIGNAL = 10 ** (SNR_RANGE_DB[0] / 10)


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

    def estimates(self, received: ReceivedBits, power: Tensor | None = None, used: Tensor | None = None) -> Estimates:
        """Estimates of the latents: soft bits in pairs.

        ``used [B, 1, n] bool`` marks positions that were sent; None for those of the rate.
        """
        used, erased = received.used if used is None else used, received.erased
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


PENALTIES = {"balance": 0.02, "decorrelation": 0.02, "confidence": 0.002}  # weights relative to the feature loss
DECAY = 0.99  # a memory of 100 steps


class HashPenalties(nn.Module):
    """Running statistics of bits and latents (d = ``count`` of a token); no weights, and no part of a codec.

    ``decay`` is the greatest c of the running means, ``reduce`` the sum of a tensor over the processes of a run,
    without gradient.
    """

    mean: Tensor
    product: Tensor
    spread: Tensor
    updates: Tensor

    def __init__(self, count: int, decay: float = DECAY, reduce: Reduce = alone) -> None:
        super().__init__()
        self.decay, self._reduce = decay, reduce
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("product", torch.zeros(count, count))
        self.register_buffer("spread", torch.zeros(count))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, latents: Tensor, bits: Tensor) -> dict[str, Tensor]:
        """Take a batch into the statistics; the penalties by name, a scalar each, at least 0.

        Args:
            latents: z, ``[B, K, d]``.
            bits: b, ``[B, K, d]``, with the gradient of the bottleneck.
        """
        z, b = latents.flatten(0, 1), bits.flatten(0, 1)
        mean = self._joined(b.mean(0), len(b))
        product = self._joined(b.T @ b / len(b), len(b))
        spread = self._joined((z.abs() - 1).square().mean(0), len(b))
        n = int(self.updates)
        keep = min(self.decay, (1 + n) / (10 + n))
        with torch.no_grad():
            for running, now in ((self.mean, mean), (self.product, product), (self.spread, spread)):
                running.lerp_(now, 1 - keep)
            self.updates += 1
        return {
            "balance": _running_square(self.mean, mean).mean(),
            "decorrelation": _off_diagonal_mean(_running_square(self.product, product)),
            "confidence": (self.spread.clone() + (spread - spread.detach())).mean(),
        }

    def _joined(self, own: Tensor, tokens: int) -> Tensor:
        """The mean over the tokens of all processes: its value everywhere, with this process's share of the gradient
        (which the data-parallel mean over processes completes)."""
        weight = own.new_tensor(float(tokens))
        joined = self._reduce(torch.cat((own.detach().reshape(-1) * weight, weight.reshape(1), own.new_ones(1))))
        total, processes = joined[-2], joined[-1]
        value = (joined[:-2] / total).reshape(own.shape)
        return value + (own - own.detach()) * (weight * processes / total)


def _running_square(running: Tensor, now: Tensor) -> Tensor:
    """The square of a running mean, with gradient 2 m at the batch's mean."""
    held = running.clone()
    return held.square() + 2 * held * (now - now.detach())


def _off_diagonal_mean(matrix: Tensor) -> Tensor:
    d = matrix.shape[0]
    return (matrix.sum() - matrix.diagonal().sum()) / max(d * (d - 1), 1)
