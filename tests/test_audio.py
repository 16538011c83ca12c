"""Audio files in and out: what is kept, what is refused, and that refusals are one line naming the file."""

import errno
import io
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aether_lite.audio import SAMPLE_RATE, read_audio, write_audio
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

NOISE = (0.1 * np.random.default_rng(0).standard_normal(30_000)).astype(np.float32)


def refused(path: Path) -> str:
    """The message with which a file is refused: one line that begins with the file's name."""
    with pytest.raises(AetherError) as caught:
        read_audio(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


def sine(rate: int, seconds: float, hertz: float = 1000.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".pcm", ".WAV"])
def test_round_trip_is_within_half_a_step_of_16_bits(tmp_path, suffix):
    write_audio(tmp_path / f"a{suffix}", NOISE)
    back = read_audio(tmp_path / f"a{suffix}")
    assert back.dtype == np.float32
    assert np.abs(back - NOISE).max() <= 0.5 / 32_768
    write_audio(tmp_path / f"b{suffix}", back)
    np.testing.assert_array_equal(read_audio(tmp_path / f"b{suffix}"), back)


def test_a_batch_of_one_is_written_as_its_clip(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE)
    write_audio(tmp_path / "b.wav", NOISE[None])
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_ogg_keeps_the_length_and_roughly_the_sound(tmp_path):
    tone = sine(SAMPLE_RATE, 8.2)  # more than a block
    write_audio(tmp_path / "a.ogg", tone)
    back = read_audio(tmp_path / "a.ogg")
    assert back.shape == tone.shape
    assert np.sqrt(np.mean((back - tone) ** 2)) < 0.05


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 3.0] * 40))
    stored, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 16_000
    assert stored[:6].tolist() == [-32_768, -32_768, 0, 16_384, 32_767, 32_767]


def test_written_wav_is_a_plain_wav_at_the_rate_asked(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE, sample_rate=24_000)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (24_000, 1, "PCM_16", len(NOISE))


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("seconds", [0.010, 0.011, 0.5, 1.70003])
def test_length_is_the_rounded_duration(tmp_path, rate, seconds):
    frames = -int(-seconds * rate // 1)
    soundfile.write(tmp_path / "a.wav", np.full(frames, 0.25), rate)
    assert len(read_audio(tmp_path / "a.wav")) == round(frames * 16_000 / rate)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_resampling_keeps_frequency_level_and_alignment(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(rate, 6.0), rate, subtype="FLOAT")
    back = read_audio(tmp_path / "a.wav")
    inner = slice(1000, -1000)
    np.testing.assert_allclose(back[inner], sine(16_000, 6.0)[inner], atol=2e-3)


def test_channels_are_averaged(tmp_path):
    left, right = sine(48_000, 1.0), sine(48_000, 1.0, 300.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, 0 * left], axis=1), 48_000, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", (left + right) / 3, 48_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "b.wav"), atol=1e-6)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".pcm"])
def test_ten_milliseconds_are_enough_and_less_is_not(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, NOISE[:160])
    assert len(read_audio(path)) == 160
    write_audio(path, NOISE[:159])
    assert "too short (159 samples, 9.9 ms)" in refused(path)
    write_audio(path, NOISE[:0])
    refused(path)


def test_silence_and_clipped_samples_are_fine(tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros(1600))
    assert not read_audio(tmp_path / "a.wav").any()
    soundfile.write(tmp_path / "b.wav", np.sign(sine(16_000, 1.0)) * 1.5, 16_000, subtype="FLOAT")
    assert read_audio(tmp_path / "b.wav").max() == 1.5


def test_refuses_what_is_no_audio_file(tmp_path):
    assert "no such file" in refused(tmp_path / "missing.wav")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "text.wav").write_text("not audio\n" * 100)
    assert "Format not recognised" in refused(tmp_path / "text.wav")
    (tmp_path / "empty.wav").touch()
    assert "is empty (0 bytes)" in refused(tmp_path / "empty.wav")
    (tmp_path / "empty.pcm").touch()
    assert "too short" in refused(tmp_path / "empty.pcm")
    (tmp_path / "odd.pcm").write_bytes(bytes(1001))
    assert "odd number of bytes" in refused(tmp_path / "odd.pcm")
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    assert ".pcm" in refused(tmp_path / "a.raw")
    assert "is a device" in refused(Path("/dev/zero"))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.999])
def test_refuses_a_truncated_file(tmp_path, suffix, share, capfd):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, NOISE, 16_000)
    assert len(read_audio(path)) == len(NOISE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_truncated_wav_says_how_much_is_missing(tmp_path, container):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 16_000, format=container)
    path.write_bytes(path.read_bytes()[:-20_000])
    assert "truncated, its header promises 60000 bytes of samples but 40000 are there" in refused(path)


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000])
def test_wav_written_to_a_pipe_has_no_length_and_is_read_to_its_end(tmp_path, size):
    write_audio(tmp_path / "a.wav", NOISE)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[40:44] = size.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read_audio(tmp_path / "a.wav")) == len(NOISE)


def test_mp3_without_a_sample_count_is_not_called_truncated(tmp_path):
    def mp3(level: float) -> bytes:
        buffer = io.BytesIO()
        options = {"compression_level": level, "bitrate_mode": "CONSTANT"}
        soundfile.write(buffer, NOISE, 16_000, format="MP3", **options)
        return buffer.getvalue()

    fast = mp3(0.0)
    fast = fast[fast.find(fast[:3], 3) :]  # without the first frame, which holds the count
    (tmp_path / "a.mp3").write_bytes(mp3(0.95) + fast)  # the slow start makes libsndfile expect far more
    assert soundfile.info(tmp_path / "a.mp3").frames > 4 * len(NOISE)
    assert len(read_audio(tmp_path / "a.mp3")) >= 2 * len(NOISE)


def test_damaged_flac_is_refused_quietly(tmp_path, capfd):
    write_audio(tmp_path / "a.flac", NOISE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (tmp_path / "a.flac").write_bytes(data)
    assert "flac decoder" in refused(tmp_path / "a.flac")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (12_000.0, "12000")])
def test_names_the_first_sample_that_is_not_a_level(tmp_path, value, word):
    samples = np.zeros((200_000, 2), dtype=np.float32)
    samples[[96_000, 150_000], 1] = value
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    message = refused(tmp_path / "a.wav")
    assert f"sample 96000 (2.000 s) is {word}" in message
    with pytest.raises(AetherError, match=r"out\.wav: sample 96000"):
        write_audio(tmp_path / "out.wav", samples[:, 1])
    assert not (tmp_path / "out.wav").exists()


def test_memory_stays_near_the_result(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((48_000 * 60, 2), dtype=np.int16), 48_000)
    tracemalloc.start()
    result = read_audio(tmp_path / "a.wav")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * result.nbytes + 4e6  # the whole file as float32 would be 6 times the result


PIPE = "import sys; from aether_lite.audio import *; write_audio('-', read_audio('-'))"


def test_standard_input_to_standard_output(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE)
    wav = (tmp_path / "a.wav").read_bytes()
    done = subprocess.run([sys.executable, "-c", PIPE], input=wav, capture_output=True, check=True, timeout=60)
    assert done.stdout == wav


def test_standard_input_that_is_not_a_wav_is_named_so(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(AetherError, match=r"^standard input: is empty"):
        read_audio("-")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs names for open files")
def test_reads_a_pipe_by_name(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE)
    with subprocess.Popen(["cat", "a.wav"], cwd=tmp_path, stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        assert len(read_audio(f"/dev/fd/{cat.stdout.fileno()}")) == len(NOISE)


def test_refuses_an_unknown_suffix_and_a_missing_folder(tmp_path):
    with pytest.raises(AetherError, match=r"a\.mpeg: unknown suffix '\.mpeg'; give \.wav"):
        write_audio(tmp_path / "a.mpeg", NOISE)
    with pytest.raises(AetherError, match=r"the folder .*none does not exist"):
        write_audio(tmp_path / "none" / "a.wav", NOISE)
    (tmp_path / "file").touch()
    with pytest.raises(AetherError, match="is a file, not a folder"):
        write_audio(tmp_path / "file" / "a.wav", NOISE)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AetherError, match=r"folder\.wav: is a folder"):
        write_audio(tmp_path / "folder.wav", NOISE)
    with pytest.raises(AetherError, match=r"\[N\], not \(2, 3\); .*samples\[0\]"):
        write_audio(tmp_path / "a.wav", np.zeros((2, 3)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".pcm"])
def test_a_full_disk_is_one_line(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(AetherError, match=rf"a\{suffix}: cannot be written, the disk is full"):
        write_audio(path, NOISE)
    assert path.is_char_device()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_audio(path, NOISE)
    before = path.read_bytes()

    def fill_up(file, *_):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("aether_lite.audio._write_stream", fill_up)
    with pytest.raises(AetherError, match="disk is full"):
        write_audio(path, 2 * NOISE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


def test_atomic_path_keeps_the_suffix_and_follows_links(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with atomic_path(tmp_path / "link.csv") as partial:
        assert partial.suffix == ".csv"
        assert partial.parent == tmp_path
        partial.write_text("1")
        assert not (tmp_path / "real.csv").exists()
    assert (tmp_path / "real.csv").read_text() == "1"
    assert (tmp_path / "link.csv").is_symlink()


def test_atomic_path_passes_on_foreign_errors(tmp_path):
    with pytest.raises(KeyError), atomic_path(tmp_path / "a.csv") as partial:
        {}[partial.write_text("1")]
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.csv"):
        (tmp_path / "other").read_text()
    with pytest.raises(AetherError, match=r"a\.csv: cannot be written"), atomic_path(tmp_path / "a.csv"):
        pass  # wrote nothing
    assert not list(tmp_path.iterdir())
