"""Flat fading: Rayleigh and Rician, by blocks or with Jakes' Doppler spectrum.

Gains are complex functions of time with E|h|^2 = 1::

    Rayleigh:  h = g
    Rician:    h = sqrt(K / (K+1)) exp(i (2 pi f_los t + phi)) + sqrt(1 / (K+1)) g

g ~ CN(0, 1) is constant over blocks of ``block_ms``, or, with ``doppler_hz`` f_d given, varies with Clarke's
spectrum (autocorrelation J0(2 pi f_d T)). SNR is the mean Es/N0, the deep fades are on top.

Symbols are sent one after another (symbol j of a token at its start + j / rate), or on a grid of OFDM-like slots of
20 ms with ``rate / 50`` subcarriers 50 Hz apart (an ideal cyclic prefix, not counted): symbol ``j`` of a token is then
in slot ``j // (rate / 50)`` on subcarrier ``j % (rate / 50)``.

Times are given in two parts, ``start [K]`` of the tokens and ``offset [B, n]`` within a token, both float64 [s]; symbol
(b, k, j) is at ``start[k] + offset[b, j]``. The split keeps sums of sinusoids cheap: with M sinusoids
e^{i w (start + offset)} = e^{i w start} e^{i w offset}, the whole clip is one product ``[K, M] @ [M, n]``::

    h(t) = 1/sqrt(M) * sum_m exp(i (2 pi f_m t + phi_m)),    phi_m uniform in [0, 2 pi)

with f_m drawn from the Doppler spectrum, one from each of M slices of equal probability. Over the ensemble the
autocorrelation is exactly that of the spectrum; in one realisation the power, averaged over a long time, is 1.

=========  ===============================  ==========================================================
Jakes      f = f_d cos(pi u)                E[h(t + T) h*(t)] = J0(2 pi f_d T)
Gaussian   f ~ N(0, sigma^2)                E[h(t + T) h*(t)] = exp(-2 (pi sigma T)^2)
=========  ===============================  ==========================================================

Sources: R. H. Clarke, "A statistical theory of mobile-radio reception", BSTJ 47 (1968); W. C. Jakes,
"Microwave Mobile Communications" (1974), ch. 1; S. O. Rice, "Mathematical analysis of random noise", BSTJ 24 (1945).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from aether_lite.channels.channel import JAKES_COHERENCE, Draws, Gain, Options, SnrDb, channel, checked_number, transmit
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, Received, Symbols, cast, namespace

if TYPE_CHECKING:
    from torch import Tensor as Array

Spectrum = Literal["jakes", "gaussian"]

SINUSOIDS = 64  # E|h|^4 = 2 - 1/64 against 2 of a complex Gaussian
_BOUNDARY = 1e-9  # blocks; keeps a symbol exactly on a block's edge out of the block before


SLOT_SECONDS = 0.020
SUBCARRIER_HZ = 50.0
SUBCARRIERS_PER_RATE = 1 / 50  # subcarriers for each use/s


def token_start(symbols: Symbols) -> Array:
    """``[K] float64``: the time [s] at which each token begins, from the clip's start."""
    return _counted(symbols, 1) * (symbols.token_frames / FRAMES_PER_SECOND)


def serial_offset(symbols: Symbols) -> Array:
    """``[B, n] float64``: j / rate, the time [s] of symbol j from its token's start in serial transmission."""
    return _counted(symbols, 2) / cast(symbols.rates, namespace(symbols.values).float64)[:, None]


def slot_offset(symbols: Symbols) -> Array:
    """``[B, n] float64``: the time [s] of each symbol's slot from its token's start."""
    return cast(_grid(symbols)[0], namespace(symbols.values).float64) * SLOT_SECONDS


def subcarrier_hz(symbols: Symbols) -> Array:
    """``[B, n] float32``: the subcarrier frequency [Hz] of each symbol, from 0."""
    return _grid(symbols)[1] * SUBCARRIER_HZ


def _grid(symbols: Symbols) -> tuple[Array, Array]:
    """Slot index and subcarrier index, each ``[B, n] float32``."""
    carriers = (symbols.rates * SUBCARRIERS_PER_RATE)[:, None]
    index = cast(_counted(symbols, 2), carriers.dtype)
    slot = namespace(index).floor((index + 0.5) / carriers)
    return slot, index - slot * carriers


def _counted(symbols: Symbols, axis: int) -> Array:
    """``float64``: 0, 1, ... of the tokens (axis 1) or of the symbols of a token (axis 2)."""
    values, xp = symbols.values, namespace(symbols.values)
    counted: Array = xp.arange(values.shape[axis], device=values.device, dtype=xp.float64)
    return counted


def block_gain(
    start: Array, offset: Array, duration_s: float, block_s: float, draws: Draws, dtype: Any
) -> Array:
    """h ~ CN(0, 1), ``[B, K, n] complex``, constant over blocks of ``block_s`` [s] that are independent, as items are.

    A symbol at time t lies in block floor(t / block_s); times that matter are below ``duration_s`` [s].
    """
    time = start[None, :, None] + offset[:, None, :]
    blocks = max(1, math.ceil(duration_s / block_s - _BOUNDARY))
    xp = namespace(time)
    index = xp.clip(cast(xp.floor(time / block_s + _BOUNDARY), xp.int64), None, blocks - 1)
    gains = draws.complex_normal(blocks, dtype=dtype)
    return gains[xp.arange(len(gains), device=gains.device)[:, None, None], index]


def doppler_gain(
    start: Array, offset: Array, spectrum: Spectrum, width_hz: float, draws: Draws, dtype: Any
) -> Array:
    """A gain ``[B, K, n] complex`` with Jakes' or the Gaussian Doppler spectrum: a sum of sinusoids, E|h|^2 = 1.

    ``width_hz`` is the maximum Doppler shift f_d of ``jakes``, the standard deviation sigma of ``gaussian`` [Hz].
    """
    xp = namespace(offset)
    slices = xp.arange(SINUSOIDS, dtype=xp.float64, device=offset.device)
    quantile = (slices + draws.uniform(SINUSOIDS)) / SINUSOIDS
    phase = 2 * math.pi * draws.uniform(SINUSOIDS)
    if spectrum == "jakes":
        frequency = width_hz * xp.cos(math.pi * quantile)
    else:
        frequency = width_hz * _normal(xp.clip(quantile, 1e-12, 1 - 1e-12))
    omega = 2 * math.pi * frequency
    by_token = rotation(omega[:, None, :] * start[:, None] + phase[:, None, :], dtype)
    by_offset = rotation(omega[:, :, None] * offset[:, None, :], dtype)
    return by_token @ by_offset / math.sqrt(SINUSOIDS)


def _normal(probability: Array) -> Array:
    """The value that a variable N(0, 1) stays below with this probability in (0, 1), float64."""
    if isinstance(probability, np.ndarray):
        return np.vectorize(NormalDist().inv_cdf, otypes=[float])(probability)
    return math.sqrt(2) * (2 * probability - 1).erfinv()


def line_of_sight(start: Array, offset: Array, shift_hz: float, draws: Draws, dtype: Any) -> Array:
    """exp(i (2 pi f t + phi)), phi uniform for each item, f = ``shift_hz`` [Hz]: ``[B, K, n] complex`` of modulus 1."""
    phase = 2 * math.pi * draws.uniform(1)
    by_token = rotation(2 * math.pi * shift_hz * start + phase, dtype)
    by_offset = rotation(2 * math.pi * shift_hz * offset, dtype)
    return by_token[:, :, None] * by_offset[:, None, :]


def rotation(phase: Array, dtype: Any) -> Array:
    """exp(i phase) of phases [rad] in float64."""
    xp = namespace(phase)
    return cast(xp.cos(phase) + 1j * xp.sin(phase), dtype)


BLOCK_RANGE_MS = (0.5, 1e6)
DOPPLER_RANGE_HZ = (1e-4, 1000.0)
K_RANGE_DB = (-40.0, 60.0)


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

    def error() -> Array:
        return block_gain(start, offset, symbols.seconds, coherence_s, draws, dtype)

    return Gain(values, coherence_s, error)
