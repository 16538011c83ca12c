"""Watterson's model of a short-wave (HF) channel: two paths of equal power that fade independently.

Gain on the grid of slots and subcarriers (:mod:`aether_lite.channels.fading`)::

    h(t, f) = (a1(t) + a2(t) exp(-i 2 pi f tau)) / sqrt 2

a1 and a2 are independent with a Gaussian Doppler spectrum of standard deviation sigma. The spread that names a channel
is two-sided, ``spread_hz = 2 sigma``, as Watterson defines it: E[a(t + T) a*(t)] = exp(-2 (pi sigma T)^2). In frequency
the gains at distance d correlate as (1 + exp(-i 2 pi d tau)) / 2, so notches repeat every 1 / tau (500 Hz for MPP). The
gain is constant within a slot of 20 ms; Doppler leakage between subcarriers is left out.

========  ======  ======
profile   delay   spread
========  ======  ======
``mpg``   0.5 ms  0.1 Hz
``mpp``   2 ms    1 Hz
``mpd``   4 ms    2 Hz
========  ======  ======

Estimated CSI: the two path gains are fitted to the same pilots, the delay known. Least squares then leaves
an error e = (e1 + e2 exp(-i 2 pi f tau)) / sqrt 2, e1 and e2 ~ CN(0, N0 / P) independent with P half the
pilots of the coherence time, which is 0.299 / sigma (:mod:`~aether_lite.channels.channel`). For a band narrower
than 1 / tau this overstates how unlike the errors of distant subcarriers are, not their mean power.

Sources: C. C. Watterson, J. R. Juroshek, W. D. Bensema, "Experimental confirmation of an HF channel model",
IEEE Trans. Commun. Technol. 18 (1970); ITU-R F.1487 (2000), which uses the same two-sided spread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

from aether_lite.channels.channel import (
    GAUSSIAN_COHERENCE,
    Draws,
    Gain,
    Options,
    SnrDb,
    channel,
    checked_number,
    transmit,
)
from aether_lite.channels.fading import block_gain, doppler_gain, rotation, slot_offset, subcarrier_hz, token_start
from aether_lite.payload import Received, Symbols, cast, check_payload, namespace

if TYPE_CHECKING:
    from torch import Tensor as Array

DELAY_RANGE_MS = (0.0, 20.0)  # up to a slot
SPREAD_RANGE_HZ = (1e-4, 50.0)  # up to a subcarrier


def watterson(
    symbols: Symbols, snr_db: SnrDb, *, delay_ms: float, spread_hz: float, **options: Unpack[Options]
) -> Received:
    """Two equal paths with Gaussian Doppler spectra, frequency selective.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: mean Es/N0 [dB], -30..60, a number or ``[B]``.
        delay_ms: tau, delay between the paths [ms], 0..20.
        spread_hz: two-sided Doppler spread 2 sigma of each path [Hz], 1e-4..50.
        options: those of every channel, :class:`~aether_lite.channels.channel.Options`.
    """
    delay_s = checked_number("delay_ms", delay_ms, *DELAY_RANGE_MS) / 1000
    sigma = checked_number("spread_hz", spread_hz, *SPREAD_RANGE_HZ) / 2
    coherence_s = GAUSSIAN_COHERENCE / sigma
    check_payload(symbols, Symbols)
    start, offset, dtype = token_start(symbols), slot_offset(symbols), symbols.values.dtype

    def gain(draws: Draws) -> Gain:
        first, second = (doppler_gain(start, offset, "gaussian", sigma, draws, dtype) for _ in range(2))

        def error() -> Array:
            one, two = (block_gain(start, offset, symbols.seconds, coherence_s, draws, dtype) for _ in range(2))
            return two_paths(one, two, symbols, delay_s)

        return Gain(two_paths(first, second, symbols, delay_s), coherence_s, error, unknowns=2)

    return transmit(symbols, snr_db, gain, **options)


def two_paths(first: Array, second: Array, symbols: Symbols, delay_s: float) -> Array:
    """(a1 + a2 exp(-i 2 pi f tau)) / sqrt 2 of a1 and a2, ``[B, K, n] complex``, at the symbols' subcarriers f."""
    frequency = cast(subcarrier_hz(symbols), namespace(first).float64)[:, None, :]
    return (first + second * rotation(-2 * math.pi * delay_s * frequency, first.dtype)) / math.sqrt(2)


@channel("mpg")
def mpg(symbols: Symbols, snr_db: SnrDb, **options: Unpack[Options]) -> Received:
    """Multipath good: :func:`watterson` with 0.5 ms and 0.1 Hz."""
    return watterson(symbols, snr_db, delay_ms=0.5, spread_hz=0.1, **options)


@channel("mpp")
def mpp(symbols: Symbols, snr_db: SnrDb, **options: Unpack[Options]) -> Received:
    """Multipath poor: :func:`watterson` with 2 ms and 1 Hz."""
    return watterson(symbols, snr_db, delay_ms=2.0, spread_hz=1.0, **options)


@channel("mpd")
def mpd(symbols: Symbols, snr_db: SnrDb, **options: Unpack[Options]) -> Received:
    """Multipath disturbed: :func:`watterson` with 4 ms and 2 Hz."""
    return watterson(symbols, snr_db, delay_ms=4.0, spread_hz=2.0, **options)
