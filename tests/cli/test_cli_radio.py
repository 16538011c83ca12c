"""``tx`` and ``rx``: speech to a transmitter's audio and back, over files and pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from aether_lite.audio import read_audio, write_audio
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, read_f32
from aether_lite.metrics.features import clip_feature_loss
from aether_lite.modem.onair import OnAir

PROGRAM = [sys.executable, "-m", "aether_lite.cli.main"]


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``in.wav``, ``radio.wav`` and ``air.wav``, which has noise around it."""
    folder = tmp_path_factory.mktemp("radio")
    sample = Path(__file__).parents[2] / "src" / "aether_lite" / "assets" / "samples" / "en_f_intro.flac"
    write_audio(folder / "in.wav", read_audio(sample)[:64_000])
    for arguments in (
        ("tx", "in.wav", "radio.wav", "--callsign", "ab1cde", "--json", "tx.json"),
        ("onair", "radio.wav", "air.wav", "--snr3k", "8", "--offset", "-41", "--lead", "0.7", "--tail", "0.5"),
    ):
        subprocess.run([*PROGRAM, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


def test_speech_comes_back_from_nothing_but_audio(radio: Path, run: Callable[..., Any], folder: Path) -> None:
    shown = run("rx", radio / "air.wav", "out.f32", "--json", "rx.json", "--picture", "rx.png")
    assert shown.code == 0, shown.err
    record = json.loads(Path("rx.json").read_text())
    (over,) = record["overs"]
    assert (over["profile"], over["rate_uses_per_s"], over["frames"], over["lost_frames"]) == ("narrow", 700, 50, 0)
    assert over["start_s"] == pytest.approx(0.7 + 0.16, abs=0.003)
    assert over["offset_hz"] == pytest.approx(-41.0, abs=0.3)
    assert over["same_weights"] is True
    assert Path("rx.png").stat().st_size > 10_000
    sent = extract_features(read_audio(radio / "in.wav"))[:400, :20]
    received = read_f32("out.f32")[:400, :20]
    assert received.shape == sent.shape
    loss = clip_feature_loss(*(torch.from_numpy(each.copy())[None] for each in (received, sent)))
    assert float(loss) < 0.3


def test_the_transmission_is_as_stated(radio: Path) -> None:
    record = json.loads((radio / "tx.json").read_text())
    audio, rate = soundfile.read(radio / "radio.wav")
    assert rate == record["sample_rate"] == 8000
    assert len(audio) / rate == pytest.approx(4.0 + 0.32, abs=0.1) == record["seconds"]
    assert np.abs(audio).max() < 0.9
    assert record["bandwidth_hz"] == pytest.approx(1028.6, abs=0.1)


@pytest.mark.slow
def test_pipes_give_what_files_give(radio: Path) -> None:
    def piped(*arguments: str, data: bytes) -> bytes:
        return subprocess.run([*PROGRAM, *arguments], input=data, cwd=radio, check=True, capture_output=True).stdout

    subprocess.run([*PROGRAM, "rx", "air.wav", "file.wav"], cwd=radio, check=True, capture_output=True)
    raw = (soundfile.read(radio / "in.wav", dtype="int16")[0]).astype("<i2").tobytes()
    sent = piped("tx", "-", "-", "--raw", "--callsign", "ab1cde", data=raw)
    expected = soundfile.read(radio / "radio.wav", dtype="int16")[0]
    assert np.abs(np.frombuffer(sent, "<i2")[: len(expected)].astype(int) - expected).max() <= 1
    air = soundfile.read(radio / "air.wav", dtype="int16")[0].astype("<i2").tobytes()
    heard = np.frombuffer(piped("rx", "-", "-", "--raw", "--sample-rate", "8000", data=air), "<i2")
    assert len(heard) == len(soundfile.read(radio / "file.wav")[0])
    assert np.abs(heard).max() > 1000


@pytest.mark.parametrize(("arguments", "message"), [
    (("--rate", 1200), "profile narrow does not carry 1200 uses/s (no profile does)"),
    (("--rate", 150, "--profile", "wide16"), "profile wide16 does not carry 150 uses/s (profile narrow does)"),
    (("--profile", "broad"), "unknown profile 'broad'"),
    (("--callsign", "much too long"), "at most 10"),
    (("--papr", 2), "PAPR must be in"),
    (("--model", "hash_small"), "is for symbols, but hash_small sends bits"),
])  # fmt: skip
def test_what_cannot_be_sent_is_refused(
    radio: Path, run: Callable[..., Any], folder: Path, arguments: tuple[object, ...], message: str
) -> None:
    shown = run("tx", radio / "in.wav", "out.wav", *arguments)
    assert shown.code in (1, 2)
    assert message in " ".join(shown.err.replace("\u2502", " ").split())
    assert list(folder.iterdir()) == []


def test_a_recording_without_a_transmission_gives_none(run: Callable[..., Any], folder: Path) -> None:
    write_audio("noise.wav", 0.1 * np.random.default_rng(0).standard_normal(24_000))
    shown = run("rx", "noise.wav", "out.wav", "--json", "rx.json", "--rate", 700)
    assert shown.code == 0
    assert "no transmission was found" in shown.err
    assert json.loads(Path("rx.json").read_text())["overs"] == []
    assert soundfile.info("out.wav").frames == 0
    assert run("rx", "noise.wav", "out.f32", "--rate", 700).code == 0
    assert Path("out.f32").read_bytes() == b""


def test_what_has_no_signal_is_named(run: Callable[..., Any], folder: Path) -> None:
    write_audio(folder / "silence.wav", np.zeros(16_000, np.float32))
    assert "silence.wav: there is no signal of 20 ms or more" in run("onair", "silence.wav", "out.wav").stated
    assert not (folder / "out.wav").exists()
    with pytest.raises(AetherError, match=r"^seed must be an integer"):
        OnAir(seed=-1)
