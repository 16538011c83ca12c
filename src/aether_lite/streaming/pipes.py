"""Pipes between programs: speech as wav or raw 16-bit samples, symbols and bits, block by block.

Streams of symbols and bits begin with a header (:mod:`aether_lite.streaming.header`), which is read and written apart
from what is here.

A wav on a pipe cannot know its length: a data size of 0 or of 0x7FFFF000 and more is read as "until the end", and
0xFFFFFFFF is written; a regular file gets its true sizes in the end.

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

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from aether_lite.audio import FULL_SCALE, SAMPLE_RATE, check_rate, check_samples, mixed
from aether_lite.audio_length import STREAMED_BYTES, TAIL_BYTES, behind_wav, more_follow
from aether_lite.container.layout import pack_tokens, token_bits, unpack_tokens
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, Received, ReceivedBits, elements_per_token
from aether_lite.streaming.header import MAGIC

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

NAME = "standard input"
UNKNOWN_SIZE = 0xFFFF_FFFF
HEADER_BYTES = 44
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # wav format tags
SAMPLE_TYPES = {(PCM, 16): "<i2", (FLOAT, 32): "<f4"}


def speech_blocks(
    stream: BinaryIO, raw: bool = False, channel: int | None = None, sample_rate: int = SAMPLE_RATE
) -> Iterator[Float32]:
    """16 kHz mono ``[n] float32`` of a wav, or of raw int16 little-endian samples at ``sample_rate``, as it arrives.

    The channel of that number (from 1) is taken, or all are averaged; other rates are resampled, which holds back some
    milliseconds.

    Raises:
        AetherError: not a wav, samples that are neither 16-bit integers nor 32-bit floats, are not finite or beyond 100
            times full scale, or an early end (after everything before it was given).
    """
    rate, channels, kind, size = (sample_rate, 1, "<i2", 0) if raw else _header(stream)
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    frame = channels * np.dtype(kind).itemsize
    known = 0 < size < STREAMED_BYTES
    waiting, left, rest, done = b"", size, b"", 0
    while data := available(stream):
        if known:
            rest = (rest + data[left:])[:TAIL_BYTES]
            data = data[:left]
            left -= len(data)
        waiting += data
        whole = len(waiting) // frame * frame
        samples = _samples(waiting[:whole], kind, channels)
        check_samples(samples, done, rate, NAME)
        block, done = mixed(samples, channel, NAME), done + len(samples)
        waiting = waiting[whole:]
        if len(block):
            yield block if resampler is None else resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if known and left:
        raise AetherError(f"{NAME}: truncated, its header promises {size} bytes of samples but {size - left} came")
    if known and (more := behind_wav(rest)):
        raise more_follow(NAME, size, more)
    if waiting:
        kinds = "16-bit samples" if raw else "a wav"
        raise AetherError(f"{NAME}: ends within a sample, so truncated or not {kinds}; record or copy it again")


def pcm16(samples: ArrayLike) -> bytes:
    """16-bit little-endian samples of ``[n]`` in [-1, 1], rounded and clipped."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


class SpeechWriter:
    """Writes mono 16-bit speech to an open stream, maybe a pipe, each piece at once; ``raw`` without a header."""

    def __init__(self, stream: BinaryIO, raw: bool = False, sample_rate: int = SAMPLE_RATE) -> None:
        self._stream, self._bytes, self._rate = stream, 0, sample_rate
        self._start = None if raw else _patchable(stream)
        self._header = b"" if raw else wav_header(UNKNOWN_SIZE, sample_rate)  # written with the first piece

    def write(self, samples: ArrayLike) -> None:
        """Write and flush ``[n]`` samples in [-1, 1]."""
        data = pcm16(samples)
        self._bytes += len(data)
        self._put(self._header + data)
        self._header = b""

    def close(self, samples: ArrayLike) -> None:
        """Write the last samples, and the true size into the header of a regular file; the stream stays open."""
        self.write(samples)
        if self._start is None:
            return
        end = self._stream.seek(0, os.SEEK_CUR)
        self._stream.seek(self._start)
        self._put(wav_header(self._bytes, self._rate))
        self._stream.seek(end)

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


def wav_header(data_bytes: int, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Header of mono 16-bit samples (RIFF 1.0, Microsoft and IBM, 1991)."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, PCM, 1, sample_rate, 2 * sample_rate, 2, 16)
    riff = min(data_bytes + HEADER_BYTES - 8, UNKNOWN_SIZE)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data_bytes)


def _header(stream: BinaryIO) -> tuple[int, int, str, int]:
    """Rate [Hz], channels, sample type and promised bytes of a wav; the stream then stands at its samples."""
    head = _exactly(stream, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise AetherError(f"{NAME}: not a wav; give a wav, or raw 16-bit 16 kHz mono samples with --raw")
    form: tuple[int, int, int, int] | None = None
    while True:
        kind, length = struct.unpack("<4sI", _exactly(stream, 8))
        if kind == b"data":
            break
        chunk = _exactly(stream, length + length % 2)
        if kind == b"fmt " and length >= 16:
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
            tag = struct.unpack("<H", chunk[24:26])[0] if tag == EXTENSIBLE and length >= 26 else tag
            form = (tag, channels, rate, bits)
    if form is None or form[1] == 0 or form[2] == 0:
        raise AetherError(f"{NAME}: a wav without a format; record or copy it again")
    tag, channels, rate, bits = form
    check_rate(rate, NAME)
    if (tag, bits) not in SAMPLE_TYPES:
        raise AetherError(f"{NAME}: wav of format {tag} with {bits} bits; give 16-bit integers or 32-bit floats")
    return rate, channels, SAMPLE_TYPES[tag, bits], length


def _samples(data: bytes, kind: str, channels: int) -> Float32:
    """``[n, channels]``, full scale 1."""
    samples: Float32 = np.frombuffer(data, kind).reshape(-1, channels).astype(np.float32)
    return samples / np.float32(FULL_SCALE) if kind == "<i2" else samples


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """The next ``count`` bytes; of a chunk longer than :data:`READ_BYTES` only the first of them are kept."""
    data, left = b"", count
    while left:
        piece = stream.read(min(left, READ_BYTES))
        if not piece:
            raise AetherError(f"{NAME}: ends within the header of a wav; give a wav, or raw samples with --raw")
        data, left = (data + piece)[:READ_BYTES], left - len(piece)
    return data


def _patchable(stream: BinaryIO) -> int | None:
    """Where the stream stands, if its beginning can be written again later."""
    try:
        number = stream.fileno()
    except OSError:
        return None
    try:
        import fcntl
    except ImportError:  # Windows: whether the stream appends cannot be known
        return None
    appends = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
    if not stat.S_ISREG(os.fstat(number).st_mode) or appends:
        return None
    return stream.tell()


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

    values: Complex64
    gain: Complex64 | None = None


def symbol_bytes(values: Any, gain: Any = None) -> bytes:
    """Complex symbols of any shape as a stream, with their gains where there are any."""
    columns = values if gain is None else np.stack((values, gain), axis=-1)
    return np.asarray(columns).astype("<c8").tobytes()


def received_bytes(received: Received, gains: bool = False) -> bytes:
    """Received symbols ``[1, K, n]`` as a stream, phase-corrected or with gains (1 where they are unknown)."""
    received = received.arrays()
    values, gain = received.values, received.state.gain
    if not gains and gain is not None:
        magnitude: Any = abs(gain)
        rotation = gain.conj() / np.maximum(magnitude, np.finfo(magnitude.dtype).tiny)
        values = values * np.where(magnitude > 0, rotation, np.ones_like(rotation))
    marked = np.where(received.erased[:, :, None], complex("nan+nanj"), values)
    return symbol_bytes(marked, (np.ones_like(values) if gain is None else gain) if gains else None)


def symbol_tokens(stream: BinaryIO, rate: int, token_frames: int, gains: bool = False) -> Iterator[SymbolToken]:
    """Tokens of a stream of symbols at ``rate`` [uses/s], with or without gains, each as soon as it is there.

    Raises AetherError where the stream ends within a token (after all whole ones were given).
    """
    uses = elements_per_token(rate, token_frames)
    form = "float32 I, Q, gain I, gain Q: --gains" if gains else "interleaved float32 I, Q"
    for data in whole_pieces(stream, SYMBOL_BYTES * uses * (2 if gains else 1), f"--rate {rate} ({form})"):
        values = np.frombuffer(data, "<c8").astype(np.complex64)
        if gains:
            for token in values.reshape(-1, uses, 2):
                yield SymbolToken(token[:, 0].copy(), token[:, 1].copy())
        else:
            yield from map(SymbolToken, values.reshape(-1, uses))


def packed_bytes(bits: Bits | ReceivedBits) -> bytes:
    """Bits, or the more likely values of soft bits, ``[1, K, n]`` as a stream of packed bits."""
    return pack_tokens(np.asarray(bits.arrays().values[0] > 0, np.uint8))


def packed_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Float32]:
    """Bits ``[n] float32``, +1 and -1, of each token of a stream of packed bits; see :func:`symbol_tokens`."""
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, n // 8, f"--bitrate {rate} (packed bits)"):
        yield from np.float32(2) * unpack_tokens(data, n).astype(np.float32) - np.float32(1)


def soft_bytes(received: ReceivedBits) -> bytes:
    """Soft bits ``[1, K, n]`` as a stream of soft bits; those of lost tokens are NaN."""
    received = received.arrays()
    values = np.where(np.asarray(received.erased)[:, :, None], np.float32("nan"), np.asarray(received.values))
    return values.astype("<f4").tobytes()


def soft_tokens(stream: BinaryIO, rate: int, token_frames: int) -> Iterator[Float32]:
    """Soft bits ``[n] float32`` of each token of a stream of soft bits; see :func:`symbol_tokens`."""
    n = token_bits(rate, token_frames)
    for data in whole_pieces(stream, SOFT_BYTES * n, f"--bitrate {rate} --soft (float32)"):
        yield from np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, n)


def available(stream: BinaryIO) -> bytes:
    """What is there to read, at least one byte; nothing at the end of the stream."""
    read = getattr(stream, "read1", stream.read)
    return bytes(read(READ_BYTES))


def whole_pieces(stream: BinaryIO, size: int, expected: str) -> Iterator[bytes]:
    """Bytes of a stream in multiples of ``size``, as soon as they are there.

    Raises AetherError where it ends within a token (after all whole ones); ``expected`` is what it should be, for the
    message.
    """
    waiting, begun = b"", False
    while data := available(stream):
        waiting += data
        if waiting.startswith(MAGIC) and not begun:
            raise AetherError(f"{NAME}: begins with the header of a stream; leave --no-header out")
        begun = begun or not MAGIC.startswith(waiting)
        whole = len(waiting) // size * size if begun else 0
        yield waiting[:whole]
        waiting = waiting[whole:]
    if not begun:
        whole = len(waiting) // size * size
        yield waiting[:whole]
        waiting = waiting[whole:]
    if waiting:
        raise AetherError(
            f"standard input: ends within a token ({len(waiting)} of {size} bytes): truncated, or not of {expected}"
        )
