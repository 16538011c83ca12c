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
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from aether_lite.channels.channel import (
    PILOT_SPACING,
    Csi,
    Draws,
    Generator,
    Seed,
    channel,
    checked_csi,
    known_elements,
    per_item,
    sliding,
)
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols, cast, check_payload, namespace, zeroed

if TYPE_CHECKING:
    from torch import Tensor as Array

BSC = "bsc"  # name of the binary symmetric channel
UNKNOWN_ERROR_RATE = 0.05
PROBABILITY_RANGE = (0.0, 1.0)
ERROR_RATE_RANGE = (0.0, 0.5)

Probability: TypeAlias = "float | Sequence[float] | Array"
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
    _, tokens, n = bits.values.shape
    p = per_item("error_rate", error_rate, bits.values, ERROR_RATE_RANGE)
    flipped = _by_position(Draws(bits.values, seed, generator), tokens, n) < p[:, None, None]
    arrived = namespace(flipped).where(flipped, -bits.values, bits.values)
    known = _known_error_rate(kind, p, bits, Draws(bits.values, seed, generator, stream=3), pilot_spacing)
    confidence = cast(1 - 2 * known, bits.values.dtype)[:, :, None]
    return delivered(bits, confidence * arrived, confidence**2)


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
    _, tokens, n = received.values.shape
    p = per_item("probability", probability, received.values, PROBABILITY_RANGE)
    lost = _by_position(Draws(received.values, seed, generator, stream=2), tokens, n) < p[:, None, None]
    return replace(received, values=zeroed(received.values, lost))


def delivered(bits: Bits, soft: Array, reliability: Array, erased: Array | None = None) -> ReceivedBits:
    """Soft bits s, ``[B, K, n]``, of a channel, with the gradient that training takes through it in place of their own.

    A symmetric channel is s = b m with m independent of b. Its derivative by b, averaged over what the receiver cannot
    see, is E[m | received] = E[b s | received] = s^2 (``reliability``, broadcastable): a bit that came through clearly
    passes its gradient, a lost one passes none, and a saturated tanh hides nothing.
    """
    values, xp = bits.values, namespace(bits.values)
    if erased is None:
        erased = xp.zeros(values.shape[:2], dtype=xp.bool, device=values.device)
    if hasattr(values, "detach"):
        soft = soft.detach() + reliability.detach() * (values - values.detach())
    return ReceivedBits(zeroed(soft, ~bits.used | erased[:, :, None]), bits.rate, erased, bits.token_frames)


def _by_position(draws: Draws, tokens: int, n: int) -> Array:
    """``[B, tokens, n] float64`` uniform; drawn bit position by bit position, so that fewer positions get the same
    numbers (an item's do not depend on the widest of its batch)."""
    return draws.uniform(n, tokens).swapaxes(1, 2)


def _known_error_rate(kind: Csi, p: Array, bits: Bits, draws: Draws, pilot_spacing: int) -> Array:
    """``[B, K] float64``: p' of every token; see the module's text."""
    tokens, xp = bits.values.shape[1], namespace(p)
    if kind != "estimated":
        known: Array = xp.tile((p if kind == "perfect" else xp.full_like(p, UNKNOWN_ERROR_RATE))[:, None], (1, tokens))
        return known
    window, pilots, sent = known_elements(bits, pilot_spacing)
    wrong = _by_position(draws, tokens + window, sent.shape[2]) < p[:, None, None]
    errors = sliding((wrong & sent).sum(-1), window).sum(-1)
    known = xp.clip((errors + 0.5) / (pilots * window + 1)[:, None], None, ERROR_RATE_RANGE[1])
    return known


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
    return delivered(bits, soft, soft**2, received.state.erased)


def modulated(bits: Bits, modulation: Modulation) -> Symbols:
    """Symbols ``[B, K, n] complex64`` (BPSK) or ``[B, K, n / 2]`` (QPSK) of bits; without gradient."""
    if modulation not in get_args(Modulation):
        raise AetherError(f"modulation must be one of {', '.join(get_args(Modulation))}, not {modulation!r}")
    check_payload(bits, Bits)
    values = bits.values.detach() if hasattr(bits.values, "detach") else bits.values
    if modulation == "bpsk":
        return Symbols(values + 0j, bits.rate, bits.token_frames)
    if bool((bits.rates % 2).any()) or bool((bits.counts % 2).any()):
        raise AetherError(f"QPSK sends pairs of bits: {bits.rate} bit/s gives no whole pairs in a token")
    pairs = values.reshape(*values.shape[:2], values.shape[2] // 2, 2) / math.sqrt(2)
    return Symbols(pairs[..., 0] + 1j * pairs[..., 1], bits.rate // 2, bits.token_frames)


def soft_bits(received: Received, modulation: Modulation) -> Array:
    """Soft bits ``[B, K, n] float32`` in [-1, 1] of received symbols, by the receiver's CSI."""
    y, state, xp = received.values, received.state, namespace(received.values)
    noise = xp.full_like(y[:, :, 0].real, math.nan) if state.noise_variance is None else state.noise_variance
    noise = xp.clip(xp.where(xp.isfinite(noise), noise, UNKNOWN_NOISE_VARIANCE), NOISE_FLOOR, None)
    aligned = y if state.gain is None else state.gain.conj() * y
    axes = xp.stack((aligned.real, aligned.imag)[: BITS_PER_USE[modulation]], -1)
    amplitude = 1 / math.sqrt(BITS_PER_USE[modulation])
    ratio = 4 * amplitude * axes.reshape(*y.shape[:2], y.shape[2] * BITS_PER_USE[modulation]) / noise[:, :, None]
    soft: Array = xp.tanh(xp.clip(ratio, -MAX_LLR, MAX_LLR) / 2)
    return soft
