"""Audio files in and out: any rate and layout that libsndfile reads becomes 16 kHz mono, and back to 16 bits.

Reading goes block by block through a streaming resampler, so that an hour of 48 kHz stereo needs little more
memory than its 16 kHz mono result. A file that cannot be used whole is an error, never a shorter signal.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import LOUDEST, SAMPLE_RATE
from aether_lite.files import DISK_FULL, atomic_path

__all__ = ["SAMPLE_RATE", "audio_blocks", "read_audio", "write_audio"]

Float32 = NDArray[np.float32]
Int16 = NDArray[np.int16]
Floating = NDArray[np.floating[Any]]

SHORTEST_SAMPLES = 160  # 10 ms: one feature frame
FULL_SCALE = 32_768  # of int16: a sample of 1.0
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # [Hz] beyond which a header is damaged: 1 Hz would make 16 000 of a sample
BLOCK_FRAMES = 65_536
READABLE = "wav, flac, ogg, opus, mp3, aiff or 16 kHz int16 .pcm"
STREAMED_BYTES = 0x7FFF_F000  # from here on a wav data size means "unknown", as programs write it to a pipe
LONGEST_OGG_PAGE = 65_307  # [bytes]
OGG_END_OF_STREAM = 0x04  # flag of a page
MP3_COUNT = re.compile(b"Xing|Info")  # an mp3 without this tag has no sample count, libsndfile guesses one
COMPRESSED = {".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}


def read_audio(source: str | Path) -> Float32:
    """Read an audio file as 16 kHz mono.

    Args:
        source: any file that libsndfile reads, at any rate, with any number of channels (averaged); raw int16
            16 kHz mono if it ends in ``.pcm``; ``"-"`` for a wav on standard input.

    Returns:
        ``[N] float32``, full scale 1, N = round(frames * 16000 / the file's rate), at least 160 (10 ms).
        Resampling (soxr, HQ) may overshoot full scale a little.

    Raises:
        AetherError: missing, not audio, truncated, damaged, shorter than 10 ms, NaN or infinite samples, or
            samples beyond 100 times full scale (never scaled to [-1, 1]).
    """
    return _collect(audio_blocks(source))


def audio_blocks(source: str | Path) -> Iterator[Float32]:
    """The same samples piece by piece, as ``[n] float32``, for work in constant memory.

    Raises:
        AetherError: as :func:`read_audio`; what only the end of the file shows, after the pieces before it.
    """
    name = "standard input" if str(source) == "-" else str(source)
    with _opened(source, name) as stream:
        if Path(name).suffix.lower() == ".pcm":
            yield from _resampled(_pcm_blocks(stream, name), SAMPLE_RATE, name)
            return
        try:
            _check_complete(stream, name)
            stream.seek(0)
            tagged = MP3_COUNT.search(stream.read(4096)) is not None
            os.lseek(stream.fileno(), 0, os.SEEK_SET)  # libsndfile starts where the descriptor stands
            with soundfile.SoundFile(stream.fileno(), closefd=False) as sound:
                if not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
                    limits = f"{LOWEST_RATE} to {HIGHEST_RATE} Hz"
                    raise AetherError(f"{name}: its header says {sound.samplerate} Hz; speech is sampled at {limits}")
                counted = sound.format != "MP3" or tagged
                yield from _resampled(_decoded_blocks(sound, name, counted), sound.samplerate, name)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".")
            raise AetherError(f"{name}: cannot be read as audio ({reason}); give a complete {READABLE} file") from error


def write_audio(destination: str | Path, samples: ArrayLike, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono audio, 16 bits a sample, whole or not at all.

    Args:
        destination: ``.wav``, ``.flac``, ``.ogg`` (Vorbis) or ``.pcm`` (raw int16); ``"-"`` writes a wav to
            standard output.
        samples: ``[N]``, or ``[1, N]`` as a codec decodes it; float, full scale 1: scaled by 32768, rounded, and
            clipped to [-32768, 32767].
        sample_rate: [Hz].

    Raises:
        AetherError: unknown suffix, missing folder, disk full, NaN or infinite samples, or several clips.
    """
    name = "standard output" if str(destination) == "-" else str(destination)
    suffix = ".wav" if str(destination) == "-" else Path(name).suffix.lower()
    if suffix not in (".wav", ".pcm", *COMPRESSED):
        raise AetherError(f"{name}: unknown suffix {suffix!r}; give .wav, .flac, .ogg or .pcm")
    signal = np.asarray(samples)
    if signal.ndim == 2 and len(signal) == 1:
        signal = signal[0]
    if signal.ndim != 1:
        raise AetherError(f"samples must be [N], not {signal.shape}; write one clip of a batch, such as samples[0]")
    _check_finite(signal, 0, sample_rate, name)
    if str(destination) == "-":
        try:
            _write_stream(sys.stdout.buffer, signal, sample_rate, suffix)
            sys.stdout.buffer.flush()
        except OSError as error:
            reason = "the disk is full" if error.errno in DISK_FULL else error.strerror
            raise AetherError(f"{name}: cannot be written ({reason})") from error
        return
    with atomic_path(destination) as partial, partial.open("wb") as file:
        _write_stream(file, signal, sample_rate, suffix)


@contextmanager
def _opened(source: str | Path, name: str) -> Iterator[BinaryIO]:
    """Open for reading and seeking; what cannot seek (a pipe) goes through a temporary file."""
    if str(source) == "-":
        with _spooled(sys.stdin.buffer) as stream:
            yield stream
        return
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AetherError(f"{name}: is a folder; give one audio file ({READABLE})")
        if path.suffix.lower() == ".raw":
            raise AetherError(f"{name}: .raw has no header; if it is int16, 16 kHz, mono, name it .pcm")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise AetherError(f"{name}: is a device, not a file; give one audio file ({READABLE})")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise AetherError(f"{name}: no such file; give an audio file ({READABLE})") from error
    except OSError as error:
        raise AetherError(f"{name}: cannot be opened ({error.strerror})") from error
    with file:
        if stat.S_ISFIFO(mode):
            with _spooled(file) as stream:
                yield stream
        else:
            yield file


@contextmanager
def _spooled(pipe: BinaryIO) -> Iterator[BinaryIO]:
    """The rest of a pipe as a file that can seek, removed afterwards."""
    with tempfile.TemporaryFile() as file:
        try:
            shutil.copyfileobj(pipe, file)
        except OSError as error:
            raise AetherError(f"temporary folder {tempfile.gettempdir()}: {error.strerror}") from error
        file.seek(0)
        yield file


def _check_complete(stream: BinaryIO, name: str) -> None:
    """Refuse an empty file, and a wav, AIFF or ogg that ends before its own end.

    libsndfile reads such files without complaint and returns fewer samples. Chunks: RIFF 1.0 (Microsoft and
    IBM, 1991), RF64 (EBU Tech 3306), AIFF 1.3 (Apple, 1989); ogg pages: RFC 3533.
    """
    size = stream.seek(0, io.SEEK_END)
    if size == 0:
        raise AetherError(f"{name}: is empty (0 bytes); give {READABLE}, at least 10 ms long")
    stream.seek(0)
    head = stream.read(12)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM") and head[8:] in (b"WAVE", b"AIFF", b"AIFC"):
        promised, found = _sample_bytes(stream, head[:4], size)
        if promised > found:
            raise AetherError(
                f"{name}: truncated, its header promises {promised} bytes of samples but {found} are there; "
                "copy or record it again"
            )
    elif head[:4] == b"OggS":
        stream.seek(max(0, size - LONGEST_OGG_PAGE))
        tail = stream.read()
        last = tail[tail.rfind(b"OggS") :]
        whole = len(last) > 27 and len(last) >= 27 + last[26] + sum(last[27 : 27 + last[26]])
        if not (whole and last[5] & OGG_END_OF_STREAM):
            raise AetherError(f"{name}: truncated, its last ogg page is missing; copy or record it again")


def _sample_bytes(stream: BinaryIO, form: bytes, size: int) -> tuple[int, int]:
    """Bytes of samples that a RIFF-like file promises (1 if it ends before saying so), and those it holds."""
    order = ">" if form in (b"RIFX", b"FORM") else "<"
    large = 0
    while len(chunk := stream.read(8)) == 8:
        kind, length = struct.unpack(f"{order}4sI", chunk)
        start = stream.tell()
        if kind == b"ds64" and size - start >= 16:
            large = struct.unpack("<8xQ", stream.read(16))[0]
        if kind in (b"data", b"SSND"):
            if form == b"RF64" and length == 0xFFFF_FFFF:
                length = large
            elif length >= STREAMED_BYTES:
                length = 0
            return length, size - start
        stream.seek(start + length + length % 2)
    return 1, 0


def _decoded_blocks(sound: soundfile.SoundFile, name: str, counted: bool) -> Iterator[Float32]:
    """Mono blocks at the file's own rate; ``counted`` if the header's number of samples is to be trusted."""
    done = 0
    while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        _check_finite(block, done, sound.samplerate, name)
        done += len(block)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
    if counted and done < sound.frames < 2**62:  # libsndfile says 2^63 - 1 where it cannot know
        raise AetherError(
            f"{name}: truncated, its header promises {sound.frames} samples but {done} can be decoded; "
            "copy or record it again"
        )


def _pcm_blocks(stream: BinaryIO, name: str) -> Iterator[Float32]:
    """Blocks of raw int16."""
    while data := stream.read(2 * BLOCK_FRAMES):
        if len(data) % 2:
            raise AetherError(f"{name}: an odd number of bytes, so truncated or not int16; copy it again")
        yield np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)


def _check_finite(block: Floating, first: int, rate: int, name: str) -> None:
    """Refuse NaN, infinite and unscaled samples in ``[n]`` or ``[n, channels]`` from sample ``first`` on."""
    if block.size == 0 or np.abs(block).max() <= LOUDEST:  # false for NaN
        return
    flat = block.reshape(len(block), -1)
    good = (np.abs(flat) <= LOUDEST).all(axis=1)
    row = int(good.argmin())
    value = flat[row][~(np.abs(flat[row]) <= LOUDEST)][0]
    where = f"sample {first + row} ({(first + row) / rate:.3f} s)"
    what = f"is {value:g}, far beyond full scale 1" if np.isfinite(value) else f"is {value}, not a number"
    raise AetherError(f"{name}: {where} {what}; samples must be finite and scaled to [-1, 1]")


def _resampled(blocks: Iterator[Float32], rate: int, name: str) -> Iterator[Float32]:
    """Mono blocks at ``rate`` as pieces at 16 kHz that have the exact length together."""
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    frames = given = 0
    for block in blocks:
        frames += len(block)
        piece = block if rate == SAMPLE_RATE else resampler.resample_chunk(block)
        given += len(piece)
        yield piece
    length = round(frames * SAMPLE_RATE / rate)
    if length < SHORTEST_SAMPLES:
        milliseconds = 1000 * frames / rate
        raise AetherError(f"{name}: too short ({frames} samples, {milliseconds:.1f} ms); give at least 10 ms")
    last = np.zeros(length - given, dtype=np.float32)  # cuts the resampler's tail, or pads it with zeros
    if rate != SAMPLE_RATE:
        tail = resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)[: len(last)]
        last[: len(tail)] = tail
    yield last


def _collect(pieces: Iterator[Float32]) -> Float32:
    """Pieces as one array, which grows in place (``realloc``): memory stays within a quarter of the result's size."""
    result = np.empty(SAMPLE_RATE, dtype=np.float32)
    filled = 0
    for piece in pieces:
        if filled + len(piece) > len(result):
            result.resize(max(filled + len(piece), len(result) * 5 // 4), refcheck=False)
        result[filled : filled + len(piece)] = piece
        filled += len(piece)
    result.resize(filled, refcheck=False)
    return result


def _write_stream(file: BinaryIO, signal: Floating, rate: int, suffix: str) -> None:
    """Encode into an open file, in order and without seeking, so that it may be a pipe."""
    if suffix in COMPRESSED:
        container, subtype = COMPRESSED[suffix]
        encoded = io.BytesIO()  # libsndfile does not report every failed write; Python does
        with soundfile.SoundFile(encoded, "w", rate, 1, subtype, format=container) as sound:
            for block in _int16_blocks(signal):
                sound.write(block)
        file.write(encoded.getbuffer())
        return
    if suffix == ".wav":
        size = 2 * len(signal)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
        file.write(struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form)
        file.write(struct.pack("<4sI", b"data", size))
    for block in _int16_blocks(signal):
        file.write(block.tobytes())


def _int16_blocks(signal: Floating) -> Iterator[Int16]:
    for start in range(0, len(signal), BLOCK_FRAMES):
        scaled = np.rint(signal[start : start + BLOCK_FRAMES].astype(np.float64) * FULL_SCALE)
        yield np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
