"""Entropy coding of token bits: adaptive chances, and blocks of bytes by rANS.

Encoder and decoder run the same predictor over the same bits, in integers, so every machine computes the same.

The coder is constriction's (Bamler 2022, "Understanding entropy coding with asymmetric numeral systems"): state of 64
bits, words of 32, chances of 24 bits. A state that starts empty wastes the 24 bits of the first chance, so it starts
from the block's last 24 bits as they are, below a guard bit; what is left after decoding must be just that. The words
are stored little-endian without the zero bytes at the end. docs/reference/format.md states the algorithm exactly.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np

from aether_lite.container.layout import BitArray, pack_tokens, unpack_tokens
from aether_lite.container.prior import COUNT_LIMIT, PAD, Prior, table_starts
from aether_lite.errors import AetherError
from aether_lite.optional import how_to_install

CHANCE_ONE = 1 << 16  # of the chances handed to the coder
LOGIT_LIMIT = 2047  # 1/256: a chance stays within 1/2980 and 1 - 1/2980
LOGIT_UNIT = 256
CELL_TO_STRETCH = 10  # cells of 22 bits are looked up by their upper 12
PAST_TOKENS = 2
PLAIN_BITS = 24  # the coder's chances have as many; no token has fewer
GUARD = 1 << PLAIN_BITS
LEAST_BYTES = PLAIN_BITS // 8  # of a coded block
_LEARNING_SHIFT = 15  # mixing weights move by (error * input) / 2^15, a rate of 1/128
_RATES = [2 * (1 << 16) // (2 * count + 3) for count in range(COUNT_LIMIT + 1)]  # of cells: 1 / (count + 1.5) in 2^-16
_CELL_FROM_BIT = 22
_HIDDEN_SHIFT = 4  # 2^-12 -> 2^-8
_HIDDEN_LIMIT = 1023  # 4 in 2^-8
_OUT_SHIFT = 12  # 2^-20 -> 2^-8
_WORD_BYTES = 4


@cache
def squash_table() -> tuple[int, ...]:
    """Chance of a one in 2^-16 for the logits -2047..2047 in 1/256, in decimal arithmetic, alike on every machine."""
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


class Predictor:
    """Chances of the bits of one stream, in order, from a prior on; ``next_chance`` and ``update`` in turn."""

    def __init__(self, prior: Prior) -> None:
        self._n = prior.token_bits
        self._cells: list[int] = prior.cells.tolist()
        self._counts: list[int] = prior.counts.tolist()
        self._weights: list[list[int]] = prior.weights.tolist()
        self._starts = table_starts(self._n)
        self._squash, self._stretch = squash_table(), stretch_table()
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
        network = 0
        if self._has_network:
            active = (self._hidden >> _HIDDEN_SHIFT).clip(0, _HIDDEN_LIMIT)
            network = self._out_bias[i] + (int(self._out[i] @ active) >> _OUT_SHIFT)
        self._inputs.append(max(-LOGIT_LIMIT, min(LOGIT_LIMIT, network)))
        logit = sum(w * x for w, x in zip(weights, self._inputs, strict=True)) >> 16
        logit = max(-LOGIT_LIMIT, min(LOGIT_LIMIT, logit))
        self._chance = self._squash[logit + LOGIT_LIMIT]
        return self._chance

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
            cells[cell] += ((target - cells[cell]) * _RATES[count]) >> 16
            if count < COUNT_LIMIT:
                counts[cell] = count + 1
        self._token[i + PAD] = bit
        if self._has_network:
            self._hidden += self._within[i] * (2 * bit - 1)
        self._position = i + 1
        if self._position == self._n:
            if self._has_network:
                self._signs[self._n :] = self._signs[: self._n]
                self._signs[: self._n] = 2 * np.array(self._token[PAD:-PAD]) - 1
            self._older, self._newest = self._newest, self._token
            self._start_token()


class BlockCoder:
    """Token blocks to bytes and back; every block is decoded from its own bytes and the state left by those before.

    One object encodes or decodes, not both.

    Raises:
        AetherError: the package constriction is not installed.
    """

    def __init__(self, prior: Prior) -> None:
        _constriction()
        self._prior = prior
        self.reset()

    def reset(self) -> None:
        """Start afresh from the prior, which makes the next block decodable alone."""
        self._predictor = Predictor(self._prior)

    def encode(self, bits: BitArray) -> bytes:
        """``[K, n]`` bits, 24 or more -> coded bytes, or the packed bits where those are no longer."""
        values = bits.ravel()
        chances = np.empty(values.size, dtype=np.float64)
        for at, bit in enumerate(values.tolist()):
            chances[at] = self._predictor.next_chance()
            self._predictor.update(bit)
        plain = int.from_bytes(np.packbits(values[-PLAIN_BITS:]).tobytes(), "big")
        coder = _constriction().stack.AnsCoder(np.array([GUARD | plain], dtype=np.uint32))
        symbols = values[:-PLAIN_BITS].astype(np.int32)
        coder.encode_reverse(symbols, _bernoulli_family(), chances[:-PLAIN_BITS] / CHANCE_ONE)
        coded = bytes(coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))
        packed = pack_tokens(bits)
        return coded if len(coded) < len(packed) else packed

    def decode(self, data: bytes, tokens: int) -> BitArray:
        """Bytes of ``encode`` -> ``[tokens, n]`` bits.

        Raises:
            AetherError: bytes that ``encode`` does not write. The state is then of no use before the next ``reset``.
        """
        n = self._prior.token_bits
        size = tokens * n // 8
        if len(data) > size:
            raise AetherError(f"coded block of {len(data)} bytes: must be at most {size}")
        if len(data) == size:
            bits = unpack_tokens(data, n)
            self._follow(bits.ravel().tolist())
            return bits
        if data.endswith(b"\0"):
            raise AetherError("coded block: ends in a zero byte")
        words = np.frombuffer(data + bytes(-len(data) % _WORD_BYTES), dtype="<u4").astype(np.uint32)
        coder = _constriction().stack.AnsCoder(words)
        predictor, decoded = self._predictor, []
        for _ in range(tokens * n - PLAIN_BITS):
            bit = coder.decode(_bernoulli(predictor.next_chance()))
            predictor.update(bit)
            decoded.append(bit)
        left = coder.get_compressed().tolist()
        if len(left) != 1 or left[0] >> PLAIN_BITS != 1:
            raise AetherError("coded block: what is left after its last token is not the guard bit and 24 bits")
        plain = [left[0] >> shift & 1 for shift in reversed(range(PLAIN_BITS))]
        self._follow(plain)
        return np.array(decoded + plain, dtype=np.uint8).reshape(tokens, n)

    def _follow(self, bits: list[int]) -> None:
        for bit in bits:
            self._predictor.next_chance()
            self._predictor.update(bit)


@cache
def _constriction() -> Any:
    try:
        from constriction import stream
    except ImportError as error:
        raise AetherError(f"entropy coding needs the package constriction: {how_to_install('entropy')}") from error
    return stream


@cache
def _bernoulli_family() -> Any:
    return _constriction().model.Bernoulli(perfect=True)  # a share of exactly 256 P, which a test checks for every P


@cache
def _bernoulli(chance: int) -> Any:
    """Model of one bit; chances are multiples of 2^-16, which the coder's 24 bits hold exactly."""
    return _constriction().model.Bernoulli(chance / CHANCE_ONE, perfect=True)
