"""Bad input: one line that names the file and what is wrong, exit code 1, and nothing half written."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aether_lite.features import write_f32


@pytest.fixture(autouse=True)
def _nothing_else_written(folder):
    yield
    left = [path.name for path in folder.rglob("*") if "partial" in path.name or path.name.startswith("out")]
    assert left == []


def make_input(folder, wav, kind):
    """A file that cannot be sent."""
    path = folder / "bad.wav"
    if kind == "empty":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(wav.read_bytes()[:5000])
    elif kind == "text":
        path.write_text("this is no sound\n" * 40)
    elif kind == "NaN":
        samples = np.zeros(4000, np.float32)
        samples[1000] = np.nan
        soundfile.write(path, samples, 16_000, subtype="FLOAT")
    elif kind == "short":
        soundfile.write(path, np.zeros(100), 16_000)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "text", "NaN", "short", "folder"])
@pytest.mark.parametrize("command", ["transmit", "features"])
def test_unusable_audio(folder, wav, send, run, command, kind):
    path = make_input(folder, wav, kind)
    if command == "transmit":
        result = send(path, "out.wav", "--snr", 10, "--json", "out.json")
    else:
        result = run("features", path, "out.f32")
    assert str(path) in result.stated


@pytest.mark.parametrize("kind", ["missing", "empty", "odd", "NaN", "folder"])
@pytest.mark.parametrize("command", ["transmit", "vocode"])
def test_unusable_features(folder, send, run, command, kind):
    path = folder / "bad.f32"
    if kind == "empty":
        path.touch()
    elif kind == "odd":
        path.write_bytes(bytes(1000))
    elif kind == "NaN":
        path.write_bytes(np.full(36 * 3, np.nan, "<f4").tobytes())
    elif kind == "folder":
        path.mkdir()
    result = send(path, "out.wav", "--snr", 10) if command == "transmit" else run("vocode", path, "out.wav")
    assert str(path) in result.stated


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--snr", 10, "--channel", "smoke"), "unknown channel 'smoke'"),
        (("--snr", 10, "--rate", 250), "rate 250 uses/s is not one of"),
        (("--snr", "nan"), "SNR [dB] must be in -30..60"),
        (("--snr", "inf"), "SNR [dB] must be in -30..60"),
        (("--snr", 10, "--target-snr", "nan"), "target SNR [dB]"),
        (("--snr", 10, "--csi", "guessed"), "csi must be one of perfect, estimated, none"),
        (("--snr", 10, "--doppler-hz", 3), "channel awgn has no option 'doppler_hz'"),
        (("--snr", 10, "--erasure", 1.5), "probability must be in 0..1"),
        (("--snr", 10, "--burst-tokens", 3), "burst length"),
        (("--snr", 10, "--seed", -1), "seed"),
    ],
)
def test_unusable_options(wav, send, options, words):
    assert words in send(wav, "out.wav", *options).stated


@pytest.mark.parametrize("options", [(), ("--snr", "abc"), ("--snr", 3, "--colour", "red"), ("--snr", 3, "extra")])
def test_usage_errors_exit_2(wav, send, options):
    result = send(wav, "out.wav", *options)
    assert result.code == 2
    assert "Usage" in result.err


def test_a_missing_snr_hides_no_other_mistake(folder, wav, send, run):
    words = "Missing option '--snr' (Es/N0 in dB, try --snr 6)"
    assert words in send(wav, "out.wav").misused
    assert words in send(wav, "out.wav", "--refine", 2).misused
    assert "missing.wav: no such file" in send("missing.wav", "out.wav").stated
    assert "rate 250 uses/s is not one of" in send(wav, "out.wav", "--rate", 250).stated
    assert "unknown channel 'smoke'" in send(wav, "out.wav", "--channel", "smoke").stated
    assert "demo sends symbols, and bsc takes bits" in run("demo", "--channel", "BSC").misused


@pytest.mark.parametrize("name", ["nowhere/out.wav", "nowhere/out.f32", "out.mp4", "out", "in.wav/out.wav"])
def test_output_that_cannot_be_written_is_refused_first(wav, send, monkeypatch, name):
    monkeypatch.setattr("aether_lite.audio.read_audio", None)  # not even read
    assert name in send(wav, name, "--snr", 10).stated


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_further_results_are_checked_first(wav, send, option):
    assert "nowhere/x.png" in send(wav, "out.wav", "--snr", 10, option, "nowhere/x.png").stated
    assert "two results" in send(wav, "out.wav", "--snr", 10, option, "out.wav").stated


@pytest.mark.parametrize("name", ["full.wav", "full.f32"])
def test_full_disk(folder, wav, send, monkeypatch, name):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aether_lite.audio._write_stream", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    message = send(wav, name, "--snr", 10).stated
    assert name in message
    assert "disk is full" in message
    assert not (folder / name).exists()


def test_full_device(folder, wav, send):
    (folder / "full.wav").symlink_to("/dev/full")
    assert "disk is full" in send(wav, "full.wav", "--snr", 10).stated


@pytest.mark.parametrize("kind", ["missing", "cut", "text", "vocoder", "pth"])
def test_unusable_codec(folder, wav, run, codec_file, kind):
    path = folder / "model.safetensors"
    if kind == "cut":
        path.write_bytes(codec_file.read_bytes()[:-100])
    elif kind == "text":
        path.write_text("no weights")
    elif kind == "vocoder":
        from aether_lite.vocoder import default_vocoder_path

        path.write_bytes(default_vocoder_path().read_bytes())
    elif kind == "pth":
        path = folder / "model.pth"
        torch.save({"state_dict": {"a": torch.zeros(3)}}, path)
    for result in (run("transmit", wav, "out.wav", "--snr", 10, "--model", path), run("info", path)):
        assert str(path) in result.stated


@pytest.mark.parametrize("kind", ["missing", "text", "other"])
def test_unusable_vocoder(folder, wav, send, run, kind):
    path = folder / "fargan.pth"
    if kind == "text":
        path.write_text("no weights")
    elif kind == "other":
        torch.save({"state_dict": {"layer.weight": torch.zeros(3)}}, path)
    write_f32("in.f32", np.zeros((4, 36)))
    for result in (
        send(wav, "out.wav", "--snr", 10, "--vocoder", path),
        run("vocode", "in.f32", "out.wav", "--vocoder", path),
    ):
        assert str(path) in result.stated


def test_interrupt_exits_130_and_leaves_nothing(wav, send, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("aether_lite.audio._write_stream", stop)
    assert send(wav, "out.wav", "--snr", 10).code == 130


def test_older_output_survives_an_error(wav, send, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    kept = wav.with_name("kept.wav")
    kept.write_bytes(b"precious")
    monkeypatch.setattr("aether_lite.audio._write_stream", refuse)
    assert "disk is full" in send(wav, kept, "--snr", 10, "--force").stated
    assert kept.read_bytes() == b"precious"
