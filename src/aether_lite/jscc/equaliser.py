"""From received symbols and channel state to what the decoder network sees.

With the receiver's estimates h and N0 and unit symbol energy the linear MMSE equaliser and its reliability are

    r = conj(h) y / (|h|^2 + N0),   rho = |h|^2 / (|h|^2 + N0)

Where the mean squares of the latents are known, r is refined to the posterior mean of each real part x under a
Gaussian prior of variance v (in units of Es), in units of sqrt(v)::

    E[x | r] / sqrt(v) = r sqrt(v) / (v rho + (1 - rho) / 2)

Withheld entries are replaced by constants of the link (h = 1, N0 = 0.1) and flagged as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.jscc.power import ENERGY_FLOOR, first_pairs
from aether_lite.payload import Received

WITHHELD_NOISE_VARIANCE = 0.1


@dataclass(frozen=True)
class Equalised:
    """Receiver front-end output.

    Attributes:
        symbols: ``[B, K, n] complex``, MMSE estimates of the sent symbols, zero where nothing was received.
        reliability: ``[B, K, n]``, 0 (nothing known) .. 1 (noise-free).
        snr_db: ``[B, K]`` mean Es/N0 estimate of the token [dB], or None when withheld.
    """

    symbols: Tensor
    reliability: Tensor
    snr_db: Tensor | None


def equalise(received: Received, used: Tensor) -> Equalised:
    """MMSE equalisation; ``used [B, 1, n] bool`` marks the positions that were sent."""
    y, state = received.values, received.state
    real = y.real.dtype
    alive = used & ~state.erased[:, :, None]
    if state.noise_variance is None:
        noise = torch.full(y.shape[:2], WITHHELD_NOISE_VARIANCE, dtype=real, device=y.device)
        snr_db = None
    else:
        known = torch.isfinite(state.noise_variance)
        noise = torch.where(known, state.noise_variance, WITHHELD_NOISE_VARIANCE).to(real)
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


def parts(front: Equalised, used: Tensor, power: Tensor | None) -> tuple[Tensor, Tensor]:
    """What the decoder takes the two latents of every symbol for, each ``[B, K, n]``.

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
