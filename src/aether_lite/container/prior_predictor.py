"""The prior at run time: integer chances that follow the stream, bit after bit.

Encoder and decoder run the same predictor over the same bits, so every step must give the same integers on every
machine: there is no floating-point operation in it.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from aether_lite.container.prior import COUNT_LIMIT, Prior
from aether_lite.container.prior_contexts import PAD, table_starts

CHANCE_ONE = 1 << 16  # of the chances handed to the entropy coder
LOGIT_LIMIT = 2047  # 1/256: a chance stays within 1/2980 and 1 - 1/2980
LOGIT_UNIT = 256
CELL_TO_STRETCH = 10  # cells of 22 bits are looked up by their upper 12
_LEARNING_SHIFT = 15  # mixing weights move by (error * input) / 2^15, a rate of 1/128
_RATE_ONE = 1 << 16
_CELL_FROM_BIT = 22
_HIDDEN_SHIFT = 4  # 2^-12 -> 2^-8
_HIDDEN_LIMIT = 1023  # 4 in 2^-8
_OUT_SHIFT = 12  # 2^-20 -> 2^-8
PAST_TOKENS = 2


@cache
def squash_table() -> tuple[int, ...]:
    """Chance of a one in 2^-16 for the logits -2047..2047 in 1/256.

    Decimal arithmetic is correctly rounded, so that no machine's exponential enters.
    """
    with localcontext() as context:
        context.prec = 30
        logits = range(-LOGIT_LIMIT, LOGIT_LIMIT + 1)
        return tuple(round(CHANCE_ONE / (1 + (Decimal(-logit) / LOGIT_UNIT).exp())) for logit in logits)


@cache
def stretch_table() -> tuple[int, ...]:
    """Logit in 1/256 of the chances (k + 1/2) / 4096."""
    size = 1 << (_CELL_FROM_BIT - CELL_TO_STRETCH)
    with localcontext() as context:
        context.prec = 30
        odds = ((Decimal(2 * k + 1) / Decimal(2 * (size - k) - 1)) for k in range(size))
        return tuple(round(odd.ln() * LOGIT_UNIT) for odd in odds)


@cache
def _rates() -> tuple[int, ...]:
    """Share in 2^-16 by which a cell moves that stands for 0, 1, 2 ... observations: 1 / (count + 1.5)."""
    return tuple(2 * _RATE_ONE // (2 * count + 3) for count in range(COUNT_LIMIT + 1))


class Predictor:
    """Chances of the bits of one stream, in order; ``next_chance`` and ``update`` in turn.

    Args:
        prior: where the stream starts from; not changed.
    """

    def __init__(self, prior: Prior) -> None:
        self._n = prior.token_bits
        self._cells: list[int] = prior.cells.tolist()
        self._counts: list[int] = prior.counts.tolist()
        self._weights: list[list[int]] = prior.weights.tolist()
        self._starts = table_starts(self._n)
        self._squash, self._stretch, self._rates = squash_table(), stretch_table(), _rates()
        self._has_network = prior.hidden > 0
        self._hidden_bias = prior.hidden_bias.astype(np.int64)
        self._past = prior.past.astype(np.int64)
        self._within = prior.within.astype(np.int64)
        self._out = prior.out.astype(np.int64)
        self._out_bias: list[int] = prior.out_bias.tolist()
        self._signs = np.zeros(PAST_TOKENS * self._n, dtype=np.int64)
        self._newest = self._older = [0] * (self._n + 2 * PAD)
        self._start_token()

    def _start_token(self) -> None:
        self._position = 0
        self._token = [0] * (self._n + 2 * PAD)
        if self._has_network:
            self._hidden = self._hidden_bias + self._past @ self._signs

    def next_chance(self) -> int:
        """Chance in 2^-16 that the next bit is a one; 22..65514."""
        i = self._position
        at = i + PAD
        token, u, v = self._token, self._newest, self._older
        before, older_before, same, past_before = token[at - 1], token[at - 2], u[at], u[at - 1]
        a, b, c, d = self._starts
        cells, stretch, weights = self._cells, self._stretch, self._weights[i]
        self._at = (
            a + 4 * i + 2 * same + v[at],
            b + 8 * i + 4 * same + 2 * before + older_before,
            c + 16 * i + 8 * same + 4 * before + 2 * past_before + u[at + 1],
            d + 8 * same + 4 * v[at] + 2 * (before == past_before) + (older_before == u[at - 2]),
        )
        self._inputs = [stretch[cells[cell] >> CELL_TO_STRETCH] for cell in self._at]
        self._inputs.append(self._network_logit(i) if self._has_network else 0)
        logit = sum(w * x for w, x in zip(weights, self._inputs, strict=True)) >> 16
        logit = max(-LOGIT_LIMIT, min(LOGIT_LIMIT, logit))
        self._chance = self._squash[logit + LOGIT_LIMIT]
        return self._chance

    def _network_logit(self, i: int) -> int:
        active = (self._hidden >> _HIDDEN_SHIFT).clip(0, _HIDDEN_LIMIT)
        logit = self._out_bias[i] + (int(self._out[i] @ active) >> _OUT_SHIFT)
        return max(-LOGIT_LIMIT, min(LOGIT_LIMIT, logit))

    def update(self, bit: int) -> None:
        """Learn the bit whose chance was asked for last, and go on to the next one."""
        i = self._position
        error = (bit << 16) - self._chance
        weights = self._weights[i]
        for k, x in enumerate(self._inputs):
            weights[k] += (x * error + (1 << (_LEARNING_SHIFT - 1))) >> _LEARNING_SHIFT
        cells, counts, target = self._cells, self._counts, bit << _CELL_FROM_BIT
        for cell in self._at:
            count = counts[cell]
            cells[cell] += ((target - cells[cell]) * self._rates[count]) >> 16
            if count < COUNT_LIMIT:
                counts[cell] = count + 1
        self._token[i + PAD] = bit
        if self._has_network:
            self._hidden += self._within[i] * (2 * bit - 1)
        self._position = i + 1
        if self._position == self._n:
            self._end_token()

    def _end_token(self) -> None:
        if self._has_network:
            self._signs[self._n :] = self._signs[: self._n]
            self._signs[: self._n] = 2 * np.array(self._token[PAD:-PAD]) - 1
        self._older, self._newest = self._newest, self._token
        self._start_token()
