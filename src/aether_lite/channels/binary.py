"""Channels of bits: the binary symmetric channel, erasures of single bits, and BPSK or QPSK with soft decisions.

Model of the binary symmetric channel (BSC), bits b = +1 or -1::

    y = b e,    P(e = -1) = p  (the error rate),    s = E[b | y] = (1 - 2 p') y

p' is what the receiver knows of p:

``perfect``
    p' = p.
``estimated`` (default)
    From known bits, one for every ``pilot_spacing`` (default 10) of the payload, of the last second (a sliding window
    of whole tokens that was full before the clip began): with e errors among P of them p' = (e + 1/2) / (P + 1), the
    mean after Jeffreys' prior, so that a second without errors is not taken for an error-free link. Not above 1/2.
    (Pilots are not counted in the rate.)
``none``
    p' = 0.05, a constant.

The bit errors of a stream and those of its prefix at a lower rate are the same for the same seeds per item.

Bits over modulated symbols of energy Es = 1, through any channel of symbols::

    BPSK:  x = b                       one bit a use
    QPSK:  x = (b0 + i b1) / sqrt 2    two bits a use, bit 2j on the real and 2j + 1 on the imaginary axis of symbol j
    y = h x + w,    w ~ CN(0, N0)

With amplitude a = 1 (BPSK) or 1 / sqrt 2 (QPSK) per bit, noise N0 / 2 per axis and the receiver's estimates of h and N0
the log-likelihood ratio of a bit and its soft bit are::

    L = 4 a Re(conj(h) y) / N0    (Im for the second bit of QPSK),    s = tanh(L / 2)

A link at ``rate`` bit/s takes ``rate`` uses/s with BPSK and ``rate / 2`` with QPSK. SNR is Es/N0 per symbol, so QPSK
has half the energy per bit. A receiver without CSI takes h = 1 and N0 = 0.1.

Sources: T. M. Cover, J. A. Thomas, "Elements of Information Theory", ch. 7; H. Jeffreys, "Theory of Probability" (3rd
ed. 1961), 3.10 (the prior); J. G. Proakis, M. Salehi, "Digital Communications" (5th ed. 2008), 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from aether_lite.channels.channel import (
    NOISE_WINDOW_S,
    PILOT_SPACING,
    Csi,
    Draws,
    Generator,
    Seed,
    channel,
    checked_csi,
    per_item,
)
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, Bits, Received, ReceivedBits, Symbols, check_payload

BSC = "bsc"  # name of the binary symmetric channel
UNKNOWN_ERROR_RATE = 0.05
PROBABILITY_RANGE = (0.0, 1.0)
ERROR_RATE_RANGE = (0.0, 0.5)

Probability = float | Sequence[float] | Tensor
"""A probability: one number, or one per item (``[B]``)."""


@channel(BSC, needs_snr=False, of_bits=True)
def bsc(
    bits: Bits,
    error_rate: Probability,
    *,
    csi: str = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
    state: str | None = None,
) -> ReceivedBits:
    """Binary symmetric channel: every bit is flipped with probability p.

    Args:
        bits: ``[B, K, n]``, what the transmitter sends.
        error_rate: p, 0..0.5, a number or ``[B]``.
        csi: what the receiver knows of p, see the module's text.
        seed, generator, pilot_spacing, state: those of every channel, :class:`~aether_lite.channels.channel.Options`.
    """
    check_payload(bits, Bits)
    kind = checked_csi(csi, pilot_spacing, state)
    batch, tokens, n = bits.values.shape
    p = per_item("error_rate", error_rate, bits.values, ERROR_RATE_RANGE)
    draws = Draws(batch, bits.values.device, seed, generator)
    flipped = _by_position(draws, tokens, n) < p[:, None, None]
    arrived = torch.where(flipped, -bits.values, bits.values)
    pilots = Draws(batch, bits.values.device, seed, generator, stream=3)
    known = _known_error_rate(kind, p, bits, pilots, pilot_spacing)
    confidence = (1 - 2 * known).to(bits.values.dtype)[:, :, None]
    return delivered(bits, confidence * arrived, confidence.square())


def lose_bits(
    received: ReceivedBits,
    probability: Probability,
    *,
    seed: Seed = None,
    generator: Generator | None = None,
) -> ReceivedBits:
    """Erase single bits: their soft bits become 0, and nothing marks them.

    Args:
        received: what another channel gave.
        probability: share of bits lost, 0..1, a number or ``[B]``.
        seed: one integer, or one per item.
        generator: a generator instead of a seed.
    """
    check_payload(received, ReceivedBits)
    batch, tokens, n = received.values.shape
    p = per_item("probability", probability, received.values, PROBABILITY_RANGE)
    draws = Draws(batch, received.values.device, seed, generator, stream=2)
    lost = _by_position(draws, tokens, n) < p[:, None, None]
    return replace(received, values=received.values.masked_fill(lost, 0))


def delivered(bits: Bits, soft: Tensor, reliability: Tensor, erased: Tensor | None = None) -> ReceivedBits:
    """Soft bits s, ``[B, K, n]``, of a channel, with the gradient that training takes through it in place of their own.

    A symmetric channel is s = b m with m independent of b. Its derivative by b, averaged over what the receiver cannot
    see, is E[m | received] = E[b s | received] = s^2 (``reliability``, broadcastable): a bit that came through clearly
    passes its gradient, a lost one passes none, and a saturated tanh hides nothing.
    """
    if erased is None:
        erased = torch.zeros(bits.values.shape[:2], dtype=torch.bool, device=bits.values.device)
    silent = ~bits.used | erased[:, :, None]
    path = reliability.detach() * (bits.values - bits.values.detach())
    return ReceivedBits((soft.detach() + path).masked_fill(silent, 0), bits.rate, erased, bits.token_frames)


def _by_position(draws: Draws, tokens: int, n: int) -> Tensor:
    """``[B, tokens, n] float64`` uniform; drawn bit position by bit position, so that fewer positions get the same
    numbers (an item's do not depend on the widest of its batch)."""
    return draws.uniform(n, tokens).transpose(1, 2)


def _known_error_rate(kind: Csi, p: Tensor, bits: Bits, draws: Draws, pilot_spacing: int) -> Tensor:
    """``[B, K] float64``: p' of every token; see the module's text."""
    batch, tokens, _ = bits.values.shape
    if kind == "perfect":
        return p[:, None].expand(batch, tokens)
    if kind == "none":
        return torch.full((batch, tokens), UNKNOWN_ERROR_RATE, dtype=p.dtype, device=p.device)
    window = max(1, round(NOISE_WINDOW_S * FRAMES_PER_SECOND / bits.token_frames))
    pilots = torch.round(bits.counts / pilot_spacing).long().clamp(min=1)
    widest = int(pilots.max()) if batch else 1
    wrong = _by_position(draws, tokens + window, widest) < p[:, None, None]
    counted = wrong & (torch.arange(widest, device=p.device) < pilots[:, None, None])
    errors = counted.sum(-1).unfold(1, window, 1).sum(-1)[:, 1:]
    seen = (pilots * window)[:, None]
    return ((errors + 0.5) / (seen + 1)).clamp(max=ERROR_RATE_RANGE[1])


Modulation = Literal["bpsk", "qpsk"]

BITS_PER_USE: dict[str, int] = {"bpsk": 1, "qpsk": 2}
MAX_LLR = 30.0  # soft bits are 1 in float32 long before
NOISE_FLOOR = 1e-6  # a noise-free link divides by this
UNKNOWN_NOISE_VARIANCE = 0.1  # 10 dB


def keyed(bits: Bits, channel: Callable[[Symbols], Received], modulation: Modulation = "bpsk") -> ReceivedBits:
    """Send bits ``[B, K, n]`` as symbols over a channel of symbols and decide softly.

    Args:
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
    """Symbols ``[B, K, n] complex64`` (BPSK) or ``[B, K, n / 2]`` (QPSK) of bits; without gradient."""
    if modulation not in get_args(Modulation):
        raise AetherError(f"modulation must be one of {', '.join(get_args(Modulation))}, not {modulation!r}")
    check_payload(bits, Bits)
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
    noise = torch.full(y.shape[:2], torch.nan, device=y.device)
    noise = noise if state.noise_variance is None else state.noise_variance
    noise = torch.where(torch.isfinite(noise), noise, UNKNOWN_NOISE_VARIANCE).clamp_min(NOISE_FLOOR)
    aligned = y if state.gain is None else state.gain.conj() * y
    axes = torch.view_as_real(aligned)
    amplitude = 1 / math.sqrt(BITS_PER_USE[modulation])
    ratio = 4 * amplitude * axes[..., : BITS_PER_USE[modulation]].flatten(2) / noise[:, :, None]
    return torch.tanh(F.hardtanh(ratio, -MAX_LLR, MAX_LLR) / 2)
