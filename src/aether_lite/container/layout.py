"""Layout of `.aeth` files: header, blocks and trailer (docs/format.md has every byte).

::

    header 28 | block 0 | block 1 | ... | last block | trailer 22

A block is the whole tokens of one second (12 of 80 ms) and a CRC-16. In a plain file every block but the last has
the same length, so a token's place is a formula; in an entropy-coded file blocks have a length field instead.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from aether_lite.container.bitstream import TOKEN_FRAMES, crc16, token_bits
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.payload import FRAMES_PER_SECOND

if TYPE_CHECKING:
    import torch

MAGIC = b"AETH"
VERSION = 1
ID_BYTES = 8
CRC_BYTES = 2
SYNC_MARK = b"\xae\x7d"  # starts a block at which the entropy coder starts afresh
SYNC_BYTES = len(SYNC_MARK) + 4  # mark and block index
END_MARK = b"AEND"
NO_ID = bytes(ID_BYTES)
_ENTROPY_CODED = 1  # bit of the flags
_HEADER = struct.Struct("<4sBBHBB8s8s")
_TRAILER = struct.Struct("<4sIQI")
HEADER_BYTES = _HEADER.size + CRC_BYTES
TRAILER_BYTES = _TRAILER.size + CRC_BYTES
MAX_TOKENS = 2**32 - 1
MAX_RESET_BLOCKS = 255
RESET_BLOCKS = 10  # default: damage costs at most 9.6 s (docs/format.md has the sizes)


def weights_id(state: Mapping[str, torch.Tensor]) -> bytes:
    """First 8 bytes of the SHA-256 over a model's weights: names, shapes and values, in the order of the names.

    Values count as float32 (integers as int64), little-endian, so neither the file nor the device matters.
    """
    digest = sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu()
        values = (tensor.float() if tensor.is_floating_point() else tensor.long()).numpy()
        digest.update(f"{name}{list(values.shape)}".encode())
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return digest.digest()[:ID_BYTES]


@dataclass(frozen=True)
class Header:
    """What a reader must know before the first token.

    Args:
        bit_rate: 300, 600, 1200 or 2400 bit/s, before entropy coding.
        model_id: 8 bytes that name the weights (``weights_id``).
        token_frames: frames of 10 ms a token.
        prior_id: 8 bytes that name the prior of an entropy-coded file (``Prior.identity``); None: a plain file.
        reset_blocks: entropy-coded: the coder starts afresh at every such block, 1..255.

    Raises:
        AetherError: a value out of range.
    """

    bit_rate: int
    model_id: bytes
    token_frames: int = TOKEN_FRAMES
    prior_id: bytes | None = None
    reset_blocks: int = 0

    def __post_init__(self) -> None:
        token_bits(self.bit_rate, self.token_frames)
        for name, value in (("model", self.model_id), ("prior", self.prior_id)):
            if value is not None and len(value) != ID_BYTES:
                raise AetherError(f"{name} id {value.hex()}: must be {ID_BYTES} bytes")
        low, high = (0, 0) if self.prior_id is None else (1, MAX_RESET_BLOCKS)
        if not low <= self.reset_blocks <= high:
            raise AetherError(f"reset after {self.reset_blocks} blocks: must be {low}..{high} in this kind of file")

    @property
    def token_bits(self) -> int:
        """BitArray of one token."""
        return token_bits(self.bit_rate, self.token_frames)

    @property
    def token_bytes(self) -> int:
        """Packed bytes of one token."""
        return self.token_bits // 8

    @property
    def block_tokens(self) -> int:
        """Tokens of every block but the last: the whole tokens of one second."""
        return FRAMES_PER_SECOND // self.token_frames

    @property
    def length_bytes(self) -> int:
        """Width of a coded block's length field: 1 where a packed block is at most 255 bytes, else 2."""
        return 1 if self.block_tokens * self.token_bytes <= 255 else 2

    @property
    def token_samples(self) -> int:
        """Audio samples of one token at 16 kHz."""
        return self.token_frames * FRAME

    def block_bytes(self, tokens: int) -> int:
        """Bytes of a plain block of ``tokens`` tokens with its CRC; 0 for none."""
        return tokens * self.token_bytes + CRC_BYTES if tokens else 0

    def is_reset(self, block: int) -> bool:
        """Whether the entropy coder starts afresh at block ``block``."""
        return self.prior_id is not None and block % self.reset_blocks == 0

    def to_bytes(self) -> bytes:
        """The 28 bytes."""
        flags = 0 if self.prior_id is None else _ENTROPY_CODED
        values = (self.bit_rate, self.token_frames, self.reset_blocks, self.model_id, self.prior_id or NO_ID)
        body = _HEADER.pack(MAGIC, VERSION, flags, *values)
        return body + crc16(body).to_bytes(CRC_BYTES, "little")


def entropy_coded(header: Header, prior_id: bytes, reset_blocks: int = RESET_BLOCKS) -> Header:
    """The header of the same tokens entropy coded with the prior that ``prior_id`` names."""
    return replace(header, prior_id=prior_id, reset_blocks=reset_blocks)


def parse_header(data: bytes | bytearray, name: str) -> Header:
    """Header of a file that starts with ``data``.

    Raises:
        AetherError: naming ``name``: too short, another magic or version, a damaged header, or an unknown value.
    """
    head = bytes(data[:HEADER_BYTES])
    if not MAGIC.startswith(head[: len(MAGIC)]) or not head:
        raise AetherError(f"{name}: is not an .aeth file (starts with {head[:4]!r}, not {MAGIC!r})")
    if len(head) < HEADER_BYTES:
        raise AetherError(f"{name}: is truncated within its header ({len(head)} of {HEADER_BYTES} bytes)")
    if head[4] != VERSION:
        raise AetherError(f"{name}: has version {head[4]} of the .aeth format; this program reads version {VERSION}")
    if crc16(head[:-CRC_BYTES]) != int.from_bytes(head[-CRC_BYTES:], "little"):
        raise AetherError(f"{name}: its header is damaged (CRC-16 does not fit)")
    _, _, flags, bit_rate, token_frames, reset_blocks, model_id, prior_id = _HEADER.unpack(head[:-CRC_BYTES])
    coded = flags == _ENTROPY_CODED
    if flags & ~_ENTROPY_CODED or (not coded and prior_id != NO_ID):
        raise AetherError(f"{name}: has flags {flags:#04x} that this program does not know; a newer one may read it")
    try:
        return Header(bit_rate, model_id, token_frames, prior_id if coded else None, reset_blocks)
    except AetherError as error:
        raise AetherError(f"{name}: {error}") from error


def other_model(header: Header, wanted: bytes, name: str) -> AetherError:
    """The error for a file made by another model than ``wanted``."""
    return AetherError(
        f"{name}: made by model {header.model_id.hex()}, not by {wanted.hex()}; give the model that made it"
    )


def token_offset(header: Header, token: int) -> int:
    """Byte at which token ``token`` starts in a plain file.

    Raises:
        AetherError: the file is entropy coded, so there is no formula.
    """
    if header.prior_id is not None:
        raise AetherError("an entropy-coded file has no constant bit rate: read it from the start")
    block, within = divmod(token, header.block_tokens)
    return HEADER_BYTES + block * header.block_bytes(header.block_tokens) + within * header.token_bytes


@dataclass(frozen=True)
class Trailer:
    """End of a file.

    Args:
        tokens: tokens of the file.
        samples: audio samples at 16 kHz to which the decoded audio is cut, at most ``tokens * token_samples``.
        tokens_crc: CRC-32 (ISO 3309, as zlib's) of all packed tokens, before entropy coding.
    """

    tokens: int
    samples: int
    tokens_crc: int

    def to_bytes(self) -> bytes:
        """The 22 bytes."""
        body = _TRAILER.pack(END_MARK, self.tokens, self.samples, self.tokens_crc)
        return body + crc16(body).to_bytes(CRC_BYTES, "little")


def trailer_at(data: bytes | bytearray, start: int) -> Trailer | None:
    """The undamaged trailer that lies at ``start``, if one does."""
    body = bytes(data[start : start + TRAILER_BYTES])
    if len(body) < TRAILER_BYTES or not body.startswith(END_MARK):
        return None
    if crc16(body[:-CRC_BYTES]) != int.from_bytes(body[-CRC_BYTES:], "little"):
        return None
    return Trailer(*_TRAILER.unpack(body[:-CRC_BYTES])[1:])


def block_crc(block: int, body: bytes | bytearray) -> bytes:
    """CRC of a block: over its index (32 bits, little-endian, not stored) and then its bytes.

    The index makes a block that is missing, doubled or out of place a damaged one.
    """
    return crc16(body, start=block.to_bytes(4, "little")).to_bytes(CRC_BYTES, "little")
