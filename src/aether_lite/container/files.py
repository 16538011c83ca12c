"""Whole `.aeth` files: write, read, read a span."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.container import layout
from aether_lite.container.blocks import damaged_block
from aether_lite.container.layout import CRC_BYTES, HEADER_BYTES, TRAILER_BYTES, BitArray, Header, Trailer
from aether_lite.container.prior import Prior
from aether_lite.container.streams import Damage, TokenReader, Tokens, TokenWriter
from aether_lite.container.weights import check_model
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

_CHUNK = 1 << 16  # bytes read at a time


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
    with _opened(path) as stream:
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
    header = layout.parse_header(stream.read(HEADER_BYTES), name)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(HEADER_BYTES, size - TRAILER_BYTES))
    return header, layout.trailer_at(stream.read(TRAILER_BYTES), 0), size


def read_span(path: str | Path, first: int, count: int, model_id: bytes | None = None) -> BitArray:
    """Tokens ``[count, n] uint8`` of a plain file from ``first`` on, reading only the blocks in which they lie.

    Raises:
        AetherError: an entropy-coded file (it has no constant rate: use ``read_aeth``), a span outside the file, a
            damaged block in the span, or a file without a valid end.
    """
    with _opened(path) as stream:
        return _span(stream, str(path), first, count, model_id)


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    try:
        with Path(path).open("rb") as stream:
            yield stream
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error


def _span(stream: BinaryIO, name: str, first: int, count: int, model_id: bytes | None) -> BitArray:
    header, trailer, size = read_ends(stream, name)
    if header.prior_id is not None:
        raise AetherError(f"{name}: is entropy coded, which has no constant bit rate: read it from the start")
    tokens = 0 if trailer is None else trailer.tokens
    rest = tokens % header.block_tokens
    expected = layout.token_offset(header, tokens - rest) + header.block_bytes(rest) + TRAILER_BYTES
    if trailer is None or size != expected:
        raise AetherError(f"{name}: has no valid end mark: it is truncated or goes on after its end")
    if first < 0 or count < 0 or first + count > trailer.tokens:
        raise AetherError(f"{name}: has tokens 0..{trailer.tokens - 1}; {first}..{first + count - 1} were asked for")
    check_model(header, model_id, name)
    blocks = range(first // header.block_tokens, -(-(first + count) // header.block_tokens))
    stream.seek(layout.token_offset(header, blocks.start * header.block_tokens))
    runs = [np.zeros((0, header.token_bits), dtype=np.uint8)]
    for block in blocks:
        tokens = min(header.block_tokens, trailer.tokens - block * header.block_tokens)
        data = stream.read(header.block_bytes(tokens))
        if layout.block_crc(block, data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
            raise damaged_block(name, header, block)
        runs.append(layout.unpack_tokens(data[:-CRC_BYTES], header.token_bits))
    begin = first - blocks.start * header.block_tokens
    return np.concatenate(runs)[begin : begin + count]
