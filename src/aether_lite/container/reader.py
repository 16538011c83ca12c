"""Reading `.aeth`: bytes in as they arrive, tokens out block by block.

Where a file ends is known only from its length, so the reader keeps back the bytes that may still be the trailer.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from aether_lite.container.bitstream import BitArray, pack_tokens
from aether_lite.container.blocks import BlockLayout, Ending, Step
from aether_lite.container.coded import CodedLayout
from aether_lite.container.layout import HEADER_BYTES, Header, other_model, parse_header
from aether_lite.container.plain import PlainLayout
from aether_lite.container.prior import Prior
from aether_lite.container.priors import prior_of_file
from aether_lite.container.writer import check_prior
from aether_lite.errors import AetherError


@dataclass(frozen=True)
class Tokens:
    """A run of tokens.

    Args:
        bits: ``[K, n] uint8`` of 0 and 1; of an erased token whatever was found, or 0.
        erased: ``[K] bool``, tokens that no CRC vouches for. Always False unless reading is tolerant.
    """

    bits: BitArray
    erased: NDArray[np.bool_]


@dataclass(frozen=True)
class Damage:
    """What tolerant reading went past.

    Args:
        erased_tokens: tokens marked as erased.
        damaged_places: damaged blocks, or runs of blocks in an entropy-coded file.
        end_missing: no undamaged trailer: the file was cut, and its sample count is a guess (all of the tokens).
        trailing_bytes: bytes after the trailer.
        tokens_differ: every CRC-16 fits, yet the CRC-32 of all tokens does not.
    """

    erased_tokens: int = 0
    damaged_places: int = 0
    end_missing: bool = False
    trailing_bytes: int = 0
    tokens_differ: bool = False

    def __bool__(self) -> bool:
        return self != Damage()


class TokenReader:
    """Tokens of one file from its bytes in pieces of any size: ``feed`` for each piece, ``finish`` at the end.

    Tokens come out when the CRC of their block has been checked and, if coded, when it is sure which block is the last:
    up to one second and 28 bytes after they were written.

    Args:
        name: of the file, for errors.
        model_id: 8 bytes that the header must name; None: any model.
        prior: of an entropy-coded file; None: the released or adaptive one that it names.
        tolerant: go on past damage and mark the tokens it costs, instead of raising. A damaged header, and another
            model or prior, are errors all the same.
    """

    def __init__(
        self, name: str, model_id: bytes | None = None, prior: Prior | None = None, tolerant: bool = False
    ) -> None:
        self._name, self._model_id, self._prior, self._tolerant = name, model_id, prior, tolerant
        self._buffer = bytearray()
        self._header: Header | None = None
        self._layout: BlockLayout | None = None
        self._tokens = self._erased = self._places = self._tokens_crc = self._trailing = 0
        self._ending: Ending | None = None
        self._finished = False

    @property
    def header(self) -> Header | None:
        """The header; None before its 28 bytes have come."""
        return self._header

    @property
    def samples(self) -> int:
        """Audio samples of the whole file; known after ``finish``."""
        if not self._finished or self._header is None:
            raise AetherError(f"{self._name}: its sample count is in its last bytes; finish reading first")
        most = self._tokens * self._header.token_samples
        trailer = self._ending.trailer if self._ending else None
        return most if trailer is None else min(trailer.samples, most)

    @property
    def damage(self) -> Damage:
        """What was found so far; after ``finish``, in all."""
        trailer = self._ending.trailer if self._ending else None
        differ = trailer is not None and not self._erased and trailer.tokens_crc != self._tokens_crc
        missing = self._finished and trailer is None
        return Damage(self._erased, self._places, missing, self._trailing, differ)

    def feed(self, data: bytes) -> Tokens:
        """The tokens that these bytes complete; none (K = 0) before the header is complete.

        Raises:
            AetherError: another kind of file, version, model or prior, and unless tolerant anything damaged.
        """
        self._buffer += data
        return self._advance(at_end=False)

    def finish(self) -> Tokens:
        """The last tokens. All bytes have been fed.

        Raises:
            AetherError: as ``feed``; unless tolerant also for a file that is cut, or longer than it says.
        """
        tokens = self._advance(at_end=True)
        self._finished = True
        return tokens

    def _advance(self, at_end: bool) -> Tokens:
        if self._layout is None and (at_end or len(self._buffer) >= HEADER_BYTES):
            self._layout = self._open()
        steps = []
        while self._layout is not None and self._ending is None:
            step = self._layout.step(self._buffer, at_end)
            if step is None:
                break
            self._count(step)
            steps.append(step)
        if self._ending is not None:
            self._check_ending(self._ending)
            self._trailing += len(self._buffer)
            self._buffer.clear()
        width = self._header.token_bits if self._header else 0
        bits = np.concatenate([np.zeros((0, width), dtype=np.uint8), *(step.bits for step in steps)])
        erased = np.concatenate([np.zeros(0, dtype=np.bool_), *(np.full(len(s.bits), s.damaged) for s in steps)])
        return Tokens(bits, erased)

    def _open(self) -> BlockLayout:
        header = parse_header(self._buffer, self._name)
        if self._model_id is not None and header.model_id != self._model_id:
            raise other_model(header, self._model_id, self._name)
        del self._buffer[:HEADER_BYTES]
        self._header = header
        if header.prior_id is None:
            return PlainLayout(header, self._name, self._tolerant)
        prior = self._prior or prior_of_file(header, self._name)
        check_prior(header, prior, self._name)
        return CodedLayout(header, self._name, self._tolerant, prior)

    def _count(self, step: Step) -> None:
        self._tokens += len(step.bits)
        self._tokens_crc = crc32(pack_tokens(step.bits), self._tokens_crc)
        self._places += step.damaged
        self._erased += len(step.bits) if step.damaged else 0
        self._ending = step.ending

    def _check_ending(self, ending: Ending) -> None:
        """Refuse what only the whole file shows, unless tolerant."""
        if self._tolerant or ending.trailer is None:
            return
        assert self._header is not None
        trailer, most = ending.trailer, self._tokens * self._header.token_samples
        if self._buffer:
            raise AetherError(f"{self._name}: goes on after its end mark; remove what follows (--tolerant ignores it)")
        if trailer.samples > most:
            raise AetherError(f"{self._name}: names {trailer.samples} samples, but its tokens make at most {most}")
        if trailer.tokens_crc != self._tokens_crc:
            raise AetherError(f"{self._name}: its tokens are not those that were written (CRC-32 does not fit)")
