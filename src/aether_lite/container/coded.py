"""Blocks of an entropy-coded file: a length, coded bits and a CRC; sync marks where the coder starts afresh.

A damaged block costs all tokens up to the next sync mark, since later blocks were coded with what it taught.
"""

from __future__ import annotations

import re

import numpy as np

from aether_lite.container.bitstream import BitArray
from aether_lite.container.blocks import Ending, Step, damaged_block, missing_end
from aether_lite.container.entropy import LEAST_BYTES, BlockCoder
from aether_lite.container.layout import (
    CRC_BYTES,
    END_MARK,
    SYNC_BYTES,
    SYNC_MARK,
    TRAILER_BYTES,
    Header,
    block_crc,
    trailer_at,
)
from aether_lite.container.prior import Prior
from aether_lite.errors import AetherError

_MARKS = re.compile(re.escape(SYNC_MARK) + b"|" + re.escape(END_MARK))


class CodedLayout:
    """Coded blocks; see ``BlockLayout``."""

    def __init__(self, header: Header, name: str, tolerant: bool, prior: Prior) -> None:
        self._header, self._name, self._tolerant = header, name, tolerant
        self._coder = BlockCoder(prior)
        self._block = self._tokens = 0
        self._skipped: int | None = None  # bytes dropped since the damage that is being gone past
        self._longest = header.block_tokens * header.token_bytes
        self._largest = SYNC_BYTES + header.length_bytes + self._longest + CRC_BYTES
        self._smallest = header.length_bytes + LEAST_BYTES + CRC_BYTES

    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        """Next block; see ``BlockLayout.step``."""
        if self._skipped is not None:
            return self._resume(buffer, at_end)
        if len(buffer) < self._largest + TRAILER_BYTES and not at_end:
            return None
        trailer = trailer_at(buffer, 0)
        if trailer is not None and trailer.tokens == self._tokens:
            del buffer[:TRAILER_BYTES]
            return Step(self._blank(0), ending=Ending(trailer))
        reason = "its length or CRC-16 does not fit"
        payload = self._payload(buffer, self._block)
        if payload is not None:
            try:
                return self._take(buffer, payload)
            except AetherError as error:
                reason = str(error)
        if not self._tolerant:
            is_cut = at_end and not any(trailer_at(buffer, match.start()) for match in _MARKS.finditer(bytes(buffer)))
            if is_cut:
                raise missing_end(self._name, self._tokens)
            raise damaged_block(self._name, self._header, self._block, reason)
        self._skipped = 0
        return self._resume(buffer, at_end)

    def _blank(self, tokens: int) -> BitArray:
        return np.zeros((tokens, self._header.token_bits), dtype=np.uint8)

    def _payload(self, buffer: bytearray, block: int, start: int = 0) -> slice | None:
        """Where the coded bits of block ``block`` lie; None unless it is there at ``start``, whole and undamaged."""
        sync = SYNC_MARK + block.to_bytes(4, "little") if self._header.is_reset(block) else b""
        first = start + len(sync) + self._header.length_bytes
        last = first + int.from_bytes(buffer[start + len(sync) : first], "little")
        crc = buffer[last : last + CRC_BYTES]
        if last - first > self._longest or len(crc) < CRC_BYTES or not buffer.startswith(sync, start):
            return None
        return slice(first, last) if block_crc(block, buffer[start:last]) == crc else None

    def _take(self, buffer: bytearray, payload: slice) -> Step:
        """Decode an undamaged block; full, unless the trailer follows and counts fewer tokens."""
        tokens = self._header.block_tokens
        trailer = trailer_at(buffer, payload.stop + CRC_BYTES)
        if trailer is not None and 0 < trailer.tokens - self._tokens <= tokens:
            tokens = trailer.tokens - self._tokens
        if self._header.is_reset(self._block):
            self._coder.reset()
        bits = self._coder.decode(bytes(buffer[payload]), tokens)
        del buffer[: payload.stop + CRC_BYTES]
        self._block += 1
        self._tokens += tokens
        return Step(bits)

    def _resume(self, buffer: bytearray, at_end: bool) -> Step | None:
        """Look for the next block at which the coder starts afresh, or for the trailer."""
        assert self._skipped is not None
        keep = TRAILER_BYTES - 1
        for match in _MARKS.finditer(bytes(buffer)):
            at = match.start()
            step = self._resume_at(buffer, at)
            if step is not None:
                return step
            if at + self._largest > len(buffer):  # may still become a block or a trailer
                keep = len(buffer) - at
                break
        if at_end:
            buffer.clear()
            return Step(self._blank(0), damaged=True, ending=Ending(None))
        drop = max(0, len(buffer) - keep)
        del buffer[:drop]
        self._skipped += drop
        return None

    def _resume_at(self, buffer: bytearray, at: int) -> Step | None:
        """Go on at the mark that lies at ``at``, if it is what it looks like and no further than the bytes allow."""
        assert self._skipped is not None
        most = (self._skipped + at) // self._smallest + 1  # blocks that can lie in the bytes gone past
        trailer = trailer_at(buffer, at)
        if trailer is not None and 0 <= trailer.tokens - self._tokens <= most * self._header.block_tokens:
            del buffer[: at + TRAILER_BYTES]
            return self._lost(trailer.tokens, Ending(trailer))
        block = int.from_bytes(buffer[at + len(SYNC_MARK) : at + SYNC_BYTES], "little")
        if not 0 < block - self._block <= most or not self._header.is_reset(block):
            return None
        if self._payload(buffer, block, at) is None:
            return None
        del buffer[:at]
        self._block, self._skipped = block, None
        return self._lost(block * self._header.block_tokens)

    def _lost(self, until: int, ending: Ending | None = None) -> Step:
        """Erased tokens up to token ``until``."""
        tokens, self._tokens = until - self._tokens, until
        return Step(self._blank(tokens), damaged=True, ending=ending)
