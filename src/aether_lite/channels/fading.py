"""White Gaussian noise and flat fading: Rayleigh and Rician, by blocks or with Jakes' Doppler spectrum.

Gains, with symbols sent one after another (symbol j of a token at its start + j / rate)::

    Rayleigh:  h = g
    Rician:    h = sqrt(K / (K+1)) exp(i (2 pi f_los t + phi)) + sqrt(1 / (K+1)) g

g ~ CN(0, 1) is constant over blocks of ``block_ms``, or, with ``doppler_hz`` f_d given, varies with Clarke's
spectrum (autocorrelation J0(2 pi f_d T)). SNR is the mean Es/N0, the deep fades are on top.

Sources: R. H. Clarke, "A statistical theory of mobile-radio reception", BSTJ 47 (1968); W. C. Jakes,
"Microwave Mobile Communications" (1974); S. O. Rice, "Mathematical analysis of random noise", BSTJ 24 (1945).
"""

from __future__ import annotations

import math
from typing import Unpack

from torch import Tensor

from aether_lite.channels.channel import JAKES_COHERENCE, Gain, Options, channel, transmit
from aether_lite.channels.gain import block_gain, doppler_gain, line_of_sight, serial_offset, token_start
from aether_lite.channels.parameters import SnrDb, checked_number
from aether_lite.channels.randomness import Draws
from aether_lite.errors import AetherError
from aether_lite.payload import Received, Symbols

BLOCK_RANGE_MS = (0.5, 1e6)
DOPPLER_RANGE_HZ = (1e-4, 1000.0)
K_RANGE_DB = (-40.0, 60.0)


@channel("awgn")
def awgn(symbols: Symbols, snr_db: SnrDb, **options: Unpack[Options]) -> Received:
    """White Gaussian noise: h = 1, which is known."""
    return transmit(symbols, snr_db, **options)


@channel("rayleigh")
def rayleigh(
    symbols: Symbols,
    snr_db: SnrDb,
    *,
    block_ms: float = 40.0,
    doppler_hz: float | None = None,
    **options: Unpack[Options],
) -> Received:
    """Rayleigh fading: h ~ CN(0, 1), one independent gain for each block, or with Jakes' spectrum.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: mean Es/N0 [dB], -30..60, a number or ``[B]``.
        block_ms: length of a block [ms], 0.5..1e6; unused with ``doppler_hz``.
        doppler_hz: maximum Doppler shift f_d [Hz], 1e-4..1000; None for block fading.
        options: those of every channel, :class:`~aether_lite.channels.channel.Options`.

    Raises:
        AetherError: an option is out of range.
    """
    return transmit(symbols, snr_db, lambda draws: _scattered(symbols, block_ms, doppler_hz, draws), **options)


@channel("rician")
def rician(
    symbols: Symbols,
    snr_db: SnrDb,
    *,
    k_db: float = 6.0,
    block_ms: float = 40.0,
    doppler_hz: float | None = None,
    los_doppler_hz: float = 0.0,
    **options: Unpack[Options],
) -> Received:
    """Rician fading: Rayleigh fading plus a line of sight of power K / (K + 1), E|h|^2 = 1.

    Args:
        symbols, snr_db, block_ms, options: as in :func:`rayleigh`.
        k_db: K, power of the line of sight over that of the scattered waves [dB], -40..60.
        doppler_hz: maximum Doppler shift f_d [Hz] of the scattered waves; None for block fading.
        los_doppler_hz: Doppler shift of the line of sight [Hz], -f_d..f_d; its phase is random for each item.

    Raises:
        AetherError: an option is out of range.
    """
    k = 10 ** (checked_number("k_db", k_db, *K_RANGE_DB) / 10)
    if doppler_hz is None and los_doppler_hz != 0:
        raise AetherError("los_doppler_hz needs doppler_hz: block fading has no Doppler shift")
    widest = 0.0 if doppler_hz is None else checked_number("doppler_hz", doppler_hz, *DOPPLER_RANGE_HZ)
    shift = checked_number("los_doppler_hz", los_doppler_hz, -widest, widest)

    def gain(draws: Draws) -> Gain:
        scattered = _scattered(symbols, block_ms, doppler_hz, draws)
        direct = line_of_sight(token_start(symbols), serial_offset(symbols), shift, draws, symbols.values.dtype)
        values = math.sqrt(k / (k + 1)) * direct + math.sqrt(1 / (k + 1)) * scattered.values
        return Gain(values, scattered.coherence_s, scattered.error)

    return transmit(symbols, snr_db, gain, **options)


def _scattered(symbols: Symbols, block_ms: float, doppler_hz: float | None, draws: Draws) -> Gain:
    """g, by blocks or with Jakes' spectrum."""
    start, offset, dtype = token_start(symbols), serial_offset(symbols), symbols.values.dtype
    if doppler_hz is None:
        coherence_s = checked_number("block_ms", block_ms, *BLOCK_RANGE_MS) / 1000
        values = block_gain(start, offset, symbols.seconds, coherence_s, draws, dtype)
    else:
        f_d = checked_number("doppler_hz", doppler_hz, *DOPPLER_RANGE_HZ)
        coherence_s = JAKES_COHERENCE / f_d
        values = doppler_gain(start, offset, "jakes", f_d, draws, dtype)

    def error() -> Tensor:
        return block_gain(start, offset, symbols.seconds, coherence_s, draws, dtype)

    return Gain(values, coherence_s, error)
