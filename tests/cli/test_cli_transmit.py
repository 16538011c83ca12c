"""``aether-lite transmit``: what goes in comes out with the same length, reproducibly, in every format."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import aether_lite
from aether_lite.audio import read_audio, write_audio
from aether_lite.features import lpc_from_cepstrum, read_f32, write_f32


@pytest.mark.parametrize("samples", [160, 161, 1279, 1280, 1281, 16_000])
def test_output_has_the_input_length(folder, send, speech, samples):
    write_audio("in.wav", speech[0, :samples])
    assert send("in.wav", "out.wav", "--snr", 10).code == 0
    assert soundfile.info("out.wav").frames == samples
    assert send("in.wav", "out.f32", "--snr", 10).code == 0
    assert read_f32("out.f32").shape == (samples // 160, 36)


def test_same_seed_same_bytes_and_another_seed_others(wav, send):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert send(wav, f"{name}.wav", "--snr", 3, "--seed", seed, "--channel", "rayleigh").code == 0
    a, b, c = (wav.with_name(f"{name}.wav").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_features_to_features(folder, send, speech_features):
    rows = speech_features[0, :101].numpy()
    write_f32("in.f32", rows, columns=20)
    assert send("in.f32", "out.f32", "--snr", 6, "--rate", 300).code == 0
    received = read_f32("out.f32")
    assert received.shape == (101, 36)
    expected = lpc_from_cepstrum(received[:, :18].astype(np.float64))
    np.testing.assert_allclose(received[:, 20:], expected, atol=1e-5)
    assert send("in.f32", "out.wav", "--snr", 6, "--rate", 300).code == 0
    assert soundfile.info("out.wav").frames == 160 * 101


def test_stereo_of_another_rate(folder, send):
    time = np.arange(44_100) / 44_100
    soundfile.write("in.flac", 0.3 * np.sin(2 * np.pi * 200 * np.stack([time, 2 * time], axis=1)), 44_100)
    assert send("in.flac", "out.flac", "--snr", 10).code == 0
    assert soundfile.info("out.flac").frames == 16_000


@pytest.mark.parametrize("level", [0.0, 20.0])
def test_silence_and_clipping(folder, send, speech, level):
    soundfile.write("in.wav", np.clip(level * speech[0, :8000], -1, 1), 16_000)
    assert send("in.wav", "out.wav", "--snr", 0, "--json", "out.json").code == 0
    assert np.isfinite(read_audio("out.wav")).all()
    json.loads((folder / "out.json").read_text())


def test_no_output_replaces_an_input_or_another_output(wav, send, run, codec_file):
    before = wav.read_bytes()
    wav.with_name("hard.wav").hardlink_to(wav)
    wav.with_name("soft.wav").symlink_to(wav)
    wav.with_name("model.json").hardlink_to(codec_file)
    wav.with_name("in.json").hardlink_to(wav)
    for name in ("in.wav", "hard.wav", "soft.wav", "./in.wav"):
        assert f"{name}: is an input too" in send(wav, name, "--snr", 10).stated
    for name in ("model.json", "in.json"):
        assert f"{name}: is an input too" in send(wav, "out.wav", "--snr", 10, "--json", name).stated
    assert "is an input too" in run("features", wav, "out.f32", "--json", "in.json").stated
    assert "is an input too" in run("encode", wav, "out.aeth", "--json", "in.json").stated
    wav.with_name("link.f32").symlink_to("later.f32")  # not there yet
    assert "two results" in send(wav, "link.f32", "--snr", 10, "--json", "later.f32").stated
    assert wav.read_bytes() == before


def test_json_holds_every_number(wav, send, codec_file):
    options = ("--snr", 6, "--rate", 600, "--channel", "mpp", "--erasure", 0.5, "--burst-tokens", 2, "--seed", 7)
    result = send(wav, "out.f32", *options, "--csi", "perfect", "--json", "-", "--quiet")
    assert (result.code, result.err) == (0, "")
    record = json.loads(result.out)
    assert (record["seed"], record["channel"], record["tokens"], record["channel_uses"]) == (7, "mpp", 13, 13 * 48)
    assert record["snr_3k_db"] == pytest.approx(6 + 10 * np.log10(600 / 3000))
    sent = aether_lite.load(codec_file).encode(read_audio(wav), 600).values  # constants of speech: this clip is not 1
    assert record["symbol_power"] == pytest.approx(float(sent.abs().square().mean()), rel=1e-5)
    assert record["options"]["csi"] == "perfect"
    assert 0 < record["erased_tokens"] < 13
    assert record["feature_loss"] > 0
    assert record["latency_ms"] == 105
    assert set(record["real_time_factor"]) == {"encode", "decode"}
    assert len(record["weights"]["codec"]["sha256"]) == 64
    assert record["provenance"] == {"note": "untrained", "seed": 0}


def test_numbers_are_of_the_input_not_of_the_padding(folder, send, speech):
    write_audio("in.wav", speech[0, :1290])  # 8 frames of speech and 8 of padding, nearly
    result = send("in.wav", "out.wav", "--channel", "clean", "--json", "-")
    record = json.loads(result.out)
    assert (record["frames"], record["tokens"]) == (8, 2)
    assert record["snr_db"] is None
    assert record["seconds"] == 1290 / 16_000


def test_summary_names_rate_snr_and_latency(wav, send):
    summary = send(wav, "out.wav", "--snr", 10).err
    assert "tiny.safetensors, sends symbols" in summary
    for words in ("1000 uses/s", "Es/N0 10 dB", "SNR3k 5.23 dB", "latency 105 ms", "F0 correlation", "vocoder"):
        assert words in summary


def test_picture_of_audio_and_of_features(wav, send):
    assert send(wav, "a.f32", "--snr", 10, "--picture", "a.png").code == 0
    assert send("a.f32", "b.f32", "--snr", 10, "--picture", "b.png").code == 0
    for name in ("a.png", "b.png"):
        assert wav.with_name(name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "options",
    [
        ("--channel", "rayleigh", "--doppler-hz", 5),
        ("--channel", "rician", "--k-db", 3, "--block-ms", 20),
        ("--channel", "erasure", "--erasure", 0.2),
        ("--csi", "none", "--target-snr", 10),
    ],
)
def test_options_of_channels(wav, send, options):
    assert send(wav, "out.f32", "--snr", 10, *options).code == 0


def test_wav_through_pipes(wav, codec_file):
    command = [sys.executable, "-m", "aether_lite.cli.main", "transmit", "-", "-", "--snr", "10", "--model"]
    done = subprocess.run([*command, str(codec_file)], input=wav.read_bytes(), capture_output=True, check=True)
    assert soundfile.info(io.BytesIO(done.stdout)).frames == 16_000


def test_refined_symbols_are_for_the_links_noise_unless_told_another(wav, send):
    pytest.importorskip("faster_whisper")

    def record(*options):
        result = send(wav, "out.f32", *options, "--json", "-", "--quiet")
        assert (result.code, result.err) == (0, "")
        return json.loads(result.out)

    # One second over one noise says little (of seeds 0 to 5 the loss falls with five and rises with one): four of them.
    runs = [(record("--snr", 6, "--seed", n), record("--snr", 6, "--seed", n, "--refine", 10)) for n in range(4)]
    assert sum(found["feature_loss"] - plain["feature_loss"] for plain, found in runs) < 0
    plain, found = runs[0]
    assert (plain["search_steps"], found["search_steps"]) == (0, 10)
    assert found["latency_ms"] == plain["latency_ms"] + 10 * (896 - 8)
    assert record("--snr", 6, "--refine", 10, "--target-snr", 6)["feature_loss"] == found["feature_loss"]
    assert record("--channel", "clean", "--refine", 10, "--target-snr", 6)["feature_loss"] > 0
    refused = send(wav, "out.wav", "--channel", "clean", "--refine", 10)
    assert "'--refine': of symbols over clean needs --target-snr" in refused.misused


def test_old_names_of_options_are_taken_with_a_note(wav, send):
    pytest.importorskip("faster_whisper")
    now = send(wav, "now.f32", "--snr", 6, "--csi", "none", "--refine", 1)
    old = send(wav, "old.f32", "--snr", 6, "--state", "withheld", "--search=1")
    assert (now.code, old.code) == (0, 0)
    assert "is now" not in now.err
    for note in ("--state is now --csi; the old name goes in 0.3", "--search is now --refine", "withheld is now"):
        assert note in old.err
    assert read_f32("now.f32").tobytes() == read_f32("old.f32").tobytes()
    quiet = send(wav, "old.f32", "--snr", 6, "--state", "estimated", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
