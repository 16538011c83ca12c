"""Speech on a pipe: wav or raw 16-bit samples, block by block in both directions.

A wav on a pipe cannot know its length: a data size of 0 or of 0x7FFFF000 and more is read as "until the end", and
0xFFFFFFFF is written; a regular file gets its true sizes in the end.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.audio import FULL_SCALE, SAMPLE_RATE, STREAMED_BYTES
from aether_lite.errors import AetherError
from aether_lite.streaming.payload_io import available

Float32 = NDArray[np.float32]

NAME = "standard input"
UNKNOWN_SIZE = 0xFFFF_FFFF
HEADER_BYTES = 44
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # wav format tags
SAMPLE_TYPES = {(PCM, 16): "<i2", (FLOAT, 32): "<f4"}


def speech_blocks(stream: BinaryIO, raw: bool = False) -> Iterator[Float32]:
    """16 kHz mono ``[n] float32`` of a wav, or of raw int16 little-endian samples, as it arrives.

    Channels are averaged and other rates resampled (which holds back some milliseconds).

    Raises:
        AetherError: not a wav, samples that are neither 16-bit integers nor 32-bit floats, or an early end (after
            everything before it was given).
    """
    rate, channels, kind, size = (SAMPLE_RATE, 1, "<i2", 0) if raw else _header(stream)
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    frame = channels * np.dtype(kind).itemsize
    known = 0 < size < STREAMED_BYTES
    waiting, left = b"", size
    while data := available(stream):
        data = data[:left] if known else data
        left -= len(data) if known else 0
        waiting += data
        whole = len(waiting) // frame * frame
        block = _mono(waiting[:whole], kind, channels)
        waiting = waiting[whole:]
        if len(block):
            yield block if resampler is None else resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if known and left:
        raise AetherError(f"{NAME}: truncated, its header promises {size} bytes of samples but {size - left} came")
    if waiting:
        kinds = "16-bit samples" if raw else "a wav"
        raise AetherError(f"{NAME}: ends within a sample, so truncated or not {kinds}; record or copy it again")


def pcm16(samples: Tensor | Float32) -> bytes:
    """16-bit little-endian samples of ``[n]`` in [-1, 1], rounded and clipped."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


class SpeechWriter:
    """Writes 16 kHz mono 16-bit speech to an open stream, each piece at once.

    Args:
        stream: open for writing; may be a pipe.
        raw: without a header; else a wav.
    """

    def __init__(self, stream: BinaryIO, raw: bool = False) -> None:
        self._stream, self._raw, self._bytes = stream, raw, 0
        self._start = None if raw else _patchable(stream)
        if not raw:
            self._put(wav_header(UNKNOWN_SIZE))

    def write(self, samples: Tensor | Float32) -> None:
        """Write and flush ``[n]`` samples in [-1, 1]."""
        data = pcm16(samples)
        self._bytes += len(data)
        self._put(data)

    def close(self, samples: Tensor | Float32) -> None:
        """Write the last samples, and the true size into the header of a regular file; the stream stays open."""
        self.write(samples)
        if self._start is None:
            return
        end = self._stream.seek(0, os.SEEK_CUR)
        self._stream.seek(self._start)
        self._put(wav_header(self._bytes))
        self._stream.seek(end)

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


def wav_header(data_bytes: int) -> bytes:
    """Header of 16 kHz mono 16-bit samples (RIFF 1.0, Microsoft and IBM, 1991)."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, PCM, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
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
    if (tag, bits) not in SAMPLE_TYPES:
        raise AetherError(f"{NAME}: wav of format {tag} with {bits} bits; give 16-bit integers or 32-bit floats")
    return rate, channels, SAMPLE_TYPES[tag, bits], length


def _mono(data: bytes, kind: str, channels: int) -> Float32:
    samples: Float32 = np.frombuffer(data, kind).reshape(-1, channels).astype(np.float32).mean(axis=1)
    scale = FULL_SCALE if kind == "<i2" else 1
    return samples / np.float32(scale)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise AetherError(f"{NAME}: ends within the header of a wav; give a wav, or raw samples with --raw")
    return data


def _patchable(stream: BinaryIO) -> int | None:
    """Where the stream stands, if its beginning can be written again later."""
    try:
        number = stream.fileno()
    except OSError:
        return None
    appends = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
    if not stat.S_ISREG(os.fstat(number).st_mode) or appends:
        return None
    return stream.tell()
