"""``aether-lite stream`` in pipes: formats, promptness, losses and early ends."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from stream_runs import PROGRAM, pcm, read_tokens, run, start, wait_for

from aether_lite.audio import read_audio, write_audio
from aether_lite.channels import Symbols, awgn
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig
from aether_lite.streaming.channel import PowerEstimate, StreamChannel
from aether_lite.streaming.pipes import UNKNOWN_SIZE, received_bytes, speech_blocks, wav_header

TOKEN = 1280
RATE = 300
USES = 24  # in a token


def symbols_of(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<c8").reshape(-1, USES)


@pytest.fixture(scope="module")
def codec(codec_file: Path) -> Codec:
    return load(codec_file)


def test_speech_through_a_pipe_of_three_equals_the_codec(codec_file: Path, codec: Codec, speech: np.ndarray) -> None:
    data = pcm(speech[0, :12_000])
    options = ("--rate", RATE, "--model", codec_file)
    sent = run(data, "--encode", "--raw", *options)
    assert (sent.returncode, sent.stderr) == (0, b"")
    samples = np.frombuffer(data, "<i2")
    expected = codec.encode(samples, RATE).values[0].numpy()
    np.testing.assert_allclose(symbols_of(sent.stdout), expected, atol=1e-5)

    passed = run(sent.stdout, "--channel", "awgn", "--snr", 12, "--seed", 3, *options)
    noise = symbols_of(passed.stdout) - expected
    assert 10 * np.log10(np.mean(np.abs(noise) ** 2)) == pytest.approx(-12, abs=1)
    again = run(sent.stdout, "--channel", "awgn", "--snr", 12, "--seed", 3, *options)
    assert again.stdout == passed.stdout

    heard = run(passed.stdout, "--decode", "--raw", "--snr", 12, *options)
    assert (heard.returncode, heard.stderr) == (0, b"")
    values = torch.from_numpy(symbols_of(passed.stdout).copy())[None]
    received = awgn(Symbols(values, RATE, token_frames=8), 12.0, csi="perfect", seed=0)
    received.values.copy_(values)
    np.testing.assert_allclose(np.frombuffer(heard.stdout, "<i2") / 32768, codec.decode(received)[0].numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "before", "size_in", "size_out"),
    [
        (("--encode", "--raw"), 160 * 2, TOKEN * 2, USES * 8),
        (("--channel", "awgn", "--snr", 6), 0, USES * 8, USES * 8),
        (("--decode", "--raw", "--snr", 6), 0, USES * 8, TOKEN * 2),
    ],
)
def test_a_token_leaves_before_the_next_comes(
    codec_file: Path, arguments: tuple[object, ...], before: int, size_in: int, size_out: int
) -> None:
    """Output k is there while input k + 1 has not been written (the first 160 samples go ahead)."""
    process = start(*arguments, "--rate", RATE, "--model", codec_file)
    assert process.stdin is not None
    assert process.stdout is not None
    cut = 240 * 2 if "--decode" in arguments else 0  # the decoder's first token gives so much less
    arrivals: list[float] = []
    process.stdin.write(bytes(before))

    def read() -> None:
        assert isinstance(process.stdout, io.BufferedReader)
        if len(process.stdout.read(size_out - cut)) == size_out - cut:
            arrivals.append(time.monotonic())
        read_tokens(process.stdout, size_out, arrivals)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(5):
        process.stdin.write(
            np.full(size_in // 4, 0.5, "<f4").tobytes() if "--raw" not in arguments[:2] else bytes(size_in)
        )
        process.stdin.flush()
        assert wait_for(arrivals, k + 1), f"token {k} did not leave"
    process.stdin.close()
    reader.join(60)
    assert process.wait(60) == 0


def test_wav_on_a_pipe_has_no_length_and_readers_take_it(codec_file: Path, wav: Path) -> None:
    sent = run(wav.read_bytes(), "--encode", "--model", codec_file, "--rate", RATE)
    heard = run(sent.stdout, "--decode", "--model", codec_file, "--rate", RATE).stdout
    assert heard[:44] == wav_header(UNKNOWN_SIZE)
    samples = 13 * TOKEN
    sound, rate = soundfile.read(io.BytesIO(heard))
    assert (len(sound), rate) == (samples, 16_000)
    with wave.open(io.BytesIO(heard)) as file:
        assert len(file.readframes(10**9)) == 2 * samples
    again = run(heard, "--encode", "--model", codec_file, "--rate", RATE)
    assert (again.returncode, len(symbols_of(again.stdout))) == (0, 13)


def test_wav_into_a_file_gets_its_true_length(codec_file: Path, folder: Path) -> None:
    tokens = np.full(4 * USES, 0.7 + 0.7j, "<c8").tobytes()
    with Path("out.wav").open("wb") as file:
        command = [*PROGRAM, "--decode", "--no-header", "--model", str(codec_file), "--rate", str(RATE)]
        subprocess.run(command, input=tokens, stdout=file, check=True)
    assert Path("out.wav").read_bytes()[:44] == wav_header(2 * 4 * TOKEN)
    assert len(read_audio("out.wav")) == 4 * TOKEN


def blocks(data: bytes, raw: bool = False) -> np.ndarray:
    return np.concatenate(list(speech_blocks(io.BytesIO(data), raw)))


def test_wav_of_another_rate_stereo_and_float(folder: Path, speech: np.ndarray) -> None:
    stereo = np.stack([speech[0, :8820], np.zeros(8820)], axis=1)
    soundfile.write("in.wav", stereo, 44_100, subtype="FLOAT")
    heard = blocks(Path("in.wav").read_bytes())
    assert len(heard) == 3200
    np.testing.assert_allclose(heard[100:-100], read_audio("in.wav")[100:-100], atol=1e-3)
    write_audio("plain.wav", speech[0, :1000])
    np.testing.assert_array_equal(blocks(Path("plain.wav").read_bytes()), read_audio("plain.wav"))


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_wav_of_unknown_length_is_read_to_its_end(size: int) -> None:
    assert len(blocks(wav_header(size) + bytes(2000))) == 1000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav_header(4000) + bytes(2000), b"promises 4000 bytes of samples but 2000 came"),
        (wav_header(0) + bytes(2001), b"ends within a sample"),
        (wav_header(4000)[:30], b"ends within the header"),
        (b"OggS" + bytes(100), b"not a wav; give a wav, or raw 16-bit 16 kHz mono samples with --raw"),
        (wav_header(4000).replace(struct.pack("<HH", 2, 16), struct.pack("<HH", 3, 24)) + bytes(4000), b"with 24 bits"),
    ],
)
def test_bad_speech_is_one_line(codec_file: Path, data: bytes, message: bytes) -> None:
    done = run(data, "--encode", "--model", codec_file, "--rate", RATE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"aether-lite: standard input: ")
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_came_before_an_early_end_is_passed_on(codec_file: Path) -> None:
    options = ("--rate", RATE, "--model", codec_file)
    early = run(wav_header(9999) + bytes(2 * 3 * TOKEN), "--encode", *options)
    assert (early.returncode, len(symbols_of(early.stdout))) == (1, 3)
    cut = run(early.stdout[:-11], "--decode", "--raw", *options)
    assert cut.returncode == 1
    assert b"ends within a token (181 of 192 bytes): truncated, or not of --rate 300" in cut.stderr
    assert len(cut.stdout) == 2 * 2 * TOKEN


@pytest.mark.parametrize("mode", [("--encode", "--raw"), ("--decode",), ("--decode", "--raw"), ("--channel", "clean")])
def test_empty_input_is_named_and_nothing_written(codec_file: Path, mode: tuple[str, ...]) -> None:
    done = run(b"", *mode, "--model", codec_file, "--rate", RATE)
    assert run(b"", *mode, "--model", codec_file, header=True) == done
    message = b"aether-lite: standard input: is empty, so nothing is written\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", message)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--encode", "--decode"),
        ("--channel", "mpp"),
        ("--decode", "--snr", 3, "--withheld"),
        ("--encode", "--gains"),
    ],
)
def test_usage_errors(arguments: tuple[object, ...]) -> None:
    assert run(b"", *arguments).returncode == 2


def test_a_broken_pipe_is_no_news(codec_file: Path) -> None:
    process = start("--decode", "--raw", "--rate", RATE, "--model", codec_file)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(bytes(USES * 8))
    process.stdin.flush()
    process.stdout.read(100)
    process.stdout.close()
    try:
        for _ in range(20):
            process.stdin.write(bytes(USES * 8))
            process.stdin.flush()
            time.sleep(0.01)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


def test_lost_tokens_are_nan_and_the_decoder_conceals_them(codec_file: Path, folder: Path) -> None:
    options = ("--rate", RATE, "--model", codec_file)
    sent = np.full(20 * USES, np.exp(1j), "<c8")
    passed = symbols_of(run(sent.tobytes(), "--channel", "erasure", "--erasure", 0.5, "--seed", 1, *options).stdout)
    lost = np.isnan(passed).all(axis=1)
    assert 4 < lost.sum() < 16
    np.testing.assert_allclose(passed[~lost], np.exp(1j), atol=1e-6)
    heard = run(passed.tobytes(), "--decode", "--raw", *options)
    assert heard.returncode == 0
    assert len(heard.stdout) == 2 * 20 * TOKEN


def test_filter_corrects_the_phase_and_keeps_amplitude_and_noise() -> None:
    ones = Symbols(torch.ones(1, 750, USES, dtype=torch.complex64), RATE, token_frames=8)
    received = StreamChannel(LinkConfig("mpp", RATE, 20.0, seed=1, options={"csi": "perfect"}), 8).send(ones)
    assert received.state.gain is not None
    plain = torch.from_numpy(symbols_of(received_bytes(received)).copy())[None]
    torch.testing.assert_close(plain.abs(), received.values.abs())
    noise = plain - received.state.gain.abs()
    assert 10 * np.log10(float(noise.abs().square().mean())) == pytest.approx(-20, abs=0.2)
    unknown = StreamChannel(LinkConfig("mpp", RATE, 20.0, seed=1, options={"csi": "none"}), 8).send(ones)
    assert received_bytes(unknown) == received.values.numpy().tobytes()


def test_a_stream_with_gains_is_heard_as_if_nothing_lay_between(codec_file: Path, codec: Codec) -> None:
    generator = torch.Generator().manual_seed(2)
    sent = Symbols(torch.randn(1, 30, USES, generator=generator, dtype=torch.complex64), RATE, token_frames=8)
    options = ("--rate", RATE, "--model", codec_file, "--gains")
    fading = ("--channel", "mpp", "--snr", 10, "--seed", 1, "--csi", "perfect", "--erasure", 0.2)
    passed = run(sent.values.numpy().tobytes(), *fading, *options)
    assert (passed.returncode, passed.stderr) == (0, b"")
    arrived = np.frombuffer(passed.stdout, "<c8").reshape(30, USES, 2)
    config = LinkConfig("mpp", RATE, 10.0, seed=1, erasure=0.2, options={"csi": "perfect"})
    expected = StreamChannel(config, 8).send(sent)
    assert expected.state.gain is not None
    lost = expected.state.erased[0].numpy()
    assert 1 < lost.sum() < 15
    np.testing.assert_array_equal(np.isnan(arrived[:, :, 0]).all(axis=1), lost)
    np.testing.assert_allclose(arrived[~lost, :, 0], expected.values[0].numpy()[~lost], atol=1e-6)
    np.testing.assert_allclose(arrived[:, :, 1], expected.state.gain[0].numpy(), atol=1e-6)

    heard = run(passed.stdout, "--decode", "--raw", "--snr", 10, "--no-mute", *options)
    assert (heard.returncode, heard.stderr) == (0, b"")
    samples = np.frombuffer(heard.stdout, "<i2") / 32768
    np.testing.assert_allclose(samples, codec.decode(expected)[0].numpy(), atol=1e-3)
    cut = run(passed.stdout[:-3], "--decode", "--raw", *options)
    assert cut.returncode == 1
    assert b"(381 of 384 bytes): truncated, or not of --rate 300 (float32 I, Q, gain I, gain Q: --gains)" in cut.stderr


def test_channel_refuses_symbols_of_another_link_though_they_are_as_many() -> None:
    link = StreamChannel(LinkConfig("awgn", 300, 6.0), 4)
    with pytest.raises(AetherError, match="of 40 ms at 300 uses/s, not tokens of 80 ms at 150 uses/s"):
        link.send(Symbols(torch.ones(1, 2, 12, dtype=torch.complex64), 150, 8))


def test_channel_token_by_token_goes_on_smoothly_and_reproducibly() -> None:
    ones = Symbols(torch.ones(1, 1600, USES, dtype=torch.complex64), RATE, token_frames=8)
    whole = StreamChannel(LinkConfig("mpg", RATE, 60.0, seed=5, options={"csi": "perfect"}), 8).send(ones).values
    link = StreamChannel(LinkConfig("mpg", RATE, 60.0, seed=5, options={"csi": "perfect"}), 8)
    pieces = [link.send(Symbols(piece, RATE, token_frames=8)).values for piece in torch.split(ones.values, 7, dim=1)]
    assert torch.equal(torch.cat(pieces, dim=1), whole)
    steps = whole[0, :, 0].diff().abs()
    assert steps[:749].max() < 0.2  # 0.1 Hz of Doppler spread
    assert not torch.equal(whole[:, :750], whole[:, 750:1500])  # the next minute is another


def test_power_tells_the_noise_of_what_is_sent() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 200, 80, generator=generator, dtype=torch.complex64)
    sent = Symbols(values / values.abs().square().mean(-1, keepdim=True).sqrt(), 1000, token_frames=8)
    for snr_db in (-3.0, 3.0, 10.0):
        estimate = PowerEstimate(0.08)
        told = [estimate.update(token) for token in awgn(sent, snr_db, seed=1).values[0]]
        assert 10 * np.log10(np.mean(told[12:])) == pytest.approx(-snr_db, abs=0.5)
    assert estimate.update(torch.full((80,), complex("nan"))) == told[-1]


def test_noise_is_told_from_speech_whose_tokens_differ_in_power() -> None:
    generator = torch.Generator().manual_seed(0)
    profile = torch.logspace(1, -2, 80)
    profile = profile / profile.mean()
    values = torch.randn(1, 400, 80, generator=generator, dtype=torch.complex64) * profile.sqrt()
    level = 0.5 + torch.rand(1, 40, 1, generator=generator).repeat_interleave(10, dim=1)
    sent = Symbols(values * level.sqrt(), 1000, token_frames=8)
    for snr_db in (-3.0, 3.0, 10.0):
        estimate = PowerEstimate(0.08, profile)
        told = [estimate.update(token) for token in awgn(sent, snr_db, seed=1).values[0]][12:]
        assert np.quantile(10 * np.log10(told), (0.05, 0.95)) == pytest.approx([-snr_db, -snr_db], abs=1.0)
    assert estimate.update(torch.full((80,), complex("nan"))) == told[-1]


@pytest.mark.parametrize("session", [False, True])
def test_noise_is_told_from_fading_where_gains_are_known(session: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    profile = torch.logspace(1, -2, 80)
    profile = profile / profile.mean() if session else torch.ones(80)
    values = torch.randn(1, 400, 80, generator=generator, dtype=torch.complex64) * profile.sqrt()
    received = StreamChannel(LinkConfig("mpp", 1000, 6.0, seed=3, options={"csi": "perfect"}), 8).send(
        Symbols(values, 1000, token_frames=8)
    )
    assert received.state.gain is not None
    estimate = PowerEstimate(0.08, profile if session else None)
    pairs = zip(received.values[0], received.state.gain[0], strict=True)
    told = [estimate.update(*pair) for pair in pairs][12:]
    assert 10 * np.log10(np.median(told)) == pytest.approx(-6.0, abs=0.7)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [b"\0\0\xa0\x7f", np.float32("inf").tobytes(), np.float32(3e38).tobytes()])
def test_any_number_passes_channel_and_power_estimate_without_a_word(value: bytes) -> None:
    values = np.frombuffer(np.ones(40, np.complex64).tobytes()[:-4] + value, np.complex64)  # 0x7fa00000 signals NaN
    link = StreamChannel(LinkConfig("mpp", 1000, 6.0, seed=3), 4)
    received = link.send(Symbols(values[None, None], 1000, token_frames=4))
    assert np.isfinite(np.asarray(received.values)[..., :-1]).all()
    assert np.isfinite(PowerEstimate(0.04).update(values))


def test_a_terminal_is_refused(codec_file: Path) -> None:
    mine, other = os.openpty()
    done = subprocess.run([*PROGRAM, "--encode"], stdin=other, capture_output=True, check=False)
    os.close(mine)
    os.close(other)
    assert done.returncode == 1
    assert b"standard input is a terminal" in done.stderr


def test_a_file_at_both_ends_is_refused(wav: Path) -> None:
    before = wav.read_bytes()
    with wav.open("rb") as source, wav.open("r+b") as target:
        done = subprocess.run([*PROGRAM, "--encode"], stdin=source, stdout=target, stderr=subprocess.PIPE,
                              check=False)  # fmt: skip
    assert (done.returncode, wav.read_bytes()) == (1, before)
    assert b"standard output: is an input too" in done.stderr
