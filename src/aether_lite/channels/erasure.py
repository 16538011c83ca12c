"""No noise, and erasures: tokens that the link layer marks as lost, one by one or in bursts.

Model::

    independent:  P(token lost) = p
    bursts:       Gilbert's chain good -> bad with probability q, bad -> good with probability r;
                  a token is lost in the bad state. Mean burst 1 / r tokens, stationary loss p = q / (q + r).

So r = 1 / burst_tokens and q = r p / (1 - p), which asks for p / (1 - p) <= burst_tokens. The chain starts in
its stationary distribution. Independent losses are the chain with burst_tokens = 1 / (1 - p).

Sources: E. N. Gilbert, "Capacity of a burst-noise channel", BSTJ 39 (1960); E. O. Elliott, "Estimates of
error rates for codes on burst-noise channels", BSTJ 42 (1963), here with loss probabilities 0 and 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack, overload

import numpy as np

from aether_lite.channels.channel import (
    PILOT_SPACING,
    Draws,
    Generator,
    Options,
    Seed,
    SnrDb,
    awgn,
    channel,
    checked_csi,
    checked_number,
)
from aether_lite.errors import AetherError
from aether_lite.payload import (
    Bits,
    ChannelState,
    Received,
    ReceivedBits,
    Symbols,
    cast,
    check_payload,
    namespace,
    zeroed,
)

if TYPE_CHECKING:
    from torch import Tensor as Array

MAX_BURST_TOKENS = 1e6

Lossy = TypeVar("Lossy", Received, ReceivedBits)


def erasure_pattern(tokens: int, probability: float, burst_tokens: float | None, draws: Draws) -> Array:
    """Which tokens are lost, ``[B, tokens] bool``; arguments and errors as :func:`erase`.

    A share of p needs a mean length of bursts of at least 1 and p / (1 - p).
    """
    p = checked_number("probability", probability, 0.0, 1.0)
    chance = draws.uniform(tokens)
    if burst_tokens is None:
        return chance < p
    burst = checked_number("burst_tokens", burst_tokens, 1.0, MAX_BURST_TOKENS)
    if p > burst * (1 - p):
        raise AetherError(
            f"bursts of {burst:g} tokens cannot lose a share of {p:g}: burst_tokens must be at least p / (1 - p)"
        )
    leave = 1 / burst
    enter = leave * p / (1 - p)
    stay = 1 - leave
    # One number decides a step from either state: below both `enter` and `stay` the next state is bad
    # whatever came before, above both it is good, and in between the state is kept (stay > enter) or turned
    fixed = (chance < min(enter, stay)) | (chance >= max(enter, stay))
    lost = chance < min(enter, stay)
    fixed[:, :1] = True
    lost[:, :1] = chance[:, :1] < p
    xp = namespace(chance)
    items, position = (xp.arange(length, device=chance.device) for length in chance.shape)
    last = _highest_so_far(xp.where(fixed, position, 0))
    lost = lost[items[:, None], last]
    if enter > stay:
        lost = lost ^ ((position - last) % 2 == 1)
    return lost


def _highest_so_far(values: Array) -> Array:
    """``[B, K]``: the maximum of each row up to each place."""
    if isinstance(values, np.ndarray):
        return np.maximum.accumulate(values, 1)
    return values.cummax(1).values if values.shape[1] else values


def erase(
    received: Lossy,
    probability: float = 0.1,
    burst_tokens: float | None = None,
    *,
    seed: Seed = None,
    generator: Generator | None = None,
) -> Lossy:
    """Lose tokens of anything received, symbols or bits: their values become zero and they are marked as erased.

    Args:
        received: what another channel gave; tokens already erased stay so.
        probability: share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens]; None for independent losses.
        seed: one integer, or one per item.
        generator: a generator instead of a seed.

    Raises:
        AetherError: an option is out of range, or bursts are too short for the share of tokens lost.
    """
    check_payload(received, Received, ReceivedBits)
    draws = Draws(received.values, seed, generator, stream=1)
    return received.with_erased(erasure_pattern(received.values.shape[1], probability, burst_tokens, draws))


lose_tokens = erase
"""An older name of :func:`erase` for bits."""


@channel("erasure", needs_snr=False)
def erasure(
    symbols: Symbols,
    snr_db: SnrDb | None = None,
    *,
    probability: float = 0.1,
    burst_tokens: float | None = None,
    **options: Unpack[Options],
) -> Received:
    """Erasures after white noise, or without noise where ``snr_db`` is None.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: Es/N0 [dB] of the noise, -30..60, a number or ``[B]``; None for no noise (N0 = 0 is known).
        probability: share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens]; None for independent losses.
        options: those of every channel. The losses are those of :func:`erase` with the same seed.
    """
    received = clean(symbols, **options) if snr_db is None else awgn(symbols, snr_db, **options)
    seed, generator = options.get("seed"), options.get("generator")
    return erase(received, probability, burst_tokens, seed=seed, generator=generator)


@overload
def clean(payload: Symbols, snr_db: SnrDb | None = None, **options: Unpack[Options]) -> Received: ...
@overload
def clean(payload: Bits, snr_db: SnrDb | None = None, **options: Unpack[Options]) -> ReceivedBits: ...
@channel("clean", needs_snr=False)
def clean(
    payload: Symbols | Bits, snr_db: SnrDb | None = None, **options: Unpack[Options]
) -> Received | ReceivedBits:
    """No noise: y = x with gain 1 and noise variance 0 known (unless ``csi`` is ``none``), or s = b of bits.

    ``snr_db``, ``seed``, ``generator`` and ``pilot_spacing`` change nothing; every channel can be called alike.
    """
    check_payload(payload, Symbols, Bits)
    kind = checked_csi(options.get("csi", "perfect"), options.get("pilot_spacing", PILOT_SPACING), options.get("state"))
    values, xp = zeroed(payload.values, ~payload.used), namespace(payload.values)
    erased = xp.zeros(values.shape[:2], dtype=xp.bool, device=values.device)
    if isinstance(payload, Bits):
        return ReceivedBits(values, payload.rate, erased, payload.token_frames)
    known = ChannelState(None, None, erased)
    if kind != "none":
        known = ChannelState(xp.ones_like(values), cast(erased, values.real.dtype), erased)
    return Received(values, payload.rate, known, payload.token_frames)
