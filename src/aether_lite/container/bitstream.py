"""Token bits as bytes: rates, packing and check sums.

A token is ``token_frames`` frames of 10 ms (8 in the released codecs, 80 ms). At ``B`` bit/s it has
``B * token_frames / 100`` bits, which must be whole bytes: 24, 48, 96, 192 bits at 300, 600, 1200, 2400 bit/s.
"""

from __future__ import annotations

from binascii import crc_hqx

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.hash.mapping import checked_bit_rate
from aether_lite.payload import FRAMES_PER_SECOND, Bits, ReceivedBits

TOKEN_FRAMES = 8
_CRC_START = 0xFFFF

BitArray = NDArray[np.uint8]


def token_bits(bit_rate: int, token_frames: int = TOKEN_FRAMES) -> int:
    """BitArray of one token; a multiple of 8.

    Args:
        bit_rate: one of 300, 600, 1200, 2400 [bit/s].
        token_frames: frames of 10 ms a token, 1..100.

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
    """``bits`` as ``[K, per_token] uint8`` of 0 and 1.

    Raises:
        AetherError: another shape, or a value that is neither 0 nor 1 (False nor True).
    """
    values = np.asarray(bits)
    if values.ndim != 2 or values.shape[1] != per_token:
        raise AetherError(f"bits of shape {list(values.shape)}: must be [tokens, {per_token}] at this bit rate")
    if (
        not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_)
        or ((values != 0) & (values != 1)).any()
    ):
        raise AetherError("bits: must all be 0 or 1")
    return values.astype(np.uint8)


def bit_array(bits: Bits) -> BitArray:
    """``[B, K, n] uint8``: 1 for a bit of +1, 0 for one of -1."""
    return np.asarray((bits.values > 0).numpy(force=True), dtype=np.uint8)


def heard_bits(
    bits: BitArray, rate: int, token_frames: int = TOKEN_FRAMES, erased: ArrayLike | None = None, certainty: float = 1.0
) -> ReceivedBits:
    """Bits of one stream as a decoder takes them, ``[1, K, n]``.

    Args:
        bits: ``[K, n]`` of 0 and 1.
        rate: [bit/s].
        token_frames: frames of 10 ms a token.
        erased: ``[K] bool``, lost tokens, whose soft bits become 0; None for no token.
        certainty: of the soft bits, 1 - 2 p where p is the error rate that the bits are known to have.
    """
    lost = torch.zeros(len(bits), dtype=torch.bool) if erased is None else torch.from_numpy(np.array(erased))
    soft = certainty * (2.0 * torch.from_numpy(np.array(bits, dtype=np.float32)) - 1.0)
    return ReceivedBits(soft.masked_fill(lost[:, None], 0)[None], rate, lost[None], token_frames)


def pack_tokens(bits: BitArray) -> bytes:
    """``[K, n]`` bits -> ``K * n / 8`` bytes; bit 0 of a token is the highest bit of its first byte."""
    return np.packbits(bits, axis=1).tobytes()


def unpack_tokens(data: bytes | bytearray, per_token: int) -> BitArray:
    """Whole tokens of packed bytes -> ``[K, per_token] uint8``; the inverse of ``pack_tokens``."""
    rows = np.frombuffer(bytes(data), dtype=np.uint8).reshape(-1, per_token // 8)
    return np.unpackbits(rows, axis=1)


def crc16(data: bytes | bytearray, start: bytes = b"") -> int:
    """CRC-16/IBM-3740 (polynomial 0x1021, start 0xFFFF, not reflected) of ``start`` and then ``data``.

    Any change within 16 neighbouring bits is found; of others, all but about one in 65 536.
    """
    return crc_hqx(data, crc_hqx(start, _CRC_START))
