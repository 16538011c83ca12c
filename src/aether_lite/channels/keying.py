"""Bits over modulated symbols: BPSK and QPSK through any channel of symbols, with soft decisions.

Model, bits b = +1 or -1, symbols of energy Es = 1::

    BPSK:  x = b                       one bit a use
    QPSK:  x = (b0 + i b1) / sqrt 2    two bits a use, bit 2j on the real and 2j + 1 on the imaginary axis of symbol j
    y = h x + w,    w ~ CN(0, N0)

With amplitude a = 1 (BPSK) or 1 / sqrt 2 (QPSK) per bit, noise N0 / 2 per axis and the receiver's estimates of h and N0
the log-likelihood ratio of a bit and its soft bit are::

    L = 4 a Re(conj(h) y) / N0    (Im for the second bit of QPSK),    s = tanh(L / 2)

A link at ``rate`` bit/s takes ``rate`` uses/s with BPSK and ``rate / 2`` with QPSK. SNR is Es/N0 per symbol, so QPSK
has half the energy per bit. A receiver without CSI takes h = 1 and N0 = 0.1.

Source: J. G. Proakis, M. Salehi, "Digital Communications" (5th ed. 2008), 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from aether_lite.channels.binary import delivered
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols

Modulation = Literal["bpsk", "qpsk"]

BITS_PER_USE: dict[str, int] = {"bpsk": 1, "qpsk": 2}
MAX_LLR = 30.0  # soft bits are 1 in float32 long before
NOISE_FLOOR = 1e-6  # a noise-free link divides by this
UNKNOWN_NOISE_VARIANCE = 0.1  # 10 dB


def keyed(bits: Bits, channel: Callable[[Symbols], Received], modulation: Modulation = "bpsk") -> ReceivedBits:
    """Send bits as symbols over a channel of symbols and decide softly.

    Args:
        bits: ``[B, K, n]``, what the transmitter sends.
        channel: such as ``lambda symbols: channels.rayleigh(symbols, 6.0, seed=1)``.
        modulation: ``bpsk`` or ``qpsk``.

    Raises:
        AetherError: the modulation is unknown, the bits do not fill its symbols, or the channel raises one.
    """
    return decided(bits, channel(modulated(bits, modulation)), modulation)


def decided(bits: Bits, received: Received, modulation: Modulation) -> ReceivedBits:
    """Soft decisions on symbols ``[B, K, n]`` that carried ``bits``, with the gradient that training takes to them."""
    soft = soft_bits(received, modulation)
    return delivered(bits, soft, soft.square(), received.state.erased)


def modulated(bits: Bits, modulation: Modulation) -> Symbols:
    """Symbols ``[B, K, n] complex64`` (BPSK) or ``[B, K, n / 2]`` (QPSK) of bits; without gradient.

    Raises:
        AetherError: the modulation is unknown, or a token's bits are no whole number of symbols.
    """
    if modulation not in get_args(Modulation):
        raise AetherError(f"modulation must be one of {', '.join(get_args(Modulation))}, not {modulation!r}")
    values = bits.values.detach()
    if modulation == "bpsk":
        return Symbols(torch.complex(values, torch.zeros_like(values)), bits.rate, bits.token_frames)
    if bool((torch.as_tensor(bits.rate) % 2).any()) or bool((bits.counts % 2).any()):
        raise AetherError(f"QPSK sends pairs of bits: {bits.rate} bit/s gives no whole pairs in a token")
    pairs = values.reshape(*values.shape[:2], values.shape[2] // 2, 2) / math.sqrt(2)
    return Symbols(torch.view_as_complex(pairs), bits.rate // 2, bits.token_frames)


def soft_bits(received: Received, modulation: Modulation) -> Tensor:
    """Soft bits ``[B, K, n] float32`` in [-1, 1] of received symbols, by the receiver's CSI."""
    y, state = received.values, received.state
    noise = (
        torch.full(y.shape[:2], torch.nan, device=y.device) if state.noise_variance is None else state.noise_variance
    )
    noise = torch.where(torch.isfinite(noise), noise, UNKNOWN_NOISE_VARIANCE).clamp_min(NOISE_FLOOR)
    aligned = y if state.gain is None else state.gain.conj() * y
    axes = torch.view_as_real(aligned)
    amplitude = 1 / math.sqrt(BITS_PER_USE[modulation])
    ratio = 4 * amplitude * axes[..., : BITS_PER_USE[modulation]].flatten(2) / noise[:, :, None]
    return torch.tanh(F.hardtanh(ratio, -MAX_LLR, MAX_LLR) / 2)
