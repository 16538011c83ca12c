"""``aether-lite stream --bitrate`` in pipes: the bits of the codec, a binary channel, soft bits, early ends."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from stream_runs import pcm, read_tokens, run, start, wait_for

from aether_lite.channels import ReceivedBits
from aether_lite.codec import Codec, load
from aether_lite.container.layout import bit_array, received_bits, unpack_tokens
from aether_lite.payload import BIT_RATES

TOKEN = 1280


@pytest.fixture(scope="module")
def codec(hash_file: Path) -> Codec:
    return load(hash_file)


@pytest.mark.parametrize("rate", BIT_RATES)
def test_packed_bits_through_a_pipe(hash_file: Path, codec: Codec, speech: np.ndarray, rate: int) -> None:
    options = ("--bitrate", rate, "--model", hash_file)
    data = pcm(speech[0, :6000])
    sent = run(data, "--encode", "--raw", *options)
    assert (sent.returncode, sent.stderr) == (0, b"")
    expected = bit_array(codec.encode(np.frombuffer(data, "<i2"), rate))[0]
    np.testing.assert_array_equal(unpack_tokens(sent.stdout, rate * 8 // 100), expected)
    heard = run(sent.stdout, "--decode", "--raw", *options)
    assert (heard.returncode, heard.stderr) == (0, b"")
    offline = codec.decode(received_bits(expected, rate))[0].numpy()
    np.testing.assert_allclose(np.frombuffer(heard.stdout, "<i2") / 32768, offline, atol=1e-3)


def test_a_channel_turns_bits_and_soft_bits_know_it(hash_file: Path, codec: Codec) -> None:
    options = ("--bitrate", 600, "--model", hash_file)
    sent = np.random.default_rng(1).integers(0, 256, 6 * 500, dtype=np.uint8).tobytes()
    channel = ("--channel", "bsc", "--ber", 0.05, "--seed", 3, *options)
    hard = run(sent, *channel)
    assert (hard.returncode, len(hard.stdout)) == (0, len(sent))
    wrong = unpack_tokens(hard.stdout, 48) != unpack_tokens(sent, 48)
    assert wrong.mean() == pytest.approx(0.05, rel=0.1)
    assert run(sent, *channel).stdout == hard.stdout
    soft = np.frombuffer(run(sent, *channel, "--soft").stdout, "<f4").reshape(-1, 48)
    np.testing.assert_array_equal(soft > 0, unpack_tokens(hard.stdout, 48) == 1)
    assert np.abs(soft).mean() == pytest.approx(0.9, abs=0.02)
    exact = run(sent[:60], *channel, "--soft", "--csi", "perfect").stdout
    np.testing.assert_allclose(np.abs(np.frombuffer(exact, "<f4")), 0.9, atol=1e-6)

    told = run(hard.stdout[:60], "--decode", "--raw", "--ber", 0.05, *options)
    alike = run(exact, "--decode", "--raw", "--soft", *options)
    assert told.stdout == alike.stdout
    assert told.stdout != run(hard.stdout[:60], "--decode", "--raw", *options).stdout


def test_lost_tokens_are_nan_and_the_decoder_conceals_them(hash_file: Path, codec: Codec) -> None:
    options = ("--bitrate", 300, "--model", hash_file)
    sent = np.random.default_rng(1).integers(0, 256, 3 * 20, dtype=np.uint8).tobytes()
    losses = ("--erasure", 0.4, "--burst-tokens", 2, "--seed", 2)
    passed = run(sent, "--channel", "bsc", "--ber", 0, "--soft", *losses, "--csi", "perfect", *options)
    soft = np.frombuffer(passed.stdout, "<f4").reshape(20, 24)
    lost = np.isnan(soft).all(axis=1)
    assert 2 < lost.sum() < 16
    assert np.isfinite(soft[~lost]).all()
    heard = run(passed.stdout, "--decode", "--raw", "--soft", "--no-mute", *options)
    assert heard.returncode == 0
    values = torch.from_numpy(np.nan_to_num(soft, nan=0.0))[None]
    offline = codec.decode(ReceivedBits(values, 300, torch.from_numpy(lost)[None], token_frames=8))[0].numpy()
    np.testing.assert_allclose(np.frombuffer(heard.stdout, "<i2") / 32768, offline, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "before", "size_in", "size_out"),
    [
        (("--encode", "--raw"), 160 * 2, TOKEN * 2, 6),
        (("--channel", "bsc", "--ber", 0.01), 0, 6, 6),
        (("--channel", "bsc", "--ber", 0.01, "--soft"), 0, 6, 192),
        (("--decode", "--raw"), 0, 6, TOKEN * 2),
    ],
)
def test_a_token_leaves_before_the_next_comes(
    hash_file: Path, arguments: tuple[object, ...], before: int, size_in: int, size_out: int
) -> None:
    process = start(*arguments, "--bitrate", 600, "--model", hash_file)
    assert process.stdin is not None
    assert isinstance(process.stdout, io.BufferedReader)
    first = size_out - (240 * 2 if "--decode" in arguments else 0)
    arrivals: list[float] = []
    out = process.stdout

    def read() -> None:
        if len(out.read(first)) == first:
            arrivals.append(0.0)
        read_tokens(out, size_out, arrivals)

    reader = threading.Thread(target=read)
    reader.start()
    process.stdin.write(bytes(before))
    for k in range(4):
        process.stdin.write(bytes(size_in))
        process.stdin.flush()
        assert wait_for(arrivals, k + 1), f"token {k} did not leave"
    process.stdin.close()
    reader.join(60)
    assert process.wait(60) == 0


def test_input_that_ends_within_a_token(hash_file: Path) -> None:
    options = ("--bitrate", 600, "--model", hash_file)
    done = run(bytes(6 * 2 + 5), "--decode", "--raw", *options)
    assert done.returncode == 1
    assert b"standard input: ends within a token (5 of 6 bytes)" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert len(done.stdout) == 2 * 2 * TOKEN
    assert run(b"", "--encode", "--raw", "--bitrate", 500, "--model", hash_file).returncode == 1


@pytest.mark.parametrize("mode", [("--encode", "--raw"), ("--decode", "--raw"), ("--channel", "bsc", "--ber", 0)])
def test_empty_input_is_named_and_nothing_written(hash_file: Path, mode: tuple[object, ...]) -> None:
    done = run(b"", *mode, "--bitrate", 600, "--model", hash_file)
    message = b"aether-lite: standard input: is empty, so nothing is written\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", message)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--channel", "bsc", "--bitrate", 600),
        ("--channel", "awgn", "--snr", 3, "--bitrate", 600),
        ("--channel", "mpp", "--ber", 0.1, "--bitrate", 600),
        ("--channel", "bsc", "--ber", 0.1, "--bitrate", 600, "--erasure", 0.1),
        ("--encode", "--soft", "--bitrate", 600),
        ("--decode", "--soft", "--ber", 0.1, "--bitrate", 600),
        ("--decode", "--snr", 3, "--bitrate", 600),
        ("--encode", "--rate", 300, "--bitrate", 600),
        ("--decode", "--soft", "--model", "small"),
        ("--decode", "--ber", 0.1, "--rate", 300),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[object, ...]) -> None:
    assert run(b"", *arguments).returncode == 2


def test_a_hash_codec_as_model_makes_it_bits(hash_file: Path, codec: Codec, speech: np.ndarray) -> None:
    data = pcm(speech[0, :6000])
    by_model = run(data, "--encode", "--raw", "--model", hash_file)
    assert by_model.stdout == run(data, "--encode", "--raw", "--bitrate", 600, "--model", hash_file).stdout
    refused = run(b"", "--encode", "--rate", 300, "--model", hash_file)
    assert refused.returncode == 2
    assert b"is for symbols, but" in refused.stderr
