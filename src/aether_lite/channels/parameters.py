"""Checks of the numbers a user gives to a channel, and the conversion from Es/N0 to noise variance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from aether_lite.errors import AetherError

SNR_RANGE_DB = (-30.0, 60.0)

SnrDb = float | Sequence[float] | Tensor
"""Es/N0 [dB]: one number, or one per item (``[B]``)."""


def checked_number(name: str, value: float, low: float, high: float) -> float:
    """``value`` as a finite float in [low, high].

    Raises:
        AetherError: it is not such a number.
    """
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise AetherError(f"{name} must be in {low:g}..{high:g}, not {value!r}")
    return number


def per_item(name: str, value: float | Sequence[float] | Tensor, like: Tensor, limits: tuple[float, float]) -> Tensor:
    """``[B] float64`` of a number, or of one per item.

    Raises:
        AetherError: not a number, out of the limits, or not one per item of ``like [B, ...]``.
    """
    try:
        numbers = torch.as_tensor(value, dtype=torch.float64, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise AetherError(f"{name} must be a number or one per item, not {value!r}") from None
    batch = like.shape[0]
    if numbers.ndim > 1 or (numbers.ndim == 1 and numbers.shape[0] != batch):
        raise AetherError(f"{name} must be one number or [{batch}], one per item, not {list(numbers.shape)}")
    inside = (numbers >= limits[0]) & (numbers <= limits[1])
    if not bool(inside.all()):
        bad = numbers.reshape(-1)[~inside.reshape(-1)][0].item()
        raise AetherError(f"{name} must be in {limits[0]:g}..{limits[1]:g}, not {bad:g}")
    return numbers.expand(batch)


def noise_variance(snr_db: SnrDb, values: Tensor) -> Tensor:
    """N0 = 10^(-SNR/10) for the nominal symbol energy Es = 1: ``[B]`` in the precision of ``values [B, K, n]``.

    Args:
        snr_db: Es/N0 [dB] in -30..60, a number or ``[B]``.

    Raises:
        AetherError: not a number, out of range, or not one per item.
    """
    return torch.pow(10.0, -per_item("snr_db", snr_db, values, SNR_RANGE_DB) / 10).to(values.real.dtype)
