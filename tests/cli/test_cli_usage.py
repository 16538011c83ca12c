"""Usage of every command: ``-h``, unknown options, missing files, former names, lists, names in any case, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

from aether_lite import __version__, zoo
from aether_lite.cli.main import app

EXTRAS = {"live": "sounddevice", "export": "onnxscript"}
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": ("--model", "missing.safetensors"),
    "transmit": ("missing.wav", "out.wav", "--snr", "3"),
    "stream": ("--encode", "--model", "missing.safetensors"),
    "tx": ("missing.wav", "out.wav"),
    "rx": ("missing.wav", "out.wav"),
    "onair": ("missing.wav", "out.wav"),
    "live": ("--snr", "3", "--model", "missing.safetensors"),
    "web": ("missing",),
    "bench": ("missing",),
    "encode": ("missing.wav", "out.aeth"),
    "decode": ("missing.aeth", "out.wav"),
    "features": ("missing.wav", "out.f32"),
    "vocode": ("missing.f32", "out.wav"),
    "info": ("missing.safetensors",),
    "export": ("out", "--model", "missing.safetensors"),
    "prepare": ("missing", "data"),
    "check": ("missing",),
    "train": ("--data-root", "missing"),
    "train-vocoder": ("missing",),
    "train-mel-predictor": ("--data-root", "missing"),
    "train-prior": ("--codec", "missing.safetensors", "--data-root", "missing"),
}
"""Every command, and arguments that name a file which is not there."""
QUIET = ("demo", "transmit", "live", "web", "bench", "tx", "rx", "onair", "encode", "decode", "features", "vocode",
         "info", "export", "prepare", "check")  # fmt: skip
WITH_JSON = tuple(name for name in QUIET if name not in ("live", "web"))


def test_the_table_holds_every_command() -> None:
    group: Any = typer.main.get_command(app)
    assert set(group.commands) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_unknown_option_and_missing_file(run: Callable[..., Any], folder: Path, command: str) -> None:
    shown = run(command, "-h")
    assert (shown.code, shown.err) == (0, "")
    assert "usage" in shown.out.lower()
    assert "<bool>" not in shown.out
    unknown = run(command, "--colour", "red")
    assert (unknown.code, unknown.out) == (2, "")
    assert "Usage: " in unknown.err
    assert f"Try 'aether-lite {command} -h' for help." in unknown.err
    assert "--colour" in unknown.err
    name = next(word for word in COMMANDS[command] if word.startswith("missing"))
    try:
        import_module(EXTRAS.get(command, "aether_lite"))
    except (ImportError, OSError):  # the package, or the system's library that it is for
        return
    assert name in run(command, *COMMANDS[command]).stated
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", QUIET)
def test_quiet_and_json_where_they_make_sense(run: Callable[..., Any], command: str) -> None:
    shown = run(command, "--help").out
    assert "--quiet" in shown
    assert ("--json" in shown) == (command in WITH_JSON)


def test_version_and_completion(run: Callable[..., Any]) -> None:
    for option in ("-V", "--version"):
        assert run(option).out == f"aether-lite {__version__}\n"
    assert "--install-completion" in run("-h").out


def test_verbose_shows_where_an_error_arose(run: Callable[..., Any], folder: Path) -> None:
    for arguments in (("-v", "info", "missing.safetensors"), ("info", "missing.safetensors", "--verbose")):
        shown = run(*arguments)
        assert shown.code == 1
        assert "Traceback" in shown.err
        assert shown.err.splitlines()[-1].startswith("aether-lite: missing.safetensors: no such codec file")


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("prepare", "missing", "data", "--no-strict"), "--no-strict is the default"),
        (("stream", "--encode", "--mute", "--model", "missing"), "--mute is the default"),
        (("demo", "--out", "made", "--model", "missing"), "--out is now --output"),
        (("demo", "--rates", "300", "--model", "missing"), "--rates is now --rate"),
        (("vocode", "missing.f32", "out.wav", "--fargan_ckpt", "missing.pth"), "--fargan-ckpt is now --vocoder"),
        (("transmit", "missing.wav", "out.wav", "--snr", 3, "--csi", "Exact"), "exact is now perfect"),
        (("train-ear", "--data-root", "missing"), "train-ear is now train-mel-predictor"),
    ],
)
def test_former_names_are_taken_with_one_note(
    run: Callable[..., Any], folder: Path, arguments: tuple[object, ...], note: str
) -> None:
    shown = run(*arguments)
    assert shown.code == 1, shown.err
    noted, stated = shown.err.splitlines()
    assert noted == f"aether-lite: {note}; the old name goes in 0.3"
    assert "missing" in stated


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tx", "", "out.wav"), "an argument is empty"),
        (("prepare", "in.wav", ""), "an argument is empty"),  # not the current folder
        (("features", "in.wav", "out.f32", "--json", ""), "an argument is empty"),
        (("train", "--out", ""), "an argument is empty"),
        (("rx", "in.wav", "out.wav", "--model", ""), "'--model': is empty"),
        (("onair", "in.wav", "out.wav", "--channel="), "'--channel': is empty"),
    ],
)
def test_empty_words_are_refused(run: Callable[..., Any], folder: Path, words: tuple[str, ...], says: str) -> None:
    assert says in run(*words).misused
    assert list(folder.iterdir()) == []


def test_an_option_that_is_empty_by_default_may_be_given_so(run: Callable[..., Any], folder: Path) -> None:
    for words in (("--callsign", ""), ("--callsign=",)):
        assert "missing.wav: no such file" in run("tx", "missing.wav", "out.wav", *words).stated


def test_options_may_be_written_with_underscores(run: Callable[..., Any], folder: Path) -> None:
    shown = run("prepare", "missing", "data", "--min_seconds", 1, "--valid_root", "valid", "--valid_share=0.5")
    assert "missing" in shown.stated


def test_lists_are_separated_by_commas_or_repeated_and_names_are_in_any_case(
    run: Callable[..., Any], folder: Path
) -> None:
    for rates in (("--rate", "300,250"), ("--rate", 300, "--rate", 250)):
        for command in ("demo", "bench"):
            assert "rate 250 uses/s is not one of" in run(command, *rates, "--channel", "AWGN").stated
    assert "holds no speech" in run("bench", ".", "--system", "Uncoded,CODEC-small", "--without", "WER").stated
    assert "[" not in run("info", "SMALL", "--quiet").err
    assert run("demo", "--rate", "fast").misused.endswith("'fast' is not a list of numbers such as 0,6,10")
    assert "is not a list of numbers" in run("train-prior", "--bitrate", "300,fast").err


def test_json_goes_to_a_file_or_to_standard_output(run: Callable[..., Any], codec_file: Path, folder: Path) -> None:
    record = json.loads(run("info", codec_file, "--json").out)
    assert json.loads(run("info", "--json", "-", codec_file).out) == record
    assert run("info", "--json", codec_file, "--quiet").code == 0
    shown = run("info", codec_file, "--json", "info.json")
    assert json.loads((folder / "info.json").read_text()) == record
    assert "latency" in shown.out


def test_info_has_no_dictionaries(run: Callable[..., Any]) -> None:
    shown = run("info", "base")
    assert not re.search(r"[{}]", shown.out)
    for label in ("data ", "commit ", "started from ", "averaged with ", "training options "):
        assert any(line.startswith(label) for line in shown.out.splitlines()), label


@pytest.mark.parametrize("weights", zoo.RELEASED, ids=lambda weights: weights.name)
def test_info_shows_every_released_weight(run: Callable[..., Any], weights: zoo.Weights) -> None:
    described = json.loads(run("info", weights.name, "--json").out)["model"]
    assert (described["sha256"], described["version"]) == (weights.sha256, weights.version)
    assert described["bytes"] == weights.path.stat().st_size
    assert described["parameters"]["total"] > 1000
    assert len(described["provenance"]["commit"]) >= 7
    shown = run("info", weights.name).out
    assert not re.search(r"[{}]", shown)
    for label in ("kind ", "version ", "size ", "sha256 ", "parameters", "commit "):
        assert any(line.startswith(label) for line in shown.splitlines()), label


def test_files_and_names_of_another_kind_are_named_as_written(run: Callable[..., Any], folder: Path) -> None:
    (folder / "in.wav").write_bytes(b"RIFF" + bytes(60))
    expected = "in.wav: not weights or bits by its name; give .safetensors, .pth (codec), .aeth (bits) or a binary"
    assert expected in run("info", "in.wav").stated
    assert "in.wav: not a codec file of this project (give .safetensors or .pth)" in run(
        "encode", "in.wav", "out.aeth", "--model", "in.wav"
    ).stated
    stated = run("encode", "in.wav", "out.aeth", "--model", "small").stated
    assert stated.startswith("aether-lite: small: is a codec of symbols, and not a hash codec")
    assert "use vocoder='fargan' / --vocoder fargan" in run("encode", "in.wav", "out.aeth", "--model", "fargan").stated
