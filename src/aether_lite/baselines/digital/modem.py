"""QPSK and 16-QAM with Gray labels (Sionna's, 3GPP TS 38.211), and soft bits from what was received.

The receiver's front end is that of the codec (:func:`aether_lite.jscc.equaliser.equalise`) with the same channel
state. Its MMSE estimate r of reliability rho is made unbiased::

    y / h = r / rho,    N0 / |h|^2 = (1 - rho) / rho

and each bit gets log p(1) - log p(0) (a posteriori, all points counted), 0 in lost tokens.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from aether_lite.baselines.digital.missing import require_package
from aether_lite.channels import Received
from aether_lite.jscc.equaliser import equalise

BITS_PER_SYMBOL = {"qpsk": 2, "16qam": 4}
"""Modulation -> bits in a symbol."""

LEAST_RELIABILITY = 1e-6  # keeps a symbol in a deep fade finite: its soft bits are then about 0
CPU = "cpu"


def require_sionna() -> None:
    """Raise MissingToolError where Sionna is not installed."""
    require_package("sionna", "sionna-no-rt", "the digital baseline (LDPC, QAM)")


def modulate(bits: Tensor, modulation: str) -> Tensor:
    """Symbols ``[..., n] complex64`` of mean power 1 of bits ``[..., n m]`` (0 or 1), m bits a symbol."""
    symbols: Tensor = _mapper(modulation)(bits)
    return symbols


def soft_bits(received: Received, modulation: str) -> Tensor:
    """``[B, K, n m] float32``: log p(1) - log p(0) of every bit of ``received [B, K, n]``."""
    used = torch.ones_like(received.values[:, :1], dtype=torch.bool)
    front = equalise(received, used)
    reliability = front.reliability.clamp(min=LEAST_RELIABILITY)
    noise = (1 - reliability) / reliability
    logits: Tensor = _demapper(modulation)(front.symbols / reliability, noise)
    return logits.masked_fill(received.state.erased[:, :, None], 0.0)


@cache
def _mapper(modulation: str) -> Any:
    require_sionna()
    from sionna.phy.mapping import Mapper

    return Mapper("qam", BITS_PER_SYMBOL[modulation], precision="single", device=CPU)


@cache
def _demapper(modulation: str) -> Any:
    require_sionna()
    from sionna.phy.mapping import Demapper

    return Demapper("app", "qam", BITS_PER_SYMBOL[modulation], precision="single", device=CPU)
