"""The rule for what commands write: no input, no other output, nothing that is there without --force; modes stay."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aether_lite.cli import io
from aether_lite.cli.train import _check_folders
from aether_lite.errors import AetherError
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.prior import PriorConfig

ROWS = np.zeros((8, 36), "<f4").tobytes()
COMMANDS = {
    "features": "features in.wav out.f32 --json out.json",
    "encode": "encode in.wav out.aeth --json out.json --model HASH",
    "decode": "decode in.aeth out.f32 --json out.json --model HASH",
    "info": "info CODEC --json out.json",
    "vocode": "vocode in.f32 out.wav --json out.json",
    "tx": "tx in.wav out.wav --json out.json",
    "rx": "rx in.wav out.wav --json out.json --picture out.png --rate 700",
    "onair": "onair in.wav out.wav --snr3k 9 --json out.json",
    "transmit": "transmit in.wav out.f32 --snr 9 --json out.json --picture out.png --model CODEC",
}
QUICK = ("features", "info", "encode", "onair")
CASES = [pytest.param(words, id=name, marks=() if name in QUICK else pytest.mark.slow)
         for name, words in COMMANDS.items()]  # fmt: skip


@pytest.fixture
def call(wav: Path, run: Callable, codec_file: Path, hash_file: Path) -> Callable:
    """A command line, whose inputs are there."""
    Path("in.f32").write_bytes(ROWS)
    assert run("encode", "in.wav", "in.aeth", "--model", hash_file).code == 0

    def called(words: str, *more: object) -> object:
        named = words.replace("CODEC", str(codec_file)).replace("HASH", str(hash_file))
        return run(*named.split(), *more)

    return called


@pytest.mark.parametrize("words", CASES)
def test_files_that_are_there_are_kept_and_with_force_their_mode_is(call: Callable, words: str) -> None:
    outputs = [Path(word) for word in words.split() if word.startswith("out.")]
    for path in outputs:
        path.write_bytes(b"precious")
        for mode in (0o600, 0o444):
            path.chmod(mode)
            assert f"{path}: is there already; add --force" in call(words).stated
        assert path.read_bytes() == b"precious"
        path.unlink()
    for path, mode in zip(outputs, (0o600, 0o640, 0o604), strict=False):
        path.write_bytes(b"old")
        path.chmod(mode)
    assert call(words, "-f").code == 0
    for path, mode in zip(outputs, (0o600, 0o640, 0o604), strict=False):
        assert path.read_bytes() != b"old"
        assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("words", CASES)
def test_inputs_are_no_outputs(call: Callable, codec_file: Path, words: str) -> None:
    source = next(word for word in words.split() if word.startswith("in.") or word == "CODEC")
    path = codec_file if source == "CODEC" else Path(source)
    before = path.read_bytes()
    for output in (word for word in words.split() if word.startswith("out.")):
        Path(output).symlink_to(path.absolute())
        assert "is an input too" in call(words, "--force").stated
        Path(output).unlink()
        os.link(path, output)
        assert "is an input too" in call(words, "--force").stated
        Path(output).unlink()
    assert path.read_bytes() == before


def test_two_outputs_in_one_file(call: Callable) -> None:
    Path("a.f32").write_bytes(b"old")
    os.link("a.f32", "a.json")
    for words in ("features in.wav a.f32 --json a.json -f", "features in.wav b.f32 --json=b.f32 -f"):
        assert "two results cannot go to one place" in call(words).stated
    assert Path("a.f32").read_bytes() == b"old"


def test_an_input_folder_is_read_by_its_files(call: Callable) -> None:
    Path("clips").mkdir()
    os.link("in.wav", "clips/a.wav")
    before = Path("in.wav").read_bytes()
    for output in ("clips/a.wav", "in.wav"):
        assert "is an input too" in call(f"prepare clips root --json={output} -f").stated
    assert "is an input too" in call("prepare clips clips").stated
    assert Path("in.wav").read_bytes() == before
    assert not Path("root").exists()


def test_prepare_keeps_pairs_that_it_has_not_made(call: Callable) -> None:
    Path("root").mkdir()
    Path("root/in.f32").write_bytes(b"precious")
    words = "prepare in.wav root --jobs 1"
    assert "root/in.f32: is there already, and not made by prepare" in call(words).stated
    assert Path("root/in.f32").read_bytes() == b"precious"
    assert call(words, "--force").code == 0
    assert call(words).code == 0
    Path("other").mkdir()
    Path("root/in.pcm").rename("other/in.pcm")
    assert "other/in.pcm: is an input too" in call("prepare other/in.pcm other --jobs 1 --force").stated


def test_folders_of_results(folder: Path) -> None:
    io.check_folder(Path("new"), {"a.md"}.__contains__, earlier=False, force=False)
    Path("d").mkdir()
    Path("d/a.md").touch()  # what a run that was killed at its start leaves
    io.check_folder(Path("d"), {"a.md"}.__contains__, earlier=False, force=False)
    Path("d/a.md").write_text("mine")
    Path("d/other").write_text("mine")
    with pytest.raises(AetherError, match=r"d/a\.md: is there already, and not of an earlier run; add --force"):
        io.check_folder(Path("d"), {"a.md"}.__contains__, earlier=False, force=False)
    io.check_folder(Path("d"), {"b.md"}.__contains__, earlier=False, force=False)
    io.check_folder(Path("d"), {"a.md"}.__contains__, earlier=True, force=False)
    Path("d/a.md").chmod(0o444)
    with pytest.raises(AetherError, match=r"d/a\.md: is read-only; add --force"):
        io.check_folder(Path("d"), {"a.md"}.__contains__, earlier=True, force=False)
    io.check_folder(Path("d"), {"a.md"}.__contains__, earlier=True, force=True)


@pytest.mark.slow
def test_a_demo_replaces_an_earlier_demo_alone(call: Callable) -> None:
    words = "demo -o d --quick --rate 300 --snr 10 --model CODEC -q"
    Path("d").mkdir()
    Path("d/table.md").write_text("mine")
    assert "d/table.md: is there already" in call(words).stated
    assert Path("d/table.md").read_text() == "mine"
    assert call(words, "-f").code == 0
    assert call(words).code == 0
    assert json.loads(Path("d/table.json").read_bytes())["rows"]


def test_the_folder_of_a_run(folder: Path) -> None:
    Path("file").write_text("x")
    Path("data").mkdir()
    for out, words in (("file", "is a file; give the name of a folder"), ("file/a/b", "Not a directory"),
                       ("data", "is an input too"), ("x" * 300, "cannot be made a folder")):  # fmt: skip
        with pytest.raises(AetherError, match=words):
            _check_folders([TrainConfig(out=out, data_root=["data"])])
    _check_folders([TrainConfig(out="runs/of/mine", data_root=["data"])])
    assert not Path("runs").exists()
    Path("priors").mkdir()
    _check_folders([PriorConfig(out="priors", data_root=["data"])])
    Path("priors/prior_a_300.safetensors").write_bytes(b"mine")
    with pytest.raises(AetherError, match=r"prior_a_300\.safetensors: is there already"):
        _check_folders([PriorConfig(out="priors", data_root=["data"])])
    Path("run").mkdir()
    Path("run/config.json").write_text("{}")
    with pytest.raises(AetherError, match=r"run/config\.json: is there already"):
        _check_folders([TrainConfig(out="run", data_root=["data"])])
    _check_folders([TrainConfig(out="run", data_root=["data"], force=True)])
    Path("run/config.json").write_text(json.dumps(TrainConfig().as_dict()))
    _check_folders([TrainConfig(out="run", data_root=["data"])])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_of_a_run_are_finite(value: float) -> None:
    for options in ({"snr_db": [value, 5.0]}, {"learning_rate": value}, {"channels": {"awgn": value}}):
        with pytest.raises(AetherError, match=f"{next(iter(options))}: "):
            TrainConfig(**options).check()
