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


def noise_variance(snr_db: SnrDb, values: Tensor) -> Tensor:
    """N0 = 10^(-SNR/10) for the nominal symbol energy Es = 1; the clip's own power is never measured.

    Args:
        snr_db: Es/N0 [dB] in -30..60, a number or ``[B]``.
        values: ``[B, K, n] complex``, gives batch size, device and precision.

    Returns:
        ``[B] float32`` (``float64`` for complex128): variance of the complex noise, N0/2 per real dimension.

    Raises:
        AetherError: not a number, out of range, or not one per item.
    """
    try:
        snr = torch.as_tensor(snr_db, dtype=torch.float64, device=values.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise AetherError(f"snr_db must be a number in dB or one per item, not {snr_db!r}") from None
    batch = values.shape[0]
    if snr.ndim > 1 or (snr.ndim == 1 and snr.shape[0] != batch):
        raise AetherError(f"snr_db must be one number or [{batch}], one per item, not {list(snr.shape)}")
    low, high = SNR_RANGE_DB
    if not bool(((snr >= low) & (snr <= high)).all()):
        bad = snr.reshape(-1)[~((snr >= low) & (snr <= high)).reshape(-1)][0].item()
        raise AetherError(f"snr_db must be in {low:g}..{high:g} dB, not {bad:g}")
    return torch.pow(10.0, -snr / 10).expand(batch).to(values.real.dtype)
