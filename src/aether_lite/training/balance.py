"""Weights of items by what their channel lets through, so that bad channels do not drown good ones."""

from __future__ import annotations

import torch
from torch import Tensor


def expected_loss(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Rough feature loss ``[B]`` to expect at a rate [uses/s] and Es/N0 [dB]: a + b / C^0.7, C = capacity [bit/s].

    Fitted by eye to the loss of early models over rates 150..1200 and -6..20 dB. It only balances conditions.
    """
    return _loss_at_capacity(rate * torch.log2(1 + 10 ** (snr_db / 10)))


def _loss_at_capacity(capacity: Tensor) -> Tensor:
    return 0.07 + 13.0 * capacity.clamp_min(1.0) ** -0.7


def expected_bit_loss(rate: Tensor, error_rate: Tensor) -> Tensor:
    """The same ``[B]`` of bit rates [bit/s] at the error rates ``[B]`` of hard decisions: capacity of the BSC."""
    p = error_rate.double().clamp(1e-12, 0.5)
    entropy = -(p * p.log2() + (1 - p) * (1 - p).log2())
    capacity = (rate * (1 - entropy)).to(error_rate.dtype)
    return _loss_at_capacity(capacity)


def balance(expected: Tensor, exponent: float = 0.5) -> Tensor:
    """Weights ``[B]`` proportional to expected^-exponent; 0 counts every error alike, 1 every relative one."""
    return (expected / 0.15) ** -exponent
