"""Reading from a pipe without waiting for more than is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from aether_lite.errors import AetherError

READ_BYTES = 65_536


def available(stream: BinaryIO) -> bytes:
    """What is there, at least one byte; nothing at the end of the stream."""
    read = getattr(stream, "read1", stream.read)
    return bytes(read(READ_BYTES))


def whole_pieces(stream: BinaryIO, size: int, expected: str) -> Iterator[bytes]:
    """Bytes of a stream in multiples of ``size``, as soon as they are there.

    Args:
        stream: open for reading; may be a pipe.
        size: bytes of a token.
        expected: what the stream should be, for the message.

    Raises:
        AetherError: the stream ends within a token (after all whole ones were given).
    """
    waiting = b""
    while data := available(stream):
        waiting += data
        whole = len(waiting) // size * size
        yield waiting[:whole]
        waiting = waiting[whole:]
    if waiting:
        raise AetherError(
            f"standard input: ends within a token ({len(waiting)} of {size} bytes): truncated, or not of {expected}"
        )
