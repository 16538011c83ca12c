"""Entropy coder of token bits: blocks of bytes by asymmetric numeral systems (range variant, rANS).

The coder is constriction's (Bamler 2022, "Understanding entropy coding with asymmetric numeral systems"): state of 64
bits, words of 32, chances of 24 bits. A state that starts empty wastes the 24 bits of the first chance, so it starts
from the block's last 24 bits as they are, below a guard bit; what is left after decoding must be just that. The words
are stored little-endian without the zero bytes at the end. docs/format.md states the algorithm exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aether_lite.container.bitstream import BitArray, pack_tokens, unpack_tokens
from aether_lite.container.prior import Prior
from aether_lite.container.prior_predictor import CHANCE_ONE, Predictor
from aether_lite.errors import AetherError

_WORD_BYTES = 4
PLAIN_BITS = 24  # the coder's chances have as many; no token has fewer
GUARD = 1 << PLAIN_BITS
LEAST_BYTES = PLAIN_BITS // 8  # of a coded block


class BlockCoder:
    """Token blocks to bytes and back; every block is decoded from its own bytes and the state left by those before.

    One object encodes or decodes, not both. ``reset`` forgets all blocks, which makes the next one decodable alone.

    Args:
        prior: chances that every reset starts from.

    Raises:
        AetherError: the package constriction is not installed.
    """

    def __init__(self, prior: Prior) -> None:
        _constriction()
        self._prior = prior
        self.reset()

    def reset(self) -> None:
        """Start afresh from the prior."""
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
        coder = _constriction().stack.AnsCoder(_words(data))
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


def _words(data: bytes) -> NDArray[np.uint32]:
    padded = data + bytes(-len(data) % _WORD_BYTES)
    return np.frombuffer(padded, dtype="<u4").astype(np.uint32)


@cache
def _constriction() -> Any:
    try:
        from constriction import stream
    except ImportError as error:
        raise AetherError("entropy coding needs the package constriction: pip install aether-lite[entropy]") from error
    return stream


@cache
def _bernoulli_family() -> Any:
    return _constriction().model.Bernoulli(perfect=True)  # a share of exactly 256 P, which a test checks for every P


@cache
def _bernoulli(chance: int) -> Any:
    """Model of one bit; chances are multiples of 2^-16, which the coder's 24 bits hold exactly."""
    return _constriction().model.Bernoulli(chance / CHANCE_ONE, perfect=True)
