"""The power constraint: nominal symbol energy Es = 1.

Latent symbols are ordered; a rate sends the first n of a token, scaled in one of two ways.

``token``: the mean energy of every token that is sent is exactly 1::

    x_j = z_j * sqrt(n / sum_{i < n} |z_i|^2),   j = 0 .. n - 1

``session``: the mean energy over speech is 1. The scale is a constant of the rate, from mean squares of the latents
that were measured on training data and are part of the checkpoint; a token with little to say costs less::

    x_j = z_j * sqrt(n / sum_{i < n} E|z_i|^2)

Either scale is one positive number, so a prefix of a faster stream differs from the slower stream in that number
alone. It is never taken over a clip or a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.errors import AetherError

POWERS = ("token", "session")
"""Power constraints a codec may have."""
ENERGY_FLOOR = 1e-9  # keeps the gradient finite for an all-zero token
_FOLLOW = 0.98  # decay of the running mean squares while training


def checked_power(power: str) -> str:
    """``power`` if it is a known constraint; else a stated error."""
    if power not in POWERS:
        raise AetherError(f"power constraint {power!r} is not one of {', '.join(POWERS)}")
    return power


class LatentPower(nn.Module):
    """Mean squares of the real latents over speech: constants of the checkpoint, in buffer ``values [2 n_max]``.

    While training they follow the batches; at the end they are measured on training data.

    Args:
        latents: real latents per token, 2 n_max.
    """

    values: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.ones(latents))

    @torch.no_grad()
    def set(self, values: Tensor) -> None:
        """Take measured mean squares ``[2 n_max]``."""
        self.values.copy_(values.clamp_min(ENERGY_FLOOR))

    @torch.no_grad()
    def follow(self, latents: Tensor) -> None:
        """Move towards those of a batch ``[B, K, 2 n_max]``."""
        seen = latents.float().square().mean((0, 1))
        self.set(self.values.lerp(seen, 1 - _FOLLOW))

    def pairs(self, n: int) -> Tensor:
        """Mean squares of the first ``n`` latent symbols' two parts, ``[n, 2]``."""
        return self.values[: 2 * n].reshape(n, 2)


def normalise_prefix(latent: Tensor, used: Tensor) -> Tensor:
    """Scale the used prefix of every token to mean energy 1 and zero the rest.

    Args:
        latent: ``[B, K, n] complex``.
        used: ``[B, 1, n] bool``, the prefix that is sent.
    """
    kept = _kept(latent, used)
    energy = (kept.real.square() + kept.imag.square()).sum(-1, keepdim=True)
    count = used.sum(-1, keepdim=True).to(energy.dtype)
    return kept * torch.sqrt(count / (energy + ENERGY_FLOOR))


def scale_prefix(latent: Tensor, used: Tensor, power: LatentPower) -> Tensor:
    """Scale the used prefix by the constant that gives it mean energy 1 over speech, and zero the rest.

    The gradient sees the scale as if it came from this batch, so that it pays for power; the value does not.

    Args:
        latent: ``[B, K, n] complex``.
        used: ``[B, 1, n] bool``, the prefix that is sent.
        power: the constants.
    """
    each = power.pairs(latent.shape[-1]).sum(-1)
    if latent.requires_grad:
        seen = (latent.real.square() + latent.imag.square()).mean((0, 1))
        each = each + (seen - seen.detach())
    count = used.sum(-1, keepdim=True).to(each.dtype)
    energy = (each * used).sum(-1, keepdim=True)
    return _kept(latent, used) * torch.sqrt(count / (energy + ENERGY_FLOOR))


def papr_db(values: Tensor) -> float:
    """Peak-to-average power ratio of complex symbols of any shape [dB]."""
    power = values.real.square() + values.imag.square()
    return float(10 * torch.log10(power.max() / power.mean()))


def _kept(latent: Tensor, used: Tensor) -> Tensor:
    return torch.where(used, latent, torch.zeros((), dtype=latent.dtype, device=latent.device))
