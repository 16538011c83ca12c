"""Blocks of a plain file: constant bit rate, so damage never moves what follows."""

from __future__ import annotations

from aether_lite.container.bitstream import unpack_tokens
from aether_lite.container.blocks import Ending, Step, damaged_block, missing_end
from aether_lite.container.layout import (
    CRC_BYTES,
    END_MARK,
    TRAILER_BYTES,
    Header,
    Trailer,
    block_crc,
    trailer_at,
)


class PlainLayout:
    """Packed tokens, 12 and a CRC at a time (of 80 ms); see ``BlockLayout``."""

    def __init__(self, header: Header, name: str, tolerant: bool) -> None:
        self._header, self._name, self._tolerant = header, name, tolerant
        self._block = self._tokens = 0

    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        """Next block; see ``BlockLayout.step``."""
        size = self._header.block_bytes(self._header.block_tokens)
        is_full = len(buffer) >= size + TRAILER_BYTES  # a shorter rest is the last block and the trailer
        if not is_full and not at_end:
            return None
        if is_full and self._is_intact(buffer, self._header.block_tokens):
            return self._take(buffer, self._header.block_tokens)
        found = self._find_trailer(buffer)
        if found is not None:
            return self._last(buffer, *found)
        if is_full:
            if not self._tolerant:
                raise damaged_block(self._name, self._header, self._block, "CRC-16 does not fit")
            return self._take(buffer, self._header.block_tokens, damaged=True)
        if not self._tolerant:
            raise missing_end(self._name, self._tokens)
        return self._cut(buffer)

    def _is_intact(self, buffer: bytearray, tokens: int) -> bool:
        size = self._header.block_bytes(tokens)
        body, crc = buffer[: size - CRC_BYTES], buffer[size - CRC_BYTES : size]
        return tokens == 0 or (len(crc) == CRC_BYTES and block_crc(self._block, body) == crc)

    def _take(self, buffer: bytearray, tokens: int, damaged: bool = False, ending: Ending | None = None) -> Step:
        """Cut ``tokens`` tokens (and their CRC, as far as it is there) off the buffer."""
        bits = unpack_tokens(buffer[: tokens * self._header.token_bytes], self._header.token_bits)
        del buffer[: self._header.block_bytes(tokens)]
        self._block += 1
        self._tokens += tokens
        return Step(bits, damaged, ending)

    def _find_trailer(self, buffer: bytearray) -> tuple[int, Trailer] | None:
        """Tokens before a trailer that lies within one block and counts them, and the trailer."""
        for tokens in range(self._header.block_tokens + 1):
            trailer = trailer_at(buffer, self._header.block_bytes(tokens))
            if trailer is not None and trailer.tokens == self._tokens + tokens:
                return tokens, trailer
        return None

    def _last(self, buffer: bytearray, tokens: int, trailer: Trailer) -> Step:
        damaged = not self._is_intact(buffer, tokens)
        if damaged and not self._tolerant:
            raise damaged_block(self._name, self._header, self._block, "CRC-16 does not fit")
        step = self._take(buffer, tokens, damaged, Ending(trailer))
        del buffer[:TRAILER_BYTES]
        return step

    def _cut(self, buffer: bytearray) -> Step:
        """The rest of a file without a valid trailer, block by block; tokens of an incomplete one are unproved."""
        counts = range(self._header.block_tokens, -1, -1)
        whole = next((k for k in counts if k and self._is_intact(buffer, k)), None)
        marked = next((k for k in counts if self._has_mark(buffer, self._header.block_bytes(k))), None)
        if whole == self._header.block_tokens:
            return self._take(buffer, whole)
        if whole is not None:
            step = self._take(buffer, whole, ending=Ending(None))
        else:
            there = min(self._header.block_tokens, len(buffer) // self._header.token_bytes)
            tokens = there if marked is None else marked
            step = self._take(buffer, tokens, damaged=tokens > 0, ending=Ending(None))
        buffer.clear()
        return step

    @staticmethod
    def _has_mark(buffer: bytearray, start: int) -> bool:
        return buffer[start : start + len(END_MARK)] == END_MARK
