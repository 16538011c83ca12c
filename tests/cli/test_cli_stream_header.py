"""The header of streams of symbols and bits: a decoder takes from it what it needs, and refuses what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stream_runs import Done, pcm, run

from aether_lite.cli.options import DEFAULT_RATE
from aether_lite.streaming.header import KINDS, LAYOUT, MAGIC, StreamHeader

BYTES = LAYOUT.size + 4


@pytest.fixture(scope="module")
def spoken(speech: np.ndarray) -> bytes:
    return pcm(speech[0, :6000])


def stated(done: Done) -> str:
    """The one line of an error that has written nothing."""
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    return done.stderr.decode()


@pytest.fixture
def symbols(codec_file: Path, spoken: bytes) -> bytes:
    done = run(spoken, "--encode", "--raw", "--rate", 600, "--model", codec_file, header=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.fixture
def bits(hash_file: Path, spoken: bytes) -> bytes:
    done = run(spoken, "--encode", "--raw", "--bitrate", 1200, "--model", hash_file, header=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_header_and_rest(codec_file: Path, spoken: bytes, symbols: bytes) -> None:
    plain = run(spoken, "--encode", "--raw", "--rate", 600, "--model", codec_file).stdout
    assert symbols[BYTES:] == plain
    assert symbols.startswith(MAGIC)
    decoded = run(symbols, "--decode", "--raw", "--model", codec_file, header=True)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    told = run(plain, "--decode", "--raw", "--rate", 600, "--model", codec_file)
    assert told.stdout == decoded.stdout
    assert len(decoded.stdout) == 2 * 1280 * (len(plain) // (48 * 8))


def test_a_decoder_refuses_what_does_not_fit(codec_file: Path, hash_file: Path, symbols: bytes, bits: bytes) -> None:
    of_symbols, of_bits = ("--decode", "--raw", "--model", codec_file), ("--decode", "--raw", "--model", hash_file)
    assert "of 600 uses/s, not of 300 uses/s" in stated(run(symbols, *of_symbols, "--rate", 300, header=True))
    assert "of 1200 bit/s, not of 600 bit/s" in stated(run(bits, *of_bits, "--bitrate", 600, header=True))
    assert "a stream of symbols, not of packed bits" in stated(run(symbols, *of_bits, header=True))
    assert "a stream of packed bits, not of symbols" in stated(run(bits, *of_symbols, header=True))
    assert "of symbols, not of symbols with gains" in stated(run(symbols, *of_symbols, "--gains", header=True))
    assert "of packed bits, not of soft bits" in stated(run(bits, *of_bits, "--soft", header=True))
    assert "made by model" in stated(run(symbols, "--decode", "--raw", "--model", "small", header=True))
    assert "leave --no-header out" in stated(run(symbols, *of_symbols, "--rate", 600))


def test_one_that_joins_late_states_the_rate(codec_file: Path, symbols: bytes) -> None:
    late = symbols[BYTES + 48 * 8 :]
    options = ("--decode", "--raw", "--model", codec_file)
    assert "add --no-header and state its rate" in stated(run(late, *options, header=True))
    assert run(late, *options).returncode == 2
    assert run(late, "--channel", "clean", "--model", codec_file).returncode == 2
    assert run(late, *options, "--rate", 600).returncode == 0


def test_damaged_headers(codec_file: Path, symbols: bytes) -> None:
    options = ("--decode", "--raw", "--model", codec_file)
    flipped = bytearray(symbols)
    flipped[len(MAGIC) + 4] ^= 8  # of the rate
    assert "its header is damaged" in stated(run(bytes(flipped), *options, header=True))
    later = bytearray(symbols)
    later[len(MAGIC)] = 2
    assert "version 2; this release reads version 1" in stated(run(bytes(later), *options, header=True))
    assert "ends within its header" in stated(run(symbols[:20], *options, header=True))


def test_a_channel_passes_the_header_on(codec_file: Path, hash_file: Path, symbols: bytes, bits: bytes) -> None:
    fading = ("--channel", "mpp", "--snr", 10, "--model", codec_file)
    with_gains = run(symbols, *fading, "--gains", header=True)
    assert (with_gains.returncode, len(with_gains.stdout)) == (0, BYTES + 2 * (len(symbols) - BYTES))
    options = ("--decode", "--raw", "--model", codec_file)
    told = run(with_gains.stdout, *options, "--gains", "--rate", 600, header=True)
    assert (told.returncode, told.stderr) == (0, b"")
    assert run(with_gains.stdout, *options, header=True).stdout == told.stdout
    assert "of symbols with gains, not of symbols" in stated(run(with_gains.stdout, *fading, header=True))
    soft = run(bits, "--channel", "bsc", "--ber", 0.01, "--soft", "--model", hash_file, header=True)
    decoded = run(soft.stdout, "--decode", "--raw", "--model", hash_file, header=True)
    assert (decoded.returncode, decoded.stderr) == (0, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_header_bytes(kind: str) -> None:
    header = StreamHeader(kind, DEFAULT_RATE, 4, bytes(8))
    data = header.to_bytes()
    assert len(data) == BYTES
    assert data[8:16] == bytes([1, KINDS.index(kind), 4, 0]) + DEFAULT_RATE.to_bytes(4, "little")
