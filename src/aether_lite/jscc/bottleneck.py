"""Bottleneck of a codec of symbols: latents to power-constrained symbols, received symbols to estimates of latents.

With the receiver's estimates h and N0 and unit symbol energy the linear MMSE equaliser and its reliability are

    r = conj(h) y / (|h|^2 + N0),   rho = |h|^2 / (|h|^2 + N0)

Where the mean squares of the latents are known, r is refined to the posterior mean of each real part x under a
Gaussian prior of variance v (in units of Es), in units of sqrt(v)::

    E[x | r] / sqrt(v) = r sqrt(v) / (v rho + (1 - rho) / 2)

Unknown entries are replaced by constants of the link (h = 1, N0 = 0.1) and flagged as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.jscc.mapping import RATES, Estimates
from aether_lite.jscc.power import ENERGY_FLOOR, first_pairs, scaled
from aether_lite.payload import Received, Symbols, widest_token

UNKNOWN_NOISE_VARIANCE = 0.1  # N0 of a receiver without CSI: 10 dB


@dataclass(frozen=True)
class Equalised:
    """Receiver front-end output.

    Attributes:
        symbols: ``[B, K, n] complex``, MMSE estimates of the sent symbols, zero where nothing was received.
        reliability: ``[B, K, n]``, 0 (nothing known) .. 1 (noise-free).
        snr_db: ``[B, K]`` mean Es/N0 estimate of the token [dB]; None where unknown, NaN where unknown for a token.
    """

    symbols: Tensor
    reliability: Tensor
    snr_db: Tensor | None


class SymbolBottleneck:
    """Pairs of latents as complex symbols."""

    unit = Symbols.unit
    rates = RATES
    default_rate = 1000
    received = Received

    def send(self, latents: Tensor, rate: int | Tensor, token_frames: int, power: Tensor | None = None) -> Symbols:
        """Symbols of latents ``[B, K, 2 n_max]``.

        Args:
            rate: [uses/s], an int, or ``[B] int64`` for mixed ones.
            power: mean squares ``[2 n_max]`` of the latents for long-term average power; None for per-token power.
        """
        n = widest_token(rate, token_frames)
        sent = Symbols(paired(latents)[..., :n], rate, token_frames)
        return Symbols(scaled(sent.values, sent.used, power), rate, token_frames)

    def estimates(self, received: Received, power: Tensor | None = None, used: Tensor | None = None) -> Estimates:
        """Estimates of the latents behind the equaliser.

        Args:
            power: mean squares ``[2 n_max]`` of the latents, where known, for posterior means.
            used: ``[B, 1, n] bool``, positions that were sent; None for those of the rate.
        """
        used = received.used if used is None else used
        front = equalise(received, used)
        return Estimates(
            *latent_estimates(front, used, power), front.reliability, front.snr_db, received.rates, received.erased
        )


def paired(latents: Tensor) -> Tensor:
    """Latents ``[B, K, 2 n]`` in pairs, ``[B, K, n] complex``: symbols before the power constraint."""
    return torch.view_as_complex(torch.unflatten(latents, -1, (-1, 2)))


def equalise(received: Received, used: Tensor) -> Equalised:
    """MMSE equalisation; ``used [B, 1, n] bool`` marks the positions that were sent."""
    y, state = received.values, received.state
    real = y.real.dtype
    alive = used & ~state.erased[:, :, None]
    if state.noise_variance is None:
        noise = torch.full(y.shape[:2], UNKNOWN_NOISE_VARIANCE, dtype=real, device=y.device)
        snr_db = None
    else:
        known = torch.isfinite(state.noise_variance)
        noise = torch.where(known, state.noise_variance, UNKNOWN_NOISE_VARIANCE).to(real)
        snr_db = -10 * torch.log10(state.noise_variance.to(real).clamp_min(1e-6))  # NaN stays NaN: unknown
    noise = noise[:, :, None]
    if state.gain is None:
        reliability = (1 / (1 + noise)).expand(y.shape)
        symbols = y * reliability
    else:
        power = state.gain.real.square() + state.gain.imag.square()
        symbols = state.gain.conj() * y / (power + noise + 1e-9)
        reliability = power / (power + noise + 1e-9)
    zero = torch.zeros((), dtype=real, device=y.device)
    return Equalised(
        symbols=torch.where(alive, symbols, zero.to(symbols.dtype)),
        reliability=torch.where(alive, reliability, zero),
        snr_db=snr_db,
    )


def latent_estimates(front: Equalised, used: Tensor, power: Tensor | None) -> tuple[Tensor, Tensor]:
    """Estimates of the two latents of every symbol, each ``[B, K, n]``.

    Args:
        front: equalised symbols.
        used: ``[B, 1, n] bool``, the prefix that was sent.
        power: mean squares ``[2 n_max]`` of the latents, before the scale of the rate: posterior means, each in units
            of its own root mean square; None: real and imaginary part of the MMSE estimate.
    """
    first, second = front.symbols.real, front.symbols.imag
    if power is None:
        return first, second
    prior = first_pairs(power, first.shape[2])
    energy = (prior * used[..., None]).sum((-1, -2), keepdim=True)
    prior = prior * (used.sum(-1)[..., None, None] / energy)
    rho = front.reliability[..., None]
    factor = prior.sqrt() / (prior * rho + (1 - rho) / 2 + ENERGY_FLOOR)
    return first * factor[..., 0], second * factor[..., 1]
