"""The power constraint: nominal symbol energy Es = 1 for every token that is sent.

Latent symbols are ordered; a rate sends the first n of a token, scaled so that their mean energy is exactly 1:

    x_j = z_j * sqrt(n / sum_{i < n} |z_i|^2),   j = 0 .. n - 1

The scale is one positive number per token that depends on nothing but the symbols sent, so a prefix of a faster
stream differs from the slower stream in that number alone. It is never taken over a clip or a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

ENERGY_FLOOR = 1e-9  # keeps the gradient finite for an all-zero token


def normalise_prefix(latent: Tensor, used: Tensor) -> Tensor:
    """Scale the used prefix of every token to mean energy 1 and zero the rest.

    Args:
        latent: ``[B, K, n] complex``.
        used: ``[B, 1, n] bool``, the prefix that is sent.
    """
    kept = torch.where(used, latent, torch.zeros((), dtype=latent.dtype, device=latent.device))
    energy = (kept.real.square() + kept.imag.square()).sum(-1, keepdim=True)
    count = used.sum(-1, keepdim=True).to(energy.dtype)
    return kept * torch.sqrt(count / (energy + ENERGY_FLOOR))


def papr_db(values: Tensor) -> float:
    """Peak-to-average power ratio of complex symbols of any shape [dB]."""
    power = values.real.square() + values.imag.square()
    return float(10 * torch.log10(power.max() / power.mean()))
