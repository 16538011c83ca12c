"""Writing `.aeth`: tokens in, bytes out, as a stream."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.container.bitstream import BitArray, checked_bits, pack_tokens
from aether_lite.container.entropy import BlockCoder
from aether_lite.container.layout import MAX_TOKENS, SYNC_MARK, Header, Trailer, block_crc
from aether_lite.container.prior import Prior
from aether_lite.errors import AetherError


class TokenWriter:
    """Bytes of one file, in order: ``push`` for every run of tokens, ``finish`` once.

    Plain tokens leave at once, their CRC after the last one of the block; coded ones leave by whole blocks.

    Args:
        header: of the file.
        prior: chances of an entropy-coded file, the one that ``header.prior_id`` names; None for a plain file.

    Raises:
        AetherError: a prior that the header does not name, for tokens of another width, or without need.
    """

    def __init__(self, header: Header, prior: Prior | None = None) -> None:
        check_prior(header, prior, "prior")
        self.header = header
        self._coder = None if prior is None else BlockCoder(prior)
        self._start = header.to_bytes()
        self._pending = np.zeros((0, header.token_bits), dtype=np.uint8)  # tokens of the block that is not full yet
        self._block = self._tokens = self._tokens_crc = 0
        self._finished = False

    def push(self, bits: ArrayLike) -> bytes:
        """``[K, n]`` bits of 0 and 1, any K -> the bytes to write now (the first ones with the header).

        Raises:
            AetherError: another shape or values, too many tokens, or the file is finished.
        """
        values = checked_bits(bits, self.header.token_bits)
        if self._finished or self._tokens + len(values) > MAX_TOKENS:
            raise AetherError("no tokens can follow: the file is finished" if self._finished else "too many tokens")
        packed = pack_tokens(values)
        self._tokens += len(values)
        self._tokens_crc = crc32(packed, self._tokens_crc)
        return b"".join([self._take_start(), *self._blocks(values)])

    def finish(self, samples: int) -> bytes:
        """Last bytes: the rest of the last block and the trailer.

        Args:
            samples: audio samples at 16 kHz that the tokens stand for, 0..tokens * token samples.

        Raises:
            AetherError: more samples than the tokens make, or the file is finished already.
        """
        most = self._tokens * self.header.token_samples
        if self._finished or not 0 <= samples <= most:
            reason = "is finished already" if self._finished else f"must be 0..{most} with {self._tokens} tokens"
            raise AetherError(f"sample count {samples}: {reason}")
        self._finished = True
        last = self._close_block(self._pending) if len(self._pending) else b""
        return self._take_start() + last + Trailer(self._tokens, samples, self._tokens_crc).to_bytes()

    def _take_start(self) -> bytes:
        start, self._start = self._start, b""
        return start

    def _blocks(self, bits: BitArray) -> list[bytes]:
        """Bytes of the tokens; what is not a whole block stays pending."""
        out, full = [], self.header.block_tokens
        while len(bits):
            new = bits[: full - len(self._pending)]
            bits = bits[len(new) :]
            if self._coder is None:
                out.append(pack_tokens(new))
            self._pending = np.concatenate([self._pending, new])
            if len(self._pending) == full:
                out.append(self._close_block(self._pending))
        return out

    def _close_block(self, tokens: BitArray) -> bytes:
        """What is still to be written of a block of these tokens: all of a coded one, the CRC of a plain one."""
        block, self._block = self._block, self._block + 1
        self._pending = self._pending[:0]
        if self._coder is None:
            return block_crc(block, pack_tokens(tokens))
        sync = b""
        if self.header.is_reset(block):
            self._coder.reset()
            sync = SYNC_MARK + block.to_bytes(4, "little")
        coded = self._coder.encode(tokens)
        body = sync + len(coded).to_bytes(self.header.length_bytes, "little") + coded
        return body + block_crc(block, body)


def check_prior(header: Header, prior: Prior | None, name: str) -> None:
    """Refuse a prior that is not the one of the header (None: of a plain file); errors start with ``name``."""
    if header.prior_id is None:
        if prior is not None:
            raise AetherError(f"{name}: a plain file needs no prior")
        return
    if prior is None or prior.identity != header.prior_id:
        have = "none was given" if prior is None else f"{prior.identity.hex()} was given"
        raise AetherError(f"{name}: entropy coded with prior {header.prior_id.hex()}; {have}")
    if prior.token_bits != header.token_bits:
        raise AetherError(f"{name}: prior for tokens of {prior.token_bits} bits, file with {header.token_bits}")
