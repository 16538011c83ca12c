"""Flat fading: Rayleigh and Rician, by blocks or with Jakes' Doppler spectrum.

Model, with symbols sent one after another (symbol j of a token at its start + j / rate)::

    y = h x + w,    w ~ CN(0, N0),    E|h|^2 = 1

    Rayleigh:  h = g
    Rician:    h = sqrt(K / (K+1)) exp(i (2 pi f_los t + phi)) + sqrt(1 / (K+1)) g

g ~ CN(0, 1) is constant over blocks of ``block_ms``, or, with ``doppler_hz`` f_d given, varies with Clarke's
spectrum (autocorrelation J0(2 pi f_d T)). SNR is the mean Es/N0, the deep fades are on top.

Sources: R. H. Clarke, "A statistical theory of mobile-radio reception", BSTJ 47 (1968); W. C. Jakes,
"Microwave Mobile Communications" (1974); S. O. Rice, "Mathematical analysis of random noise", BSTJ 24 (1945).
"""

from __future__ import annotations

import math

from torch import Tensor

from aether_lite.channels.awgn import faded_and_noisy
from aether_lite.channels.gain import block_gain, doppler_gain, line_of_sight
from aether_lite.channels.parameters import SnrDb, checked_number, noise_variance
from aether_lite.channels.randomness import Draws, Generator, Seed
from aether_lite.channels.state import (
    JAKES_COHERENCE,
    PILOT_SPACING,
    StateKind,
    channel_state,
    check_state,
    pilot_count,
)
from aether_lite.errors import AetherError
from aether_lite.payload import Received, Symbols

BLOCK_RANGE_MS = (0.5, 1e6)
DOPPLER_RANGE_HZ = (1e-4, 1000.0)
K_RANGE_DB = (-40.0, 60.0)


def rayleigh(
    symbols: Symbols,
    snr_db: SnrDb,
    *,
    block_ms: float = 40.0,
    doppler_hz: float | None = None,
    state: StateKind = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> Received:
    """Rayleigh fading: h ~ CN(0, 1), one independent gain for each block, or with Jakes' spectrum.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: mean Es/N0 [dB], -30..60, a number or ``[B]``.
        block_ms: length of a block [ms], 0.5..1e6; unused with ``doppler_hz``.
        doppler_hz: maximum Doppler shift f_d [Hz], 1e-4..1000; None for block fading.
        state: what the receiver knows, see :mod:`~aether_lite.channels.state`.
        seed: one integer, or one per item (the item then gets the channel it would get alone).
        generator: a generator instead of a seed.
        pilot_spacing: symbols for each pilot, for the estimated state.

    Raises:
        AetherError: an option is out of range.
    """
    check_state(state, pilot_spacing)
    draws = Draws(symbols.values.shape[0], symbols.values.device, seed, generator)
    gain = _scattered(symbols, block_ms, doppler_hz, draws)
    return _received(symbols, gain, snr_db, _coherence_s(block_ms, doppler_hz), state, pilot_spacing, draws)


def rician(
    symbols: Symbols,
    snr_db: SnrDb,
    *,
    k_db: float = 6.0,
    block_ms: float = 40.0,
    doppler_hz: float | None = None,
    los_doppler_hz: float = 0.0,
    state: StateKind = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> Received:
    """Rician fading: Rayleigh fading plus a line of sight of power K / (K + 1), E|h|^2 = 1.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: mean Es/N0 [dB], -30..60, a number or ``[B]``.
        k_db: K, power of the line of sight over that of the scattered waves [dB], -40..60.
        block_ms: length of a block [ms], 0.5..1e6; unused with ``doppler_hz``.
        doppler_hz: maximum Doppler shift f_d [Hz] of the scattered waves; None for block fading.
        los_doppler_hz: Doppler shift of the line of sight [Hz], -f_d..f_d; its phase is random for each item.
        state: what the receiver knows, see :mod:`~aether_lite.channels.state`.
        seed: one integer, or one per item (the item then gets the channel it would get alone).
        generator: a generator instead of a seed.
        pilot_spacing: symbols for each pilot, for the estimated state.

    Raises:
        AetherError: an option is out of range.
    """
    check_state(state, pilot_spacing)
    k = 10 ** (checked_number("k_db", k_db, *K_RANGE_DB) / 10)
    if doppler_hz is None and los_doppler_hz != 0:
        raise AetherError("los_doppler_hz needs doppler_hz: block fading has no Doppler shift")
    widest = 0.0 if doppler_hz is None else checked_number("doppler_hz", doppler_hz, *DOPPLER_RANGE_HZ)
    shift = checked_number("los_doppler_hz", los_doppler_hz, -widest, widest)
    draws = Draws(symbols.values.shape[0], symbols.values.device, seed, generator)
    scattered = _scattered(symbols, block_ms, doppler_hz, draws)
    direct = line_of_sight(symbols.token_start(), symbols.serial_offset(), shift, draws, symbols.values.dtype)
    gain = math.sqrt(k / (k + 1)) * direct + math.sqrt(1 / (k + 1)) * scattered
    return _received(symbols, gain, snr_db, _coherence_s(block_ms, doppler_hz), state, pilot_spacing, draws)


def _coherence_s(block_ms: float, doppler_hz: float | None) -> float:
    return block_ms / 1000 if doppler_hz is None else JAKES_COHERENCE / doppler_hz


def _scattered(symbols: Symbols, block_ms: float, doppler_hz: float | None, draws: Draws) -> Tensor:
    """g, ``[B, K, n] complex``."""
    start, offset, dtype = symbols.token_start(), symbols.serial_offset(), symbols.values.dtype
    if doppler_hz is None:
        block_s = checked_number("block_ms", block_ms, *BLOCK_RANGE_MS) / 1000
        return block_gain(start, offset, symbols.seconds, block_s, draws, dtype)
    return doppler_gain(
        start, offset, "jakes", checked_number("doppler_hz", doppler_hz, *DOPPLER_RANGE_HZ), draws, dtype
    )


def _received(
    symbols: Symbols,
    gain: Tensor,
    snr_db: SnrDb,
    coherence_s: float,
    state: StateKind,
    pilot_spacing: int,
    draws: Draws,
) -> Received:
    n0 = noise_variance(snr_db, symbols.values)
    values = faded_and_noisy(symbols, gain, n0, draws)
    error: Tensor | None = None
    if state == "estimated":
        deviation = (n0 / pilot_count(symbols, coherence_s, pilot_spacing)).sqrt()
        error = deviation[:, None, None] * block_gain(
            symbols.token_start(), symbols.serial_offset(), symbols.seconds, coherence_s, draws, gain.dtype
        )
    known = channel_state(state, symbols, n0, draws, gain=gain, gain_error=error, pilot_spacing=pilot_spacing)
    return Received(values, symbols.rate, known, symbols.token_frames)
