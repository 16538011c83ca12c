"""The other commands: features, vocode, info, demo, help."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aether_lite.cli.demo import over_clips
from aether_lite.cli.info import released
from aether_lite.codec import SpiCodec, preset, save_codec
from aether_lite.features import extract_features, read_f32, write_f32


@pytest.mark.parametrize("columns", [36, 20])
def test_features_are_those_of_the_extractor(wav, run, columns):
    assert run("features", wav, "out.f32", "--columns", columns).code == 0
    assert wav.with_name("out.f32").stat().st_size == 100 * columns * 4
    samples = soundfile.read(wav, dtype="int16")[0]
    found, expected = read_f32("out.f32"), extract_features(samples)
    np.testing.assert_allclose(np.delete(found, (18, 19), 1), np.delete(expected, (18, 19), 1), atol=1e-5)
    assert (~np.isclose(found, expected, atol=1e-5).all(axis=1)).sum() <= 1  # takes another pitch period, as good


@pytest.mark.parametrize("arguments", [("in.wav", "out.wav"), ("in.wav", "out.f32", "--columns", 35)])
def test_features_refuses_other_outputs(wav, run, arguments):
    assert run("features", *arguments).code in (1, 2)
    assert not wav.with_name(arguments[1]).exists()


def test_vocode_speaks_every_frame(folder, run, speech_features):
    write_f32("in.f32", speech_features[0, :50].numpy())
    assert run("vocode", "in.f32", "out.wav", "--quiet").code == 0
    speech, rate = soundfile.read("out.wav")
    assert (len(speech), rate) == (8000, 16_000)
    assert np.abs(speech).max() > 0.01


def test_info_describes_a_codec(run, codec_file, tiny):
    record = json.loads(run("info", codec_file, "--json").out)
    model = record["model"]
    assert model["parameters"]["total"] == sum(weight.numel() for weight in tiny.parameters())
    assert model["uses_per_token"] == {
        "150": 12, "300": 24, "500": 40, "600": 48, "700": 56, "1000": 80, "1200": 96,
    }  # fmt: skip
    assert model["latency_ms"] == 105
    assert sum(count for part, count in model["latency_samples"].items() if part != "total") == 1680
    assert record["released"]
    shown = run("info", codec_file).out
    for words in ("spi_encoder", "1000 (80)", "105 ms", "mean |x|^2", "untrained", model["sha256"]):
        assert words in shown


@pytest.mark.parametrize(
    ("power", "words"), [("token", "over every token sent"), ("session", "over speech"), ("held", "of any speech")]
)
def test_info_says_what_the_power_constraint_holds_for(folder, run, power, words):
    save_codec(SpiCodec(replace(preset("tiny"), power=power)), folder / "codec.safetensors", {})
    model = json.loads(run("info", "codec.safetensors", "--json").out)["model"]
    assert words in model["power_constraint"]


def test_demo_writes_sounds_pictures_and_a_table(folder, run, codec_file):
    result = run("demo", "--quick", "--out", "heard", "--rates", "300,1000", "--snrs", "10", "--model", codec_file)
    assert result.code == 0
    assert "Listen to" in result.out
    written = {path.name for path in (folder / "heard").iterdir()}
    for label in ("original", "vocoder_only", "300uses_10dB", "1000uses_10dB"):
        assert f"en_f_intro_{label}.wav" in written
        assert soundfile.info(folder / "heard" / f"it_m_intro_{label}.wav").frames == 4 * 16_000
    assert {"en_f_intro_300uses_10dB.png", "rate_snr.png", "table.md", "table.json"} <= written
    rows = json.loads((folder / "heard" / "table.json").read_text())["rows"]
    assert [row["system"] for row in rows] == ["Aether-lite", "Aether-lite", "vocoder only", "original"]
    assert rows[0]["snr_3k_db"] == pytest.approx(0)
    assert rows[2]["estoi"] > 0.8
    assert "| vocoder only |" in (folder / "heard" / "table.md").read_text()
    for name in ("own.wav", "en_f_intro_notes.wav"):
        (folder / "heard" / name).touch()
    options = ("--quick", "--output", "heard", "--rate", 300, "--channel", "clean", "--model", codec_file)
    assert "two results" in run("demo", *options, "--json", "heard/table.json").stated
    assert run("demo", *options).code == 0
    left = {path.name for path in (folder / "heard").iterdir()}
    assert {"own.wav", "en_f_intro_notes.wav", "en_f_intro_300uses_clean.wav", "en_f_intro_original.wav"} <= left
    assert not [name for name in left if "10dB" in name or name == "rate_snr.png"]


@pytest.mark.slow
def test_demo_without_pystoi_says_what_to_install(folder, run, codec_file, monkeypatch):
    monkeypatch.setattr("aether_lite.metrics.intrusive.available", lambda metric: False)
    options = ("--rates", "150", "--channel", "clean", "--model", codec_file)
    result = run("demo", "--quick", *options)
    assert result.code == 0
    assert "pip install '.[demo]'" in result.out  # the brackets are no markup
    table = (folder / "demo_out" / "table.md").read_text()
    assert "pip install '.[demo]'" in table
    assert (folder / "demo_out" / "en_f_intro_150uses_clean.wav").exists()


@pytest.mark.parametrize("options", [("--rates", "fast"), ("--snrs", "1;2")])
def test_demo_refuses_lists_of_something_else(folder, run, options):
    assert run("demo", *options).code == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("options", [("--rates", "250"), ("--channel", "smoke"), ("--snrs", "nan")])
def test_demo_refuses_unknown_conditions_before_writing(folder, run, options):
    assert run("demo", *options).code == 1
    assert list(folder.iterdir()) == []


def test_over_clips_f0_correlation_takes_the_median_and_skips_what_is_undefined():
    assert over_clips("f0_correlation", [0.1, 0.9, 0.8]) == 0.8
    assert over_clips("feature_loss", [0.1, 0.3, float("nan")]) == pytest.approx(0.2)
    assert np.isnan(over_clips("estoi", [float("nan")]))


def test_help_loads_neither_torch_nor_numpy():
    code = (
        "import sys\nfrom aether_lite.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'soundfile'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    for command in ("demo", "transmit", "features", "vocode", "info", "train"):
        assert command in shown.stdout


def test_train_has_its_own_options(run):
    result = run("train", "--help")
    assert result.code == 0
    assert "--preset" in result.out


def test_reader_that_leaves_early_is_no_error(wav, codec_file):
    command = f"{sys.executable} -m aether_lite.cli.main info {codec_file} | head -n 1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in shown.stderr
    assert "Released" in shown.stdout


def test_info_lists_every_released_file() -> None:
    folder = Path(str(files("aether_lite") / "zoo"))
    listed = {row["file"] for row in released()}
    assert listed == {path.name for path in folder.glob("*.safetensors")}
    cards = {path.stem for path in folder.glob("*.md")}
    assert {Path(name).stem for name in listed if not name.startswith("prior_")} == cards
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) < 24e6
