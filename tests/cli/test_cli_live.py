"""``aether-lite live`` with a device that is played by the test, and the loop around a device."""

from __future__ import annotations

import builtins
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stream_runs import FakeStream, fake_device

from aether_lite.cli.live import Chain, ReadOut
from aether_lite.codec import Codec
from aether_lite.link import LinkConfig
from aether_lite.streaming.duplex import QUEUE_BLOCKS, RESERVE_SAMPLES, Duplex


def test_live_plays_what_was_said(
    run: Callable[..., Any], codec_file: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_device(speech[0]))
    done = run("live", "--snr", 10, "--rate", 600, "--model", codec_file, "--microphone", "3")
    assert (done.code, done.out) == (0, "")
    assert FakeStream.options["samplerate"] == 16_000
    assert FakeStream.options["device"] == (3, None)
    assert np.isfinite(FakeStream.played).all()
    assert np.abs(FakeStream.played).max() > 0
    for words in ("dBFS", "Es/N0", "lost 0/", "ms/token", "underruns"):
        assert words in done.err


def test_a_device_that_will_not_open_is_one_line(
    run: Callable[..., Any], codec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("Error querying device -1")

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(PortAudioError=OSError, Stream=refuse))
    done = run("live", "--snr", 10, "--model", codec_file)
    assert "no sound device for 16 kHz in and out (Error querying device -1)" in done.stated


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("no module"), "pip install '.[live]'"),
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
    ],
)
def test_what_is_not_installed_is_named(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name == "sounddevice":
            raise error
        return real(name, *rest, **named)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    assert message in run("live", "--snr", 10).stated


def test_read_out_tells_level_snr_and_voicing(tiny_codec: Codec, speech: np.ndarray) -> None:
    chain = Chain(tiny_codec, LinkConfig("awgn", 600, 6.0, seed=1, erasure=0.3))
    heard = [len(chain.process(block)) for block in np.split(speech[0, :32_000], 100)]
    shown = chain.read_out
    assert sum(heard) == 24 * 1280 - 240
    assert shown.tokens == 24
    assert 1 <= shown.lost <= 15
    assert shown.snr_db == pytest.approx(6, abs=1.5)
    assert 0 <= shown.voiced <= 1
    assert shown.level_dbfs == pytest.approx(20 * np.log10(np.sqrt(np.mean(speech[0, 31_680:32_000] ** 2))), abs=0.01)
    chain.process(np.zeros(320, np.float32))
    assert chain.read_out.level_dbfs == -100
    line = ReadOut(level_dbfs=-30, voiced=1.0, f0_hz=123.4, muted=True).line(Duplex(lambda block: block))
    for words in ("[##########..........]", "-30.0 dBFS", "Es/N0    -", "V   123 Hz", "muted"):
        assert words in line


def played(duplex: Duplex, frames: int) -> np.ndarray:
    out = np.full((frames, 2), np.nan, np.float32)
    duplex.callback(np.arange(frames, dtype=np.float32)[:, None], out, frames, None, None)
    assert np.array_equal(out[:, 0], out[:, 1])
    return out[:, 0]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_playing_begins_with_the_reserve_and_counts_running_dry() -> None:
    count = 0

    def numbered(block: np.ndarray) -> np.ndarray:
        nonlocal count
        count += len(block)
        return np.arange(count - len(block), count, dtype=np.float32)

    with Duplex(numbered) as duplex:
        for k in range(RESERVE_SAMPLES // 320):
            assert not played(duplex, 320).any()
            until(lambda made=320 * (k + 1): duplex.buffered == made)
        np.testing.assert_array_equal(played(duplex, 320), np.arange(320))
        assert duplex.underruns == 0
        until(lambda: duplex.buffered == RESERVE_SAMPLES)
        long = played(duplex, RESERVE_SAMPLES + 100)
        np.testing.assert_array_equal(long[:RESERVE_SAMPLES], np.arange(320, 320 + RESERVE_SAMPLES))
        assert not long[RESERVE_SAMPLES:].any()
        assert duplex.underruns == 1


def test_the_callback_never_waits_and_counts_what_it_drops() -> None:
    go_on = threading.Event()

    def stuck(block: np.ndarray) -> np.ndarray:
        go_on.wait(30)
        return block

    with Duplex(stuck) as duplex:
        try:
            start = time.monotonic()
            for _ in range(QUEUE_BLOCKS + 10):
                assert not played(duplex, 320).any()
            assert time.monotonic() - start < 5
            assert 9 <= duplex.overruns <= 10
        finally:
            go_on.set()


def test_a_failing_computation_reaches_the_caller() -> None:
    def fails(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("broken")

    with Duplex(fails) as duplex:
        played(duplex, 320)
        until(lambda: duplex.failure is not None)
    assert str(duplex.failure) == "broken"
