"""Symbols to send."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from aether_lite.channels import Symbols

MakeSymbols = Callable[..., Symbols]


def unit_symbols(
    batch: int = 1,
    tokens: int = 50,
    rate: int | Tensor = 1000,
    token_frames: int = 8,
    dtype: torch.dtype = torch.complex64,
) -> Symbols:
    """Symbols of modulus 1 and random phase; every position is filled, also those that are not sent."""
    n = int(torch.as_tensor(rate).max()) * token_frames // 100
    phase = 2 * math.pi * torch.rand(batch, tokens, n, generator=torch.Generator().manual_seed(0)).double()
    return Symbols(torch.polar(torch.ones_like(phase), phase).to(dtype), rate, token_frames)


@pytest.fixture
def make_symbols() -> MakeSymbols:
    return unit_symbols
