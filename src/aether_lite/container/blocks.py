"""Blocks of `.aeth` files: how plain and entropy-coded files cut the bytes after the header into tokens.

Plain blocks have a constant size, so damage never moves what follows. A coded block is a length, coded bits and a CRC;
a sync mark stands where the coder starts afresh, and a damaged block costs all tokens up to the next mark.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from aether_lite.container import layout
from aether_lite.container.entropy import LEAST_BYTES, BlockCoder
from aether_lite.container.layout import CRC_BYTES, TRAILER_BYTES, BitArray, Header, Trailer, block_crc, trailer_at
from aether_lite.container.prior import Prior
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND

_MARKS = re.compile(re.escape(layout.SYNC_MARK) + b"|" + re.escape(layout.END_MARK))


@dataclass(frozen=True)
class Step:
    """One block, or a damaged run of blocks: tokens ``[K, n] uint8``, maybe none.

    No CRC vouches for ``damaged`` ones; ``last``: the blocks end here, with an undamaged trailer or (tolerant) without.
    """

    bits: BitArray
    damaged: bool = False
    last: bool = False
    trailer: Trailer | None = None


def damaged_block(name: str, header: Header, block: int, reason: str = "CRC-16 does not fit") -> AetherError:
    first = block * header.block_tokens
    seconds = first * header.token_frames / FRAMES_PER_SECOND
    return AetherError(
        f"{name}: block {block} (from token {first}, {seconds:.2f} s) is damaged: {reason}; --tolerant goes past it"
    )


class BlockReader(ABC):
    """Cuts what follows the header of the file ``name`` into blocks; ``tolerant`` goes past damage, not raising."""

    def __init__(self, header: Header, name: str, tolerant: bool) -> None:
        self._header, self._name, self._tolerant = header, name, tolerant
        self._block = self._tokens = 0

    @abstractmethod
    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        """Take the next block off the front of ``buffer``; None: more bytes are needed, never so ``at_end``."""

    def _missing_end(self) -> AetherError:
        return AetherError(
            f"{self._name}: no valid end mark after token {self._tokens}: the file is truncated or its end damaged; "
            "--tolerant decodes what there is"
        )


class PlainBlocks(BlockReader):
    """Packed tokens, 12 and a CRC at a time (of 80 ms)."""

    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        full = self._header.block_tokens
        is_full = len(buffer) >= self._header.block_bytes(full) + TRAILER_BYTES  # else the last block and the trailer
        if not is_full and not at_end:
            return None
        if is_full and self._is_intact(buffer, full):
            return self._take(buffer, full)
        for tokens in range(full + 1):  # a trailer that lies within one block and counts its tokens
            trailer = trailer_at(buffer, self._header.block_bytes(tokens))
            if trailer is not None and trailer.tokens == self._tokens + tokens:
                damaged = not self._is_intact(buffer, tokens)
                if damaged and not self._tolerant:
                    raise damaged_block(self._name, self._header, self._block)
                step = self._take(buffer, tokens, damaged, last=True, trailer=trailer)
                del buffer[:TRAILER_BYTES]
                return step
        if not self._tolerant:
            raise damaged_block(self._name, self._header, self._block) if is_full else self._missing_end()
        return self._take(buffer, full, damaged=True) if is_full else self._cut(buffer)

    def _is_intact(self, buffer: bytearray, tokens: int) -> bool:
        size = self._header.block_bytes(tokens)
        body, crc = buffer[: size - CRC_BYTES], buffer[size - CRC_BYTES : size]
        return tokens == 0 or (len(crc) == CRC_BYTES and block_crc(self._block, body) == crc)

    def _take(
        self, buffer: bytearray, tokens: int, damaged: bool = False, last: bool = False, trailer: Trailer | None = None
    ) -> Step:
        bits = layout.unpack_tokens(buffer[: tokens * self._header.token_bytes], self._header.token_bits)
        del buffer[: self._header.block_bytes(tokens)]
        self._block += 1
        self._tokens += tokens
        return Step(bits, damaged, last, trailer)

    def _cut(self, buffer: bytearray) -> Step:
        """The rest of a file without a valid trailer, block by block; tokens of an incomplete one are unproved."""
        counts = range(self._header.block_tokens, -1, -1)
        whole = next((k for k in counts if k and self._is_intact(buffer, k)), None)
        if whole == self._header.block_tokens:
            return self._take(buffer, whole)
        if whole is not None:
            step = self._take(buffer, whole, last=True)
        else:
            there = min(self._header.block_tokens, len(buffer) // self._header.token_bytes)
            marked = (k for k in counts if buffer.startswith(layout.END_MARK, self._header.block_bytes(k)))
            tokens = next(marked, there)
            step = self._take(buffer, tokens, damaged=tokens > 0, last=True)
        buffer.clear()
        return step


class CodedBlocks(BlockReader):
    """Blocks of an entropy-coded file; the coder starts from ``prior``."""

    def __init__(self, header: Header, name: str, tolerant: bool, prior: Prior) -> None:
        super().__init__(header, name, tolerant)
        self._coder = BlockCoder(prior)
        self._skipped: int | None = None  # bytes dropped since the damage that is being gone past
        self._longest = header.block_tokens * header.token_bytes
        self._largest = layout.SYNC_BYTES + header.length_bytes + self._longest + CRC_BYTES
        self._smallest = header.length_bytes + LEAST_BYTES + CRC_BYTES

    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        if self._skipped is not None:
            return self._resume(buffer, at_end)
        if len(buffer) < self._largest + TRAILER_BYTES and not at_end:
            return None
        trailer = trailer_at(buffer, 0)
        if trailer is not None and trailer.tokens == self._tokens:
            del buffer[:TRAILER_BYTES]
            return Step(self._blank(0), last=True, trailer=trailer)
        reason = "its length or CRC-16 does not fit"
        payload = self._payload(buffer, self._block)
        if payload is not None:
            try:
                return self._take(buffer, payload)
            except AetherError as error:
                reason = str(error)
        if not self._tolerant:
            is_cut = at_end and not any(trailer_at(buffer, match.start()) for match in _MARKS.finditer(bytes(buffer)))
            raise self._missing_end() if is_cut else damaged_block(self._name, self._header, self._block, reason)
        self._skipped = 0
        return self._resume(buffer, at_end)

    def _blank(self, tokens: int) -> BitArray:
        return np.zeros((tokens, self._header.token_bits), dtype=np.uint8)

    def _payload(self, buffer: bytearray, block: int, start: int = 0) -> slice | None:
        """Where the coded bits of block ``block`` lie; None unless it is there at ``start``, whole and undamaged."""
        sync = layout.SYNC_MARK + block.to_bytes(4, "little") if self._header.is_reset(block) else b""
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
            step = self._resume_at(buffer, at, (self._skipped + at) // self._smallest + 1)
            if step is not None:
                return step
            if at + self._largest > len(buffer):  # may still become a block or a trailer
                keep = len(buffer) - at
                break
        if at_end:
            buffer.clear()
            return Step(self._blank(0), damaged=True, last=True)
        drop = max(0, len(buffer) - keep)
        del buffer[:drop]
        self._skipped += drop
        return None

    def _resume_at(self, buffer: bytearray, at: int, most: int) -> Step | None:
        """Go on at the mark at ``at``, if it is what it looks like; ``most`` blocks can lie in the bytes gone past."""
        trailer = trailer_at(buffer, at)
        if trailer is not None and 0 <= trailer.tokens - self._tokens <= most * self._header.block_tokens:
            del buffer[: at + TRAILER_BYTES]
            return self._lost(trailer.tokens, trailer)
        block = int.from_bytes(buffer[at + len(layout.SYNC_MARK) : at + layout.SYNC_BYTES], "little")
        possible = 0 < block - self._block <= most and self._header.is_reset(block)
        if not possible or self._payload(buffer, block, at) is None:
            return None
        del buffer[:at]
        self._block, self._skipped = block, None
        return self._lost(block * self._header.block_tokens)

    def _lost(self, until: int, trailer: Trailer | None = None) -> Step:
        """Erased tokens up to token ``until``, which is the end if the trailer follows."""
        tokens, self._tokens = until - self._tokens, until
        return Step(self._blank(tokens), damaged=True, last=trailer is not None, trailer=trailer)
