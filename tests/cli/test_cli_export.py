"""``aether-lite export``: a whole folder or none."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stream_runs

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from aether_lite import __version__
from aether_lite.cli.io import sha256
from aether_lite.codec import load
from aether_lite.container.layout import received_bits, unpack_tokens
from aether_lite.export import OnnxStep
from aether_lite.payload import BIT_RATES
from aether_lite.vocoder import default_vocoder_path

RECEIVER = Path(__file__).parents[2] / "examples" / "onnx_receiver.py"


def test_graphs_manifest_and_report(folder, run, codec_file):
    (folder / "out").mkdir()  # an empty folder may be there
    result = run("export", "out", "--model", codec_file, "--int8")
    assert result.code == 0, result
    assert result.out == ""
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert manifest["package"]["version"] == __version__
    assert manifest["weights"]["codec"]["sha256"] == sha256(codec_file)
    assert manifest["weights"]["codec"]["provenance"]["note"] == "untrained"
    assert manifest["weights"]["vocoder"]["sha256"] == sha256(default_vocoder_path())
    written = {"manifest.json"}
    for name in ("encoder", "decoder", "vocoder"):
        for entry in manifest["steps"][name]["files"].values():
            content = (folder / "out" / entry["name"]).read_bytes()
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry["bytes"] == len(content)
            assert entry["name"] in result.err
            written.add(entry["name"])
    assert len(written) == 7
    assert {path.name for path in (folder / "out").iterdir()} == written
    assert [path.name for path in folder.iterdir()] == ["out"]
    (samples,) = OnnxStep.load(folder / "out", "vocoder", "int8")(row=np.zeros(20), audible=[1])
    assert samples.shape == (160,)


@pytest.mark.slow
def test_bits_of_the_command_to_a_wav_by_the_example(folder, run, hash_file, speech):
    assert run("export", "out", "--model", hash_file, "--int8").code == 0
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert (manifest["unit"], manifest["rates"]) == ("bit/s", list(BIT_RATES))
    assert manifest["bits_per_token"] == {"300": 24, "600": 48, "1200": 96, "2400": 192}
    assert manifest["max_bits"] == 192
    assert not {"uses_per_token", "max_uses", "symbols", "power", "told_snr_db"} & set(manifest)
    assert manifest["steps"]["decoder"]["files"]["float32"]["largest_difference_from_torch"] < 1e-5

    for rate in (manifest["default_rate"], 2400):
        stated = [] if rate == manifest["default_rate"] else ["--bitrate", rate]
        sent = stream_runs.run(stream_runs.pcm(speech[0]), "--encode", "--raw", "--model", hash_file, *stated).stdout
        (folder / "sent").write_bytes(sent)
        expected = load(hash_file).decode(received_bits(unpack_tokens(sent, rate * 8 // 100), rate))[0].numpy()
        for precision, least_db, most_db in (("float32", 60, 100), ("int8", 3, 60)):
            chosen = ["--precision", precision, *(["--rate", str(rate)] if stated else [])]
            subprocess.run([sys.executable, RECEIVER, "out", "sent", "out.wav", *chosen], check=True)
            heard, sample_rate = soundfile.read("out.wav")
            assert (sample_rate, heard.shape) == (16_000, expected.shape)
            snr_db = 10 * np.log10(np.square(expected).sum() / np.square(heard - expected).sum())
            assert least_db < snr_db < most_db


@pytest.mark.parametrize("place", ["full", "file", "missing/out", "."])
def test_a_place_that_cannot_be_filled(folder, run, codec_file, place):
    if place == "full":
        (folder / "full").mkdir()
        (folder / "full" / "mine.txt").write_text("mine")
    elif place == "file":
        (folder / "file").write_text("mine")
    before = sorted(folder.rglob("*"))
    assert run("export", place, "--model", codec_file).stated.startswith(f"aether-lite: {place}: ")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package(folder, run, codec_file, monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    stated = run("export", "out", "--model", codec_file).stated
    assert f"package {package}," in stated
    assert "pip install '.[onnx]'" in stated
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("options", [("--model", "nothing"), ("--vocoder", "nothing.pth")])
def test_weights_that_are_not_there(folder, run, options):
    assert options[1] in run("export", "out", *options).stated
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing(folder, run, codec_file, monkeypatch):
    import onnx

    def fail(model, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "save", fail)
    monkeypatch.setattr("aether_lite.export.folder.to_onnx", lambda step: None)
    assert "No space left on device" in run("export", "out", "--model", codec_file).stated
    assert list(folder.iterdir()) == []
