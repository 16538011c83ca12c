"""The bit stream between two programs: packed bits, or soft bits.

**Packed bits** are whole bytes for every token, as in the blocks of an ``.aeth`` file and without anything around them:
bit 0 of a token is the highest bit of its first byte. Nothing in them tells of a lost token. **Soft bits** are float32,
little-endian, in [-1, 1], one for every bit; a lost token is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from aether_lite.container.layout import bit_array, pack_tokens, token_bits, unpack_tokens
from aether_lite.payload import Bits, ReceivedBits
from aether_lite.streaming.pipe import whole_pieces

SOFT_BYTES = 4


def packed(bits: Bits) -> bytes:
    """One stream's bits ``[1, K, n]`` as a stream of packed bits."""
    return pack_tokens(bit_array(bits)[0])


def packed_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Tensor]:
    """Bits ``[n] float32``, +1 and -1, of each token of a stream of packed bits, as soon as it is there.

    Args:
        stream: open for reading; may be a pipe.
        rate: [bit/s].
        token_frames: frames of 10 ms a token.

    Raises:
        AetherError: an unknown rate, or the stream ends within a token (after all whole ones were given).
    """
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, n // 8, f"--bitrate {rate} (packed bits)"):
        yield from 2.0 * torch.from_numpy(unpack_tokens(data, n).astype(np.float32)) - 1.0


def soft_bytes(received: ReceivedBits) -> bytes:
    """Soft bits ``[1, K, n]`` as a stream of soft bits; those of lost tokens are NaN."""
    values = received.values.masked_fill(received.erased[:, :, None], float("nan"))
    return values.contiguous().numpy().astype("<f4").tobytes()


def hard_bytes(received: ReceivedBits) -> bytes:
    """The more likely bits of soft bits ``[1, K, n]`` as a stream of packed bits."""
    return pack_tokens((received.values[0] > 0).numpy().astype(np.uint8))


def soft_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Tensor]:
    """Soft bits ``[n] float32`` of each token of a stream of soft bits; see :func:`packed_tokens`."""
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, SOFT_BYTES * n, f"--bitrate {rate} --soft (float32)"):
        yield from torch.from_numpy(np.frombuffer(data, "<f4").astype(np.float32)).reshape(-1, n)
