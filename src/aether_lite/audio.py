"""Audio files in and out: any rate and layout that libsndfile reads becomes 16 kHz mono, and back to 16 bits.

Reading goes block by block through a streaming resampler, so that an hour of 48 kHz stereo needs little more
memory than its 16 kHz mono result. A file that cannot be used whole is an error, never a shorter signal.
"""

from __future__ import annotations

import io
import os
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

from aether_lite.audio_length import VERIFIED, PatchedFile, check_length
from aether_lite.errors import AetherError, is_integer
from aether_lite.features.layout import LOUDEST, SAMPLE_RATE
from aether_lite.features.samples import SPEECH, numbers
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
COMPRESSED = {".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}


def read_audio(source: str | Path, channel: int | None = None) -> Float32:
    """Read an audio file as 16 kHz mono.

    Args:
        source: wav (also RF64, W64), flac, ogg, opus, mp3, aiff, au, caf, voc or NIST, at any rate, with any number of
            channels; raw int16 16 kHz mono if it ends in ``.pcm``; ``"-"`` for such a file on standard input.
        channel: number of the one channel to take, from 1; None for the mean of all, in which what is in antiphase
            cancels, and what is in one of six channels alone (a 5.1 centre) is 15.6 dB down.

    Returns:
        ``[N] float32``, full scale 1, N = round(frames * 16000 / the file's rate), at least 160 (10 ms).
        Resampling (soxr, HQ) may overshoot full scale a little.

    Raises:
        AetherError: missing, not audio, truncated, damaged, several recordings in one file, shorter than 10 ms, no
            such channel, NaN or infinite samples, or samples beyond 100 times full scale (never scaled to [-1, 1]).
    """
    return _collect(audio_blocks(source, channel))


def audio_blocks(source: str | Path, channel: int | None = None) -> Iterator[Float32]:
    """The same samples piece by piece, as ``[n] float32``, for work in constant memory.

    Raises:
        AetherError: as :func:`read_audio`; what only the end of the file shows, after the pieces before it.
    """
    name = "standard input" if str(source) == "-" else str(source)
    with _opened(source, name) as stream:
        try:
            if Path(name).suffix.lower() == ".pcm":
                mono = (mixed(block[:, None], channel, name) for block in _pcm_blocks(stream, name))
                yield from _resampled(mono, SAMPLE_RATE, name)
                return
            if stream.seek(0, io.SEEK_END) == 0:
                raise AetherError(f"{name}: is empty (0 bytes); give {READABLE}, at least 10 ms long")
            yield from _sound_blocks(stream, name, channel)
        except OSError as error:  # a damaged disk, a special file
            raise AetherError(f"{name}: cannot be read ({error.strerror})") from error
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".")
            raise AetherError(f"{name}: cannot be read as audio ({reason}); give a complete {READABLE} file") from error


def write_audio(destination: str | Path, samples: ArrayLike, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono audio, 16 bits a sample, whole or not at all.

    Args:
        destination: ``.wav``, ``.flac``, ``.ogg`` (Vorbis) or ``.pcm`` (raw int16); ``"-"`` writes a wav to
            standard output.
        samples: ``[N]``, or ``[1, N]`` as a codec decodes it; int16, or float of full scale 1: scaled by 32768,
            rounded, and clipped to [-32768, 32767].
        sample_rate: 1000..768000 [Hz].

    Raises:
        AetherError: unknown suffix, another sample rate, missing folder, disk full, NaN or infinite samples, or several
            clips.
    """
    name = "standard output" if str(destination) == "-" else str(destination)
    suffix = ".wav" if str(destination) == "-" else Path(name).suffix.lower()
    if suffix not in (".wav", ".pcm", *COMPRESSED):
        raise AetherError(f"{name}: unknown suffix {suffix!r}; give .wav, .flac, .ogg or .pcm")
    if not is_integer(sample_rate, LOWEST_RATE, HIGHEST_RATE):
        limits = f"{LOWEST_RATE}..{HIGHEST_RATE}"
        raise AetherError(f"{name}: sample_rate must be an integer in {limits}, not {sample_rate!r}")
    signal = numbers(samples, "samples")
    if signal.ndim == 2 and len(signal) == 1:
        signal = signal[0]
    if signal.ndim != 1:
        raise AetherError(f"samples must be [N], not {signal.shape}; write one clip of a batch, such as samples[0]")
    if signal.dtype != np.int16:
        if not np.issubdtype(signal.dtype, np.floating):
            raise AetherError(f"{name}: samples must be {SPEECH}, not {signal.dtype}")
        check_samples(signal, 0, sample_rate, name)
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


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A sound that is only read forwards: soundfile seeks after every block, which a FLAC of unknown length refuses."""

    def seekable(self) -> bool:
        return False


def _sound_blocks(stream: BinaryIO, name: str, channel: int | None) -> Iterator[Float32]:
    """Mono blocks at 16 kHz of a file with a header."""
    claim = check_length(stream, name)
    stream.seek(0)
    os.lseek(stream.fileno(), 0, os.SEEK_SET)  # libsndfile starts where the descriptor stands
    source = stream.fileno() if claim.patch is None else PatchedFile(stream, *claim.patch)
    with _Sequential(source, closefd=False) as sound:
        check_rate(sound.samplerate, name)
        if sound.format not in VERIFIED:
            raise AetherError(f"{name}: a truncated {sound.format} cannot be told from a whole one; convert it to wav")
        known = sound.frames if sound.frames < 2**62 else 0  # libsndfile says 2^63 - 1 where it cannot know
        promised = known if claim.samples is None else claim.samples
        mono = (mixed(block, channel, name) for block in _decoded_blocks(sound, name, promised))
        yield from _resampled(mono, sound.samplerate, name)


def _decoded_blocks(sound: soundfile.SoundFile, name: str, promised: int) -> Iterator[Float32]:
    """Blocks ``[n, channels]`` at the file's own rate; ``promised`` samples, 0 where the header does not know."""
    done = 0
    while True:
        count = min(BLOCK_FRAMES, promised - done) if done < promised else BLOCK_FRAMES
        try:
            block = sound.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if done == promised > 0:  # something that is no sound, such as a tag
                return
            raise
        if not len(block):
            break
        check_samples(block, done, sound.samplerate, name)
        done += len(block)
        if done > promised > 0:
            raise AetherError(f"{name}: its header promises {promised} samples, but more can be decoded; copy it again")
        yield block
    if done < promised:
        raise AetherError(
            f"{name}: truncated, its header promises {promised} samples but {done} can be decoded; "
            "copy or record it again"
        )


def mixed(block: Float32, channel: int | None, name: str) -> Float32:
    """Mean ``[n]`` of the channels of ``[n, channels]``, or the one of this number, counted from 1.

    Raises:
        AetherError: there is no such channel.
    """
    if channel is not None and not is_integer(channel, 1, block.shape[1]):
        raise AetherError(f"{name}: has {block.shape[1]} channel(s), so none of number {channel}")
    if channel is not None or block.shape[1] == 1:
        return block[:, (channel or 1) - 1]
    mean: Float32 = block.mean(axis=1)
    return mean


def _pcm_blocks(stream: BinaryIO, name: str) -> Iterator[Float32]:
    """Blocks of raw int16."""
    while data := stream.read(2 * BLOCK_FRAMES):
        if len(data) % 2:
            raise AetherError(f"{name}: an odd number of bytes, so truncated or not int16; copy it again")
        yield np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)


def check_rate(rate: int, name: str) -> None:
    """Refuse the sample rate of a damaged header."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        limits = f"{LOWEST_RATE} to {HIGHEST_RATE} Hz"
        raise AetherError(f"{name}: its header says {rate} Hz; speech is sampled at {limits}")


def check_samples(block: Floating, first: int, rate: int, name: str) -> None:
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
        scale = 1 if signal.dtype == np.int16 else FULL_SCALE
        scaled = np.rint(signal[start : start + BLOCK_FRAMES].astype(np.float64) * scale)
        yield np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
