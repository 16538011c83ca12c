"""The header of a stream of symbols or bits in a pipe: what follows, so that no decoder reads it as something else.

28 bytes, little-endian: magic (8), version, kind, frames of 10 ms a token, 0 (1 each), rate in uses/s or bit/s (4), id
of the codec's weights (8, :mod:`aether_lite.container.weights`), CRC-32 of all before (4). It belongs to the pipe, not
to what is sent over a channel.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from aether_lite.container.weights import check_model
from aether_lite.errors import AetherError

NAME = "standard input"
MAGIC = b"\x89AETHST\n"
VERSION = 1
SYMBOLS, SYMBOLS_WITH_GAINS, PACKED_BITS, SOFT_BITS = "symbols", "symbols with gains", "packed bits", "soft bits"
KINDS = (SYMBOLS, SYMBOLS_WITH_GAINS, PACKED_BITS, SOFT_BITS)
LAYOUT = struct.Struct("<8sBBBxI8s")
CRC_BYTES = 4


@dataclass(frozen=True)
class StreamHeader:
    """What a stream holds.

    Attributes:
        kind: one of :data:`KINDS`.
        rate: [uses/s], or of bits [bit/s].
        token_frames: frames of 10 ms a token.
        model_id: 8 bytes that identify the weights that made it.
    """

    kind: str
    rate: int
    token_frames: int
    model_id: bytes

    def to_bytes(self) -> bytes:
        """The header as it is written."""
        place = KINDS.index(self.kind)
        body = LAYOUT.pack(MAGIC, VERSION, place, self.token_frames, self.rate, self.model_id)
        return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")

    def check(self, expected: StreamHeader, rate_given: bool) -> None:
        """Refuse a stream that a decoder of ``expected`` would misread; its rate counts only if the user gave it.

        Raises:
            AetherError: another kind, rate, token length or model.
        """
        if self.kind != expected.kind:
            raise AetherError(f"{NAME}: a stream of {self.kind}, not of {expected.kind}; {FITTING[self.kind]}")
        if rate_given and self.rate != expected.rate:
            symbols = self.kind in (SYMBOLS, SYMBOLS_WITH_GAINS)
            option, unit = ("--rate", "uses/s") if symbols else ("--bitrate", "bit/s")
            found = f"{self.rate} {unit}, not of {expected.rate} {unit}"
            raise AetherError(f"{NAME}: a stream of {found}; leave {option} out")
        check_model(self.model_id, expected.model_id, NAME)
        if self.token_frames != expected.token_frames:
            own = f"{10 * self.token_frames} ms, not of {10 * expected.token_frames} ms"
            raise AetherError(f"{NAME}: a stream of tokens of {own}; give the --model that made it")


FITTING = {
    SYMBOLS: "give a --model of symbols, and leave --gains, --bitrate and --soft out",
    SYMBOLS_WITH_GAINS: "give a --model of symbols, and --gains to its decoder",
    PACKED_BITS: "give a --model of bits, and leave --soft out",
    SOFT_BITS: "give a --model of bits, and --soft to its decoder",
}


def read_header(stream: BinaryIO) -> StreamHeader | None:
    """The header at the beginning of a stream; None where the stream is empty.

    Raises:
        AetherError: no header, a damaged one, or one of a later release.
    """
    data = stream.read(LAYOUT.size + CRC_BYTES)
    if not data:
        return None
    if data[: len(MAGIC)] != MAGIC:
        raise AetherError(
            f"{NAME}: has no header of a stream of symbols or bits; if it is one that was joined late or written with "
            "--no-header, add --no-header and state its rate"
        )
    if len(data) < LAYOUT.size + CRC_BYTES:
        raise AetherError(f"{NAME}: ends within its header; record or copy it again")
    if data[len(MAGIC)] != VERSION:
        raise AetherError(f"{NAME}: stream of version {data[len(MAGIC)]}; this release reads version {VERSION}")
    body = data[: LAYOUT.size]
    _, _, place, token_frames, rate, model_id = LAYOUT.unpack(body)
    if zlib.crc32(body).to_bytes(CRC_BYTES, "little") != data[LAYOUT.size :] or place >= len(KINDS):
        raise AetherError(f"{NAME}: its header is damaged; if the rest is of use, cut {len(data)} bytes off and add "
                          "--no-header")  # fmt: skip
    return StreamHeader(KINDS[place], rate, token_frames, model_id)
