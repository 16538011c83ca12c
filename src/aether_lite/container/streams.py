"""`.aeth` as a stream (tokens in and bytes out, bytes in as they arrive and tokens out), and whole files.

Where a file ends is known only from its length, so the reader keeps back the bytes that may still be the trailer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.container import layout
from aether_lite.container.blocks import BlockReader, CodedBlocks, PlainBlocks, damaged_block
from aether_lite.container.entropy import BlockCoder
from aether_lite.container.layout import BitArray, Header, Trailer, block_crc, pack_tokens
from aether_lite.container.prior import Prior, prior_of_file
from aether_lite.container.weights import check_model
from aether_lite.errors import AetherError, check_kind, is_integer
from aether_lite.files import atomic_path
from aether_lite.reading import reading

_CHUNK = 1 << 16  # bytes read at a time


class TokenWriter:
    """Bytes of one file, in order: ``push`` for every run of tokens, ``finish`` once.

    Plain tokens leave at once, their CRC after the last one of the block; coded ones leave by whole blocks.

    Args:
        header: of the file.
        prior: of an entropy-coded file, the one that ``header.prior_id`` identifies; None for a plain file.

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
        new = layout.checked_bits(bits, self.header.token_bits)
        if self._finished or self._tokens + len(new) > layout.MAX_TOKENS:
            raise AetherError("no tokens can follow: the file is finished" if self._finished else "too many tokens")
        self._tokens += len(new)
        self._tokens_crc = crc32(pack_tokens(new), self._tokens_crc)
        out, full = [self._take_start()], self.header.block_tokens
        while len(new):
            part = new[: full - len(self._pending)]
            new = new[len(part) :]
            if self._coder is None:
                out.append(pack_tokens(part))
            self._pending = np.concatenate([self._pending, part])
            if len(self._pending) == full:
                out.append(self._close_block())
        return b"".join(out)

    def finish(self, samples: int) -> bytes:
        """Last bytes: the rest of the last block and the trailer, with the ``samples`` at 16 kHz the tokens stand for.

        Raises:
            AetherError: more samples than the tokens make, or the file is finished already.
        """
        most = self._tokens * self.header.token_samples
        if self._finished or not is_integer(samples, 0, most):
            reason = "is finished already" if self._finished else f"must be 0..{most} with {self._tokens} tokens"
            raise AetherError(f"sample count {samples}: {reason}")
        self._finished = True
        last = self._close_block() if len(self._pending) else b""
        return self._take_start() + last + Trailer(self._tokens, samples, self._tokens_crc).to_bytes()

    def _take_start(self) -> bytes:
        start, self._start = self._start, b""
        return start

    def _close_block(self) -> bytes:
        """What is still to be written of the pending tokens: all of a coded block, the CRC of a plain one."""
        block, self._block = self._block, self._block + 1
        tokens, self._pending = self._pending, self._pending[:0]
        if self._coder is None:
            return block_crc(block, pack_tokens(tokens))
        sync = b""
        if self.header.is_reset(block):
            self._coder.reset()
            sync = layout.SYNC_MARK + block.to_bytes(4, "little")
        coded = self._coder.encode(tokens)
        body = sync + len(coded).to_bytes(self.header.length_bytes, "little") + coded
        return body + block_crc(block, body)


def check_prior(header: Header, prior: Prior | None, name: str) -> None:
    """Refuse a prior that is not the one of the header (None: of a plain file); errors start with ``name``."""
    check_kind("header", header, Header, "a Header")
    if header.prior_id is None:
        if prior is not None:
            raise AetherError(f"{name}: a plain file needs no prior")
        return
    if prior is None or prior.identity != header.prior_id:
        have = "none was given" if prior is None else f"{prior.identity.hex()} was given"
        raise AetherError(f"{name}: entropy coded with prior {header.prior_id.hex()}; {have}")
    if prior.token_bits != header.token_bits:
        raise AetherError(f"{name}: prior for tokens of {prior.token_bits} bits, file with {header.token_bits}")


@dataclass(frozen=True)
class Tokens:
    """A run of tokens.

    Args:
        bits: ``[K, n] uint8`` of 0 and 1; of an erased token whatever was found, or 0.
        erased: ``[K] bool``, tokens that no CRC vouches for. Always False unless reading is tolerant.
    """

    bits: BitArray
    erased: NDArray[np.bool_]

    @staticmethod
    def of(runs: list[tuple[BitArray, NDArray[np.bool_]]], token_bits: int) -> Tokens:
        """Runs in a row; none is no tokens."""
        none = (np.zeros((0, token_bits), dtype=np.uint8), np.zeros(0, dtype=np.bool_))
        bits, erased = zip(none, *runs, strict=True)
        return Tokens(np.concatenate(bits), np.concatenate(erased))


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
        model_id: 8 bytes that the header must hold; None: any model.
        prior: of an entropy-coded file; None: the released or adaptive one that it names.
        tolerant: go on past damage and mark the tokens it costs, instead of raising. A damaged header, and another
            model or prior, are errors all the same.

    Attributes:
        header: None before its 28 bytes have come.
    """

    def __init__(
        self, name: str, model_id: bytes | None = None, prior: Prior | None = None, tolerant: bool = False
    ) -> None:
        self._name, self._model_id, self._prior, self._tolerant = name, model_id, prior, tolerant
        self.header: Header | None = None
        self._buffer = bytearray()
        self._blocks: BlockReader | None = None
        self._tokens = self._erased = self._places = self._tokens_crc = self._trailing = 0
        self._last = self._finished = False
        self._trailer: Trailer | None = None

    @property
    def samples(self) -> int:
        """Audio samples of the whole file; known after ``finish``."""
        if not self._finished or self.header is None:
            raise AetherError(f"{self._name}: its sample count is in its last bytes; finish reading first")
        most = self._tokens * self.header.token_samples
        return most if self._trailer is None else min(self._trailer.samples, most)

    @property
    def damage(self) -> Damage:
        """What was found so far; after ``finish``, in all."""
        trailer = self._trailer
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
        """The last tokens; AetherError as ``feed`` and, unless tolerant, for a file cut or longer than it says."""
        tokens = self._advance(at_end=True)
        self._finished = True
        return tokens

    def _advance(self, at_end: bool) -> Tokens:
        if self._blocks is None and (at_end or len(self._buffer) >= layout.HEADER_BYTES):
            self._blocks = self._open()
        runs = []
        while self._blocks is not None and not self._last:
            step = self._blocks.step(self._buffer, at_end)
            if step is None:
                break
            runs.append((step.bits, np.full(len(step.bits), step.damaged)))
            self._tokens += len(step.bits)
            self._tokens_crc = crc32(pack_tokens(step.bits), self._tokens_crc)
            self._places += step.damaged
            self._erased += len(step.bits) if step.damaged else 0
            self._last, self._trailer = step.last, step.trailer
        if self._last:
            self._check_ending()
            self._trailing += len(self._buffer)
            self._buffer.clear()
        return Tokens.of(runs, self.header.token_bits if self.header else 0)

    def _open(self) -> BlockReader:
        header = layout.parse_header(self._buffer, self._name)
        check_model(header.model_id, self._model_id, self._name)
        del self._buffer[: layout.HEADER_BYTES]
        self.header = header
        if header.prior_id is None:
            return PlainBlocks(header, self._name, self._tolerant)
        prior = self._prior or prior_of_file(header, self._name)
        check_prior(header, prior, self._name)
        return CodedBlocks(header, self._name, self._tolerant, prior)

    def _check_ending(self) -> None:
        """Refuse what only the whole file shows, unless tolerant."""
        trailer = self._trailer
        if self._tolerant or trailer is None or self.header is None:
            return
        most = self._tokens * self.header.token_samples
        if self._buffer:
            raise AetherError(f"{self._name}: goes on after its end mark; remove what follows (--tolerant ignores it)")
        if trailer.samples > most:
            raise AetherError(f"{self._name}: names {trailer.samples} samples, but its tokens make at most {most}")
        if trailer.tokens_crc != self._tokens_crc:
            raise AetherError(f"{self._name}: its tokens are not those that were written (CRC-32 does not fit)")


@dataclass(frozen=True)
class Recording:
    """A file's content.

    Args:
        header: of the file.
        bits: ``[K, n] uint8`` of 0 and 1.
        erased: ``[K] bool``, tokens lost to damage (tolerant reading only).
        samples: audio samples at 16 kHz to which the decoded audio is cut.
        damage: what tolerant reading went past; false when there was nothing.
        size: of the file [bytes].
    """

    header: Header
    bits: BitArray
    erased: NDArray[np.bool_]
    samples: int
    damage: Damage
    size: int


def write_aeth(path: str | Path, header: Header, bits: ArrayLike, samples: int, prior: Prior | None = None) -> int:
    """Write ``[K, n]`` bits of 0 and 1 as one file, whole or not at all; returns its size in bytes.

    Args:
        path, header, bits: the file, its header and its tokens.
        samples: audio samples at 16 kHz that the tokens stand for.
        prior: the prior that ``header.prior_id`` identifies; None: a plain file.

    Raises:
        AetherError: bits, samples or prior that do not fit the header, or a path that cannot be written.
    """
    writer = TokenWriter(header, prior)
    data = writer.push(bits) + writer.finish(samples)
    with atomic_path(path) as partial:
        partial.write_bytes(data)
    return len(data)


def read_aeth(
    path: str | Path, model_id: bytes | None = None, prior: Prior | None = None, tolerant: bool = False
) -> Recording:
    """Read a file; memory grows with the bytes that are there, never with what they claim.

    ``model_id``, ``prior``, ``tolerant`` and errors are those of :class:`TokenReader`.

    Raises:
        AetherError: also for a file that cannot be read.
    """
    with reading(path, "an .aeth file"), Path(path).open("rb") as stream:
        return read_stream(stream, str(path), model_id, prior, tolerant)


def read_stream(
    stream: BinaryIO, name: str, model_id: bytes | None = None, prior: Prior | None = None, tolerant: bool = False
) -> Recording:
    """As :func:`read_aeth`, from an open binary stream; ``name`` stands for it in errors."""
    reader = TokenReader(name, model_id, prior, tolerant)
    runs, size = [], 0
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        runs.append(reader.feed(chunk))
        size += len(chunk)
    runs.append(reader.finish())
    header = reader.header
    assert header is not None  # finish raises without one
    tokens = Tokens.of([(run.bits, run.erased) for run in runs if len(run.bits)], header.token_bits)
    return Recording(header, tokens.bits, tokens.erased, reader.samples, reader.damage, size)


def read_ends(stream: BinaryIO, name: str) -> tuple[Header, Trailer | None, int]:
    """Header, trailer (None where no undamaged one ends the file) and size [bytes]; nothing between is read."""
    header = layout.parse_header(stream.read(layout.HEADER_BYTES), name)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(layout.HEADER_BYTES, size - layout.TRAILER_BYTES))
    return header, layout.trailer_at(stream.read(layout.TRAILER_BYTES), 0), size


def read_span(path: str | Path, first: int, count: int, model_id: bytes | None = None) -> BitArray:
    """Tokens ``[count, n] uint8`` of a plain file from ``first`` on, whatever has become of the others.

    Raises:
        AetherError: an entropy-coded file (one of its blocks needs those before it: use ``read_aeth``), a span outside
            the file, a damaged block in the span, or a file without a valid end.
    """
    recording = read_aeth(path, model_id, tolerant=True)
    header, tokens = recording.header, len(recording.bits)
    if header.prior_id is not None:
        raise AetherError(f"{path}: is entropy coded, which has no constant bit rate: read it from the start")
    if recording.damage.end_missing or recording.damage.trailing_bytes:
        raise AetherError(f"{path}: has no valid end mark: it is truncated or goes on after its end")
    if not (is_integer(first, 0, tokens) and is_integer(count, 0, tokens - first)):
        raise AetherError(f"{path}: has tokens 0..{tokens - 1}; {count} from {first} on were asked for")
    damaged = np.flatnonzero(recording.erased[first : first + count])
    if len(damaged):
        raise damaged_block(str(path), header, int(first + damaged[0]) // header.block_tokens)
    return recording.bits[first : first + count]
