"""``aether-lite export --native``: one file of weights for the native core, whole or none."""

import json

import pytest

from aether_lite.cli.io import sha256


@pytest.mark.parametrize("option", [(), ("--int8",)])
def test_a_file_for_the_native_core(folder, run, codec_file, option):
    result = run("export", "--native", "out.aether", "--model", codec_file, *option, "--json", "-")
    assert result.code == 0, result
    record = json.loads(result.out)
    assert record["file"] == {
        "name": "out.aether",
        "bytes": (folder / "out.aether").stat().st_size,
        "sha256": sha256(folder / "out.aether"),
    }
    assert record["precision"] == ("int8" if option else "float16")
    assert (folder / "out.aether").read_bytes()[:8] == b"AETHERNW"
    assert [path.name for path in folder.iterdir()] == ["out.aether"]


def test_places_and_models_that_will_not_do(folder, run, codec_file):
    (folder / "there.aether").write_text("mine")
    assert "is there already" in run("export", "--native", "there.aether", "--model", codec_file).stated
    assert "unknown suffix" in run("export", "--native", "out.onnx", "--model", codec_file).stated
    assert "nothing.safetensors" in run("export", "--native", "out.aether", "--model", "nothing.safetensors").stated
    assert (folder / "there.aether").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["there.aether"]
