"""Erasures: tokens that the link layer marks as lost, one by one or in bursts.

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

from dataclasses import replace

import torch
from torch import Tensor

from aether_lite.channels.awgn import awgn, clean
from aether_lite.channels.parameters import SnrDb, checked_number
from aether_lite.channels.randomness import Draws, Generator, Seed
from aether_lite.channels.state import PILOT_SPACING, StateKind
from aether_lite.errors import AetherError
from aether_lite.payload import Received, Symbols

MAX_BURST_TOKENS = 1e6


def check_losses(probability: float | None, burst_tokens: float | None) -> None:
    """Refuse a mean length of bursts without a share of lost tokens."""
    if burst_tokens is not None and probability is None:
        raise AetherError("a burst length needs a share of lost tokens: give the erasure probability too")


def erasure_pattern(tokens: int, probability: float, burst_tokens: float | None, draws: Draws) -> Tensor:
    """``[B, tokens] bool``: which tokens are lost.

    Args:
        tokens: K.
        probability: p, share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens], at least 1 and p / (1 - p); None for
            independent losses.
        draws: random numbers.

    Raises:
        AetherError: a number is out of range, or no chain has this p and this burst length.
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
    position = torch.arange(tokens, device=chance.device).expand_as(chance)
    last = torch.where(fixed, position, 0).cummax(dim=1).values if tokens else position
    lost = lost.gather(1, last)
    if enter > stay:
        lost = lost ^ ((position - last) % 2 == 1)
    return lost


def erase(
    received: Received,
    probability: float = 0.1,
    burst_tokens: float | None = None,
    *,
    seed: Seed = None,
    generator: Generator | None = None,
) -> Received:
    """Lose tokens of anything received: their values become zero and ``state.erased`` is set.

    Args:
        received: what another channel gave; tokens already erased stay so.
        probability: share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens]; None for independent losses.
        seed: one integer, or one per item.
        generator: a generator instead of a seed.

    Raises:
        AetherError: an option is out of range, see :func:`erasure_pattern`.
    """
    draws = Draws(received.values.shape[0], received.values.device, seed, generator, stream=1)
    lost = erasure_pattern(received.values.shape[1], probability, burst_tokens, draws)
    return replace(
        received,
        values=received.values.masked_fill(lost[:, :, None], 0),
        state=replace(received.state, erased=received.state.erased | lost),
    )


def erasure(
    symbols: Symbols,
    snr_db: SnrDb | None = None,
    *,
    probability: float = 0.1,
    burst_tokens: float | None = None,
    state: StateKind = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> Received:
    """Erasures after white noise, or without noise where ``snr_db`` is None.

    Args:
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: Es/N0 [dB] of the noise, -30..60, a number or ``[B]``; None for no noise (N0 = 0 is known).
        probability: share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens]; None for independent losses.
        state: what the receiver knows besides the erasures, see :mod:`~aether_lite.channels.state`.
        seed: one integer, or one per item. The losses are those of :func:`erase` with this seed.
        generator: a generator instead of a seed.
        pilot_spacing: symbols for each pilot, for the estimated state.

    Raises:
        AetherError: an option is out of range.
    """
    if snr_db is None:
        received = clean(symbols, state=state, pilot_spacing=pilot_spacing)
    else:
        received = awgn(symbols, snr_db, state=state, seed=seed, generator=generator, pilot_spacing=pilot_spacing)
    return erase(received, probability, burst_tokens, seed=seed, generator=generator)
