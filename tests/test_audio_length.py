"""A file is read whole or refused: cut, concatenated, with holes, or with a header that says too little or nothing."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from aether_lite.audio import read_audio
from aether_lite.errors import AetherError
from aether_lite.streaming.pipes import speech_blocks

SPEECH = np.clip(0.02 * np.cumsum(np.random.default_rng(0).standard_normal(30_000)), -0.9, 0.9)
FORMATS = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "VOC", "NIST", "OGG", "OPUS", "FLAC", "MP3", "FLOAT"]


def encoded(kind: str, samples: np.ndarray = SPEECH) -> bytes:
    container, subtype = {"OPUS": ("OGG", "OPUS"), "FLOAT": ("WAV", "FLOAT")}.get(kind, (kind, None))
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=container, subtype=subtype)
    return file.getvalue()


@pytest.fixture
def length(tmp_path):
    """Samples that are read of a file with these bytes; the message where it is refused."""

    def read(data: bytes) -> int | str:
        (tmp_path / "a.bin").write_bytes(data)
        try:
            return len(read_audio(tmp_path / "a.bin"))
        except AetherError as error:
            return str(error).removeprefix(f"{tmp_path}/a.bin: ")

    return read


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_cut_and_concatenated(length, kind):
    data = encoded(kind)
    assert length(data) == len(SPEECH)
    for cut in (0.01, 0.3, 0.5, 0.9, 0.99):
        assert isinstance(length(data[: int(cut * len(data))]), str), cut
    for more in (data, data[: len(data) // 2], encoded(kind, SPEECH[:8000])):
        assert isinstance(length(data + more), str)
    assert isinstance(length(data[:-9]), str)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC", "MP3", "OGG", "OPUS"])
def test_padding_and_tags_at_the_end_are_no_sound(length, kind):
    assert length(encoded(kind) + bytes(100)) == len(SPEECH)
    if kind in ("WAV", "FLAC", "MP3"):
        assert length(encoded(kind) + b"TAG" + b" " * 125) == len(SPEECH)


def test_chunks_behind_the_samples_are_passed_over(length):
    assert length(encoded("WAV") + b"LIST\x04\0\0\0abcd") == len(SPEECH)
    odd = bytearray(encoded("WAV", SPEECH[:2000]))
    odd[40:44] = (3999).to_bytes(4, "little")  # of bytes, as 8-bit wavs have them, and then no padding
    assert length(bytes(odd[:-1]) + b"LIST\x04\0\0\0abcd") == 1999


def ogg_pages(data: bytes) -> list[bytes]:
    pages, place = [], 0
    while place < len(data):
        count = data[place + 26]
        size = 27 + count + sum(data[place + 27 : place + 27 + count])
        pages.append(data[place : place + size])
        place += size
    return pages


@pytest.mark.parametrize("kind", ["OGG", "OPUS"])
def test_ogg_with_a_hole_or_a_flipped_bit(length, kind):
    pages = ogg_pages(encoded(kind))
    assert "pages before byte" in length(b"".join(pages[:2] + pages[3:]))
    flipped = bytearray(b"".join(pages))
    flipped[-500] ^= 1
    assert "is not what was written" in length(bytes(flipped))


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_wav_without_a_length_is_read_to_its_end(length, size):
    data = bytearray(encoded("WAV"))
    data[40:44] = size.to_bytes(4, "little")
    for riff in (data[4:8], bytes(4), b"\xff" * 4):
        data[4:8] = riff
        assert length(bytes(data)) == len(SPEECH)
        assert len(np.concatenate(list(speech_blocks(io.BytesIO(data))))) == len(SPEECH)


def test_other_headers_without_a_length(length):
    wide = bytearray(encoded("RF64"))
    wide[28:36] = bytes(8)
    assert length(bytes(wide)) == len(SPEECH)
    sun = bytearray(encoded("AU"))
    sun[8:12] = b"\xff" * 4
    assert length(bytes(sun)) == len(SPEECH)
    free = bytearray(encoded("FLAC"))
    free[21:26] = bytes([free[21] & 0xF0, 0, 0, 0, 0])
    assert length(bytes(free)) == len(SPEECH)
    assert "lost sync" in length(bytes(free[:-300]))


def test_headers_that_promise_too_little_or_too_much(length):
    wav, flac = bytearray(encoded("WAV")), bytearray(encoded("FLAC"))
    wav[40:44] = (20_000).to_bytes(4, "little")
    assert "promises 20000 bytes of samples, but 40000 bytes more follow" in length(bytes(wav))
    with pytest.raises(AetherError, match="promises 20000 bytes of samples, but 40000 bytes more follow"):
        list(speech_blocks(io.BytesIO(wav)))
    for promised, words in ((10_000, "more can be decoded"), (40_000, "30000 can be decoded")):
        flac[22:26] = promised.to_bytes(4, "big")
        assert words in length(bytes(flac))


def test_formats_whose_end_is_not_known_are_refused(length):
    assert "cannot be told from a whole one; convert it to wav" in length(encoded("PAF"))


def test_a_channel_is_chosen_by_its_number(tmp_path):
    sides = np.stack([SPEECH, -SPEECH, 0 * SPEECH], axis=1)
    soundfile.write(tmp_path / "a.wav", sides, 16_000, subtype="FLOAT")
    assert not read_audio(tmp_path / "a.wav").any()
    for number in (1, 2, 3):
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav", number), sides[:, number - 1], atol=1e-6)
    for number in (0, 4):
        with pytest.raises(AetherError, match=rf"a\.wav: has 3 channel\(s\), so none of number {number}"):
            read_audio(tmp_path / "a.wav", number)


def float_wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, rate, 64_000, 4, 32)
    head = struct.pack("<4sI4s", b"RIFF", len(data) + 36, b"WAVE") + form
    return head + struct.pack("<4sI", b"data", len(data)) + data


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [b"\0\0\xa0\x7f", np.float32("inf").tobytes(), np.float32(1e38).tobytes()])
def test_a_pipe_names_a_sample_that_is_not_a_level(value: bytes) -> None:
    wav = bytearray(float_wav(np.zeros(2000)))
    wav[44 + 4 * 800 : 44 + 4 * 801] = value
    with pytest.raises(AetherError, match=r"standard input: sample 800 \(0.050 s\) is"):
        list(speech_blocks(io.BytesIO(wav)))


@pytest.mark.parametrize("rate", [1, 999, 768_001, 0xFFFF_FFFF])
def test_a_pipe_says_which_sample_rates_are_speech(rate: int) -> None:
    with pytest.raises(AetherError, match="standard input: its header says"):
        list(speech_blocks(io.BytesIO(float_wav(np.zeros(2000), rate))))


def test_a_long_chunk_of_a_wav_on_a_pipe_takes_no_memory() -> None:
    wav = bytes(float_wav(np.full(2000, 0.5)))
    note = struct.pack("<4sI", b"LIST", 1 << 20) + bytes(1 << 20)
    assert len(np.concatenate(list(speech_blocks(io.BytesIO(wav[:12] + note + wav[12:]))))) == 2000
    endless = io.BytesIO(wav[:12] + struct.pack("<4sI", b"LIST", 0xFFFF_FFFE) + bytes(1000))
    tracemalloc.start()
    with pytest.raises(AetherError, match="ends within the header"):
        list(speech_blocks(endless))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
