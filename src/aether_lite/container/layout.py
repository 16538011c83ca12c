"""Byte layout of `.aeth` files: packed tokens, header, trailer and check sums, see docs/reference/format.md.

::

    header 28 | block 0 | block 1 | ... | last block | trailer 22

A token is ``token_frames`` frames of 10 ms (8 in the released codecs, 80 ms). At ``B`` bit/s it has
``B * token_frames / 100`` bits, which must be whole bytes: 24, 48, 96, 192 bits at 300, 600, 1200, 2400 bit/s.
A block is the whole tokens of one second (12 of 80 ms) and a CRC-16. In a plain file every block but the last has
the same length, so a token's place is a formula; in an entropy-coded file blocks have a length field instead.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.payload import FRAMES_PER_SECOND, Bits, ReceivedBits, checked_bit_rate

BitArray = NDArray[np.uint8]

MAGIC = b"AETH"
VERSION = 1
TOKEN_FRAMES = 8
ID_BYTES = 8
CRC_BYTES = 2
SYNC_MARK = b"\xae\x7d"  # starts a block at which the entropy coder starts afresh
SYNC_BYTES = len(SYNC_MARK) + 4  # mark and block index
END_MARK = b"AEND"
NO_ID = bytes(ID_BYTES)
_ENTROPY_CODED = 1  # bit of the flags
_HEADER = struct.Struct("<4sBBHBB8s8s")
_TRAILER = struct.Struct("<4sIQI")
_CRC_START = 0xFFFF
HEADER_BYTES = _HEADER.size + CRC_BYTES
TRAILER_BYTES = _TRAILER.size + CRC_BYTES
MAX_TOKENS = 2**32 - 1
MAX_RESET_BLOCKS = 255
RESET_BLOCKS = 10  # default: damage costs at most 9.6 s (the format's page has the sizes)


def token_bits(bit_rate: int, token_frames: int = TOKEN_FRAMES) -> int:
    """Bits of one token, a multiple of 8, at ``bit_rate`` [bit/s] with ``token_frames`` of 10 ms (1..100).

    Raises:
        AetherError: another rate or token length, or a token that is not whole bytes.
    """
    checked_bit_rate(bit_rate)
    if not 1 <= token_frames <= FRAMES_PER_SECOND:
        raise AetherError(f"token of {token_frames} frames: must be 1..{FRAMES_PER_SECOND} frames of 10 ms")
    bits, rest = divmod(bit_rate * token_frames, FRAMES_PER_SECOND)
    if rest or bits % 8:
        raise AetherError(f"token of {token_frames} frames: is not whole bytes at {bit_rate} bit/s; 8 frames are")
    return bits


def checked_bits(bits: ArrayLike, per_token: int) -> BitArray:
    """``bits`` as ``[K, per_token] uint8``; AetherError unless they have this shape and are 0 or 1 (False or True)."""
    try:
        values = np.asarray(bits)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AetherError("bits: must be an array of 0 and 1, all tokens of one length") from error
    if values.ndim != 2 or values.shape[1] != per_token:
        raise AetherError(f"bits of shape {list(values.shape)}: must be [tokens, {per_token}] at this bit rate")
    if values.dtype.kind not in "buif" or ((values != 0) & (values != 1)).any():
        raise AetherError("bits: must all be 0 or 1")
    return values.astype(np.uint8)


def pack_tokens(bits: BitArray) -> bytes:
    """``[K, n]`` bits -> ``K * n / 8`` bytes; bit 0 of a token is the highest bit of its first byte."""
    return np.packbits(bits, axis=1).tobytes()


def unpack_tokens(data: bytes | bytearray, per_token: int) -> BitArray:
    """Whole tokens of packed bytes -> ``[K, per_token] uint8``; the inverse of ``pack_tokens``."""
    return np.unpackbits(np.frombuffer(bytes(data), dtype=np.uint8).reshape(-1, per_token // 8), axis=1)


def crc16(data: bytes | bytearray, start: bytes = b"") -> int:
    """CRC-16/IBM-3740 (polynomial 0x1021, start 0xFFFF, not reflected) of ``start`` and then ``data``.

    Any change within 16 neighbouring bits is found; of others, all but about one in 65 536.
    """
    return crc_hqx(data, crc_hqx(start, _CRC_START))


def block_crc(block: int, body: bytes | bytearray) -> bytes:
    """CRC of a block: of its index (32 bits, little-endian, not stored, so that its place counts) and its bytes."""
    return crc16(body, start=block.to_bytes(4, "little")).to_bytes(CRC_BYTES, "little")


def _sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(CRC_BYTES, "little")


@dataclass(frozen=True)
class Header:
    """What a reader must know before the first token.

    Args:
        bit_rate: 300, 600, 1200 or 2400 bit/s, before entropy coding.
        model_id: 8 bytes that identify the weights (:mod:`aether_lite.container.weights`).
        token_frames: frames of 10 ms a token.
        prior_id: 8 bytes that identify the prior of an entropy-coded file (``Prior.identity``); None: a plain file.
        reset_blocks: entropy-coded: the coder starts afresh at every such block, 1..255.

    Attributes:
        token_bits, token_bytes, token_samples: of one token: bits, packed bytes, samples of audio at 16 kHz.
        block_tokens: tokens of every block but the last: the whole tokens of one second.
        length_bytes: of a coded block's length field: 1 where a packed block is at most 255 bytes, else 2.

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
            if value is not None and not (isinstance(value, bytes) and len(value) == ID_BYTES):
                shown = value.hex() if isinstance(value, bytes) else repr(value)
                raise AetherError(f"{name} id {shown}: must be {ID_BYTES} bytes")
        low, high = (0, 0) if self.prior_id is None else (1, MAX_RESET_BLOCKS)
        if not low <= self.reset_blocks <= high:
            raise AetherError(f"reset after {self.reset_blocks} blocks: must be {low}..{high} in this kind of file")

    @property
    def token_bits(self) -> int:
        return token_bits(self.bit_rate, self.token_frames)

    @property
    def token_bytes(self) -> int:
        return self.token_bits // 8

    @property
    def token_samples(self) -> int:
        return self.token_frames * FRAME

    @property
    def block_tokens(self) -> int:
        return FRAMES_PER_SECOND // self.token_frames

    @property
    def length_bytes(self) -> int:
        return 1 if self.block_tokens * self.token_bytes <= 255 else 2

    def block_bytes(self, tokens: int) -> int:
        """Bytes of a plain block of ``tokens`` tokens with its CRC; 0 for none."""
        return tokens * self.token_bytes + CRC_BYTES if tokens else 0

    def is_reset(self, block: int) -> bool:
        return self.prior_id is not None and block % self.reset_blocks == 0

    def coded(self, prior_id: bytes, reset_blocks: int = RESET_BLOCKS) -> Header:
        """The header of the same tokens entropy coded with the prior that ``prior_id`` identifies."""
        return replace(self, prior_id=prior_id, reset_blocks=reset_blocks)

    def to_bytes(self) -> bytes:
        flags = 0 if self.prior_id is None else _ENTROPY_CODED
        values = (self.bit_rate, self.token_frames, self.reset_blocks, self.model_id, self.prior_id or NO_ID)
        return _sealed(_HEADER.pack(MAGIC, VERSION, flags, *values))


def parse_header(data: bytes | bytearray, name: str) -> Header:
    """Header of the file ``name`` that starts with ``data``.

    Raises:
        AetherError: too short, another magic or version, a damaged header, or an unknown value.
    """
    head = bytes(data[:HEADER_BYTES])
    if not MAGIC.startswith(head[: len(MAGIC)]) or not head:
        raise AetherError(f"{name}: is not an .aeth file (starts with {head[:4]!r}, not {MAGIC!r})")
    if len(head) < HEADER_BYTES:
        raise AetherError(f"{name}: is truncated within its header ({len(head)} of {HEADER_BYTES} bytes)")
    if head[4] != VERSION:
        raise AetherError(f"{name}: has version {head[4]} of the .aeth format; this program reads version {VERSION}")
    if _sealed(head[:-CRC_BYTES]) != head:
        raise AetherError(f"{name}: its header is damaged (CRC-16 does not fit)")
    _, _, flags, bit_rate, token_frames, reset_blocks, model_id, prior_id = _HEADER.unpack(head[:-CRC_BYTES])
    coded = flags == _ENTROPY_CODED
    if flags & ~_ENTROPY_CODED or (not coded and prior_id != NO_ID):
        raise AetherError(f"{name}: has flags {flags:#04x} that this program does not know; a newer one may read it")
    try:
        return Header(bit_rate, model_id, token_frames, prior_id if coded else None, reset_blocks)
    except AetherError as error:
        raise AetherError(f"{name}: {error}") from error


@dataclass(frozen=True)
class Trailer:
    """End of a file."""

    tokens: int  # tokens of the file
    samples: int  # audio samples at 16 kHz to which the decoded audio is cut, at most ``tokens * token_samples``
    tokens_crc: int  # CRC-32 (ISO 3309, as zlib's) of all packed tokens, before entropy coding

    def to_bytes(self) -> bytes:
        return _sealed(_TRAILER.pack(END_MARK, self.tokens, self.samples, self.tokens_crc))


def trailer_at(data: bytes | bytearray, start: int) -> Trailer | None:
    """The undamaged trailer that lies at ``start``, if one does."""
    end = bytes(data[start : start + TRAILER_BYTES])
    if len(end) < TRAILER_BYTES or not end.startswith(END_MARK) or _sealed(end[:-CRC_BYTES]) != end:
        return None
    return Trailer(*_TRAILER.unpack(end[:-CRC_BYTES])[1:])


def bit_array(bits: Bits) -> BitArray:
    """``[B, K, n] uint8``: 1 for a bit of +1, 0 for one of -1."""
    positive: Any = bits.values > 0
    return np.asarray(positive if isinstance(positive, np.ndarray) else positive.numpy(force=True), dtype=np.uint8)


def received_bits(
    bits: BitArray, rate: int, token_frames: int = TOKEN_FRAMES, erased: ArrayLike | None = None, certainty: float = 1.0
) -> ReceivedBits:
    """Bits ``[K, n]`` of 0 and 1 at ``rate`` [bit/s] as a decoder takes them, arrays ``[1, K, n]``.

    Args:
        erased: ``[K] bool``, tokens whose soft bits become 0; None for no token.
        certainty: of the soft bits, 1 - 2 p where p is the error rate that the bits are known to have.
    """
    lost: Any = np.zeros(len(bits), np.bool_) if erased is None else np.array(erased)
    soft: Any = np.where(lost[:, None], 0, certainty * (2.0 * np.array(bits, dtype=np.float32) - 1.0))
    return ReceivedBits(soft.astype(np.float32)[None], rate, lost[None], token_frames)
