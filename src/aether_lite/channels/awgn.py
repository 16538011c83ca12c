"""Additive white Gaussian noise, and no noise at all.

Model::

    y = x + w,    w ~ CN(0, N0),    N0 = 10^(-SNR/10)

SNR is Es/N0 [dB] for each complex symbol with the nominal Es = 1; N0/2 falls on each real dimension. The
power of the clip is never measured: a quiet clip gets the same noise as a loud one.
"""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import Tensor

from aether_lite.channels.parameters import SnrDb, noise_variance
from aether_lite.channels.randomness import Draws, Generator, Seed
from aether_lite.channels.state import PILOT_SPACING, StateKind, channel_state, check_state
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols


def faded_and_noisy(symbols: Symbols, gain: Tensor | None, n0: Tensor, draws: Draws) -> Tensor:
    """y = h x + w where a symbol is sent, 0 elsewhere.

    Args:
        symbols: x.
        gain: h, ``[B, K, n] complex``, or None for 1.
        n0: ``[B]``, variance of w.
        draws: random numbers.

    Returns:
        ``[B, K, n] complex``.
    """
    values = symbols.values
    _, tokens, uses = values.shape
    widths = symbols.counts.tolist()
    noise = draws.complex_normal(tokens, uses, dtype=values.dtype, widths=widths)
    faded = values if gain is None else gain * values
    received = faded + n0.sqrt()[:, None, None] * noise
    return received.masked_fill(~symbols.used, 0)


def awgn(
    symbols: Symbols,
    snr_db: SnrDb,
    *,
    state: StateKind = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> Received:
    """White Gaussian noise: y = x + w, w ~ CN(0, N0).

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: Es/N0 [dB], -30..60, a number or ``[B]``.
        state: what the receiver knows, see :mod:`~aether_lite.channels.state`; the gain 1 is known.
        seed: one integer, or one per item (the item then gets the noise it would get alone).
        generator: a generator instead of a seed.
        pilot_spacing: symbols for each pilot, for the estimated state.

    Raises:
        AetherError: an option is out of range.
    """
    check_state(state, pilot_spacing)
    n0 = noise_variance(snr_db, symbols.values)
    draws = Draws(symbols.values.shape[0], symbols.values.device, seed, generator)
    values = faded_and_noisy(symbols, None, n0, draws)
    known = channel_state(state, symbols, n0, draws, pilot_spacing=pilot_spacing)
    return Received(values, symbols.rate, known, symbols.token_frames)


@overload
def clean(symbols: Symbols, snr_db: SnrDb | None = None, *, state: StateKind = "exact", **_: Any) -> Received: ...
@overload
def clean(symbols: Bits, snr_db: SnrDb | None = None, *, state: StateKind = "exact", **_: Any) -> ReceivedBits: ...
def clean(
    symbols: Symbols | Bits,
    snr_db: SnrDb | None = None,
    *,
    state: StateKind = "exact",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
    **_: Any,
) -> Received | ReceivedBits:
    """No noise: y = x, gain 1 and noise variance 0 known (unless ``state`` is ``withheld``).

    ``snr_db``, ``seed``, ``generator`` and ``pilot_spacing`` change nothing; they are accepted so that every
    channel can be called alike.
    """
    check_state(state, pilot_spacing)
    batch = symbols.values.shape[0]
    if isinstance(symbols, Bits):
        erased = torch.zeros(symbols.values.shape[:2], dtype=torch.bool, device=symbols.values.device)
        return ReceivedBits(symbols.values, symbols.rate, erased, symbols.token_frames)
    n0 = torch.zeros(batch, dtype=symbols.values.real.dtype, device=symbols.values.device)
    kind: StateKind = "withheld" if state == "withheld" else "exact"
    known = channel_state(kind, symbols, n0, Draws(batch, n0.device))
    return Received(symbols.values.masked_fill(~symbols.used, 0), symbols.rate, known, symbols.token_frames)
