"""Reading from a pipe without waiting for more than is there."""

from __future__ import annotations

from typing import BinaryIO

READ_BYTES = 65_536


def available(stream: BinaryIO) -> bytes:
    """What is there, at least one byte; nothing at the end of the stream."""
    read = getattr(stream, "read1", stream.read)
    return bytes(read(READ_BYTES))
