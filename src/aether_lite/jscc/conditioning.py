"""Conditioning of the mapping on SNR and rate (FiLM: feature-wise scale and shift)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SNR_RANGE_DB = (-10.0, 30.0)  # the networks are told no value outside it
REFERENCE_RATE = 600.0  # uses/s whose logarithm is the zero of the rate input


def snr_inputs(snr_db: Tensor | None, like: Tensor) -> Tensor:
    """``[B, K, 2]``: SNR / 10 dB and a flag that it is known; zeros where it is not (None or NaN).

    Args:
        snr_db: ``[B, K]`` [dB] or None.
        like: ``[B, K, ...]``, gives shape, dtype and device.
    """
    if snr_db is None:
        return like.new_zeros(*like.shape[:2], 2)
    known = torch.isfinite(snr_db)
    value = torch.nan_to_num(snr_db.clamp(*SNR_RANGE_DB)) / 10
    return torch.stack((torch.where(known, value, torch.zeros_like(value)), known.to(value.dtype)), dim=-1).to(
        like.dtype
    )


def rate_inputs(rates: Tensor, like: Tensor) -> Tensor:
    """``[B, K, 1]``: log2(rate / 600 uses/s) of every item; ``rates [B]`` [uses/s]."""
    value = torch.log2(rates.to(like.dtype) / REFERENCE_RATE)
    return value[:, None, None].expand(*like.shape[:2], 1)


class FiLM(nn.Module):
    """``x * (1 + scale) + shift`` with scale and shift from a small network of the conditions; starts as identity.

    Args:
        conditions: number of condition values per token.
        width: features to modulate.
    """

    def __init__(self, conditions: int, width: int, hidden: int = 32) -> None:
        super().__init__()
        self.inner = nn.Linear(conditions, hidden)
        self.outer = nn.Linear(hidden, 2 * width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """``x [B, K, width]``, ``conditions [B, K, C]``."""
        scale, shift = self.outer(F.silu(self.inner(conditions))).chunk(2, dim=-1)
        modulated: Tensor = x * (1 + scale) + shift
        return modulated
