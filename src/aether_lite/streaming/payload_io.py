"""Symbols and bits on pipes between programs, without a header.

**Symbols** are interleaved float32, little-endian: I and Q of ``rate * token_frames / 100`` symbols a token, one after
another (at 1000 uses/s 40 in the 40 ms of the released codecs). With gains a symbol has four values: y as it arrived,
then the receiver's estimate of its gain h. A lost token is NaN. Without gains, fading symbols are phase-corrected with
that estimate, ``y conj(h) / |h|``: amplitude and noise variance stay as they arrived, so that a given N0 remains true
and fades remain small.

**Packed bits** are whole bytes for every token, as in the blocks of an ``.aeth`` file: bit 0 of a token is the highest
bit of its first byte. They cannot mark a lost token. **Soft bits** are float32, little-endian, in [-1, 1], one for
every bit; a lost token is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from aether_lite.container.layout import pack_tokens, token_bits, unpack_tokens
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, Received, ReceivedBits, elements_per_token

READ_BYTES = 65_536
SYMBOL_BYTES = 8
SOFT_BYTES = 4


@dataclass(frozen=True)
class SymbolToken:
    """One token of a stream of symbols.

    Attributes:
        values: ``[n] complex64``, NaN where the token is lost.
        gain: the receiver's estimates of their gains ``[n] complex64``; None in a stream without gains.
    """

    values: Tensor
    gain: Tensor | None = None


def symbol_bytes(values: Tensor, gain: Tensor | None = None) -> bytes:
    """Complex symbols of any shape as a stream, with their gains where there are any."""
    columns = values if gain is None else torch.stack((values, gain), dim=-1)
    return columns.to(torch.complex64).contiguous().numpy().astype("<c8").tobytes()


def received_bytes(received: Received, gains: bool = False) -> bytes:
    """Received symbols ``[1, K, n]`` as a stream, phase-corrected or with gains (1 where they are unknown)."""
    values, gain = received.values, received.state.gain
    if not gains and gain is not None:
        magnitude = gain.abs()
        rotation = gain.conj() / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
        values = values * torch.where(magnitude > 0, rotation, torch.ones_like(rotation))
    marked = values.masked_fill(received.erased[:, :, None], complex("nan+nanj"))
    return symbol_bytes(marked, (torch.ones_like(values) if gain is None else gain) if gains else None)


def symbol_tokens(stream: BinaryIO, rate: int, token_frames: int, gains: bool = False) -> Iterator[SymbolToken]:
    """Tokens of a stream of symbols, each as soon as it is there.

    Args:
        stream: open for reading; may be a pipe.
        rate: [uses/s].
        token_frames: frames of 10 ms in a token.
        gains: whether the stream has gains.

    Raises:
        AetherError: the stream ends within a token (after all whole ones were given).
    """
    uses = elements_per_token(rate, token_frames)
    form = "float32 I, Q, gain I, gain Q: --gains" if gains else "interleaved float32 I, Q"
    for data in whole_pieces(stream, SYMBOL_BYTES * uses * (2 if gains else 1), f"--rate {rate} ({form})"):
        values = torch.from_numpy(np.frombuffer(data, "<c8").astype(np.complex64))
        if gains:
            for token in values.reshape(-1, uses, 2):
                yield SymbolToken(token[:, 0].contiguous(), token[:, 1].contiguous())
        else:
            yield from map(SymbolToken, values.reshape(-1, uses))


def packed_bytes(bits: Bits | ReceivedBits) -> bytes:
    """Bits, or the more likely values of soft bits, ``[1, K, n]`` as a stream of packed bits."""
    return pack_tokens((bits.values[0] > 0).numpy().astype(np.uint8))


def packed_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Tensor]:
    """Bits ``[n] float32``, +1 and -1, of each token of a stream of packed bits; see :func:`symbol_tokens`."""
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, n // 8, f"--bitrate {rate} (packed bits)"):
        yield from 2.0 * torch.from_numpy(unpack_tokens(data, n).astype(np.float32)) - 1.0


def soft_bytes(received: ReceivedBits) -> bytes:
    """Soft bits ``[1, K, n]`` as a stream of soft bits; those of lost tokens are NaN."""
    values = received.values.masked_fill(received.erased[:, :, None], float("nan"))
    return values.contiguous().numpy().astype("<f4").tobytes()


def soft_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Tensor]:
    """Soft bits ``[n] float32`` of each token of a stream of soft bits; see :func:`symbol_tokens`."""
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, SOFT_BYTES * n, f"--bitrate {rate} --soft (float32)"):
        yield from torch.from_numpy(np.frombuffer(data, "<f4").astype(np.float32)).reshape(-1, n)


def available(stream: BinaryIO) -> bytes:
    """What is there to read, at least one byte; nothing at the end of the stream."""
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
