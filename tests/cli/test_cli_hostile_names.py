"""Every command with names that are long, no text, no formula, or lead nowhere: it works, or says so in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from stream_runs import fake_device

from aether_lite.audio import write_audio
from aether_lite.features import write_f32

LATIN = os.fsdecode(b"caf\xe9")
WORKING = {
    "formula": r"$\frac{x$ $$ 5$",
    "no UTF-8": LATIN,
    "other script": "\u97f3\u58f0",
    "line break": "a\nb",
    "escape": "\x1b[31mred",
    "markup": "[bold]x {0} %s",
    "230 bytes": "x" * 215,
    "255 bytes": "\u00e9" * 120 + "yyyyyyyy",
}
REFUSED = {"too long": "z" * 256, "loop": "loop"}
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    # command and options; NAME is the hostile name, which is given the suffixes of outputs here
    "features": ("features in.wav NAME.f32 --json JSON", ("NAME.f32", "JSON")),
    "features of": ("features NAME.wav out.f32 --json out.json", ("out.f32", "out.json")),
    "encode": ("encode in.wav NAME.aeth --json JSON --model HASH", ("NAME.aeth", "JSON")),
    "decode": ("decode in.aeth NAME.f32 --json JSON --model HASH", ("NAME.f32", "JSON")),
    "info": ("info CODEC --json JSON", ("JSON",)),
    "vocode": ("vocode in.f32 NAME.wav --json JSON", ("NAME.wav", "JSON")),
    "transmit": ("transmit in.wav NAME.f32 --snr 9 --json JSON --picture NAME.png --model CODEC",
                 ("NAME.f32", "JSON", "NAME.png")),
    "transmit of": ("transmit NAME.wav out.wav --snr 9 --json - --picture out.svg --model CODEC",
                    ("out.wav", "out.svg")),
    "tx": ("tx in.wav NAME.wav --json JSON", ("NAME.wav", "JSON")),
    "rx": ("rx in.wav NAME.f32 --json JSON --picture NAME.png --rate 700", ("NAME.f32", "JSON", "NAME.png")),
    "onair": ("onair in.wav NAME.wav --channel mpp --json JSON", ("NAME.wav", "JSON")),
    "prepare": ("prepare in.wav NAME.d --json JSON --jobs 1", ("NAME.d/in.f32", "JSON")),
    "prepare of": ("prepare NAME.wav out --json out.json --jobs 1", ("out/prepare.jsonl", "out.json")),
    "check": ("check pairs --json JSON --jobs 1", ("JSON",)),
    "demo": ("demo -o NAME.d --json JSON --quick --rate 300 --snr 10 --model CODEC", ("NAME.d/table.md", "JSON")),
    "bench": ("bench clips -o NAME.d --json JSON --system uncoded --rate 300 --snr 10 --channel awgn --jobs 1 "
              "--audio-clips 0", ("NAME.d/report.html", "JSON")),
    "bench of": ("bench NAME.d -o out --json out.json --system uncoded --rate 300 --snr 10 --channel awgn --jobs 1 "
                 "--audio-clips 1 --audio-conditions 1", ("out/report.html", "out/results.csv")),
    "stream": ("stream --encode --model NAME.safetensors --rate 300", ()),
    "live": ("live --snr 9 --model NAME.safetensors", ()),
    "train": ("train --data_root NAME.d --out NAME.run --preset tiny --steps 1 --batch 2 --warmup 0 --frames 48 "
              "--audio_frames 24 --lambda_wave 0 --lambda_adv 0 --estoi_clips 0",
              ("NAME.run/log.jsonl", "NAME.run/config.json")),
    "export": ("export NAME.d --json JSON --model CODEC", ("NAME.d/manifest.json", "JSON")),
}  # fmt: skip
QUICK = ("features", "features of", "encode", "info", "onair")


def cased(command: str, kinds: dict[str, str]) -> list[object]:
    marks = () if command in QUICK else (pytest.mark.slow,)
    return [pytest.param(command, kind, marks=marks, id=f"{command}-{kind}") for kind in kinds]


def arguments(command: str, name: str, codec: Path, hashed: Path) -> tuple[list[str], list[Path]]:
    """The command line of a row of the table, and the files that it writes."""
    line, outputs = COMMANDS[command]
    table = {"CODEC": str(codec), "HASH": str(hashed), "JSON": f"{name}.json"}

    def filled(word: str) -> str:
        return table.get(word, word).replace("NAME", name)

    return [filled(word) for word in line.split()], [Path(filled(word)) for word in outputs]


@pytest.fixture
def inputs(
    folder: Path, wav: Path, run: Callable, hash_file: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What commands read here: ``in.wav``, ``in.f32``, ``in.aeth``, pairs and clips, standard input, a microphone."""
    monkeypatch.setitem(sys.modules, "sounddevice", fake_device(speech[0, :8_000]))
    write_f32("in.f32", np.zeros((8, 36)))
    for name in ("pairs", "clips"):
        Path(name).mkdir()
        (Path(name) / "a.wav").write_bytes(wav.read_bytes())
    assert run("encode", wav, "in.aeth", "--model", hash_file).code == 0
    with wav.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield


@pytest.mark.parametrize(("command", "kind"), [case for name in COMMANDS for case in cased(name, WORKING)])
def test_names_that_work(
    inputs: None, run: Callable, codec_file: Path, hash_file: Path, speech: np.ndarray, command: str, kind: str
) -> None:
    if command == "export":
        pytest.importorskip("onnx")
    name = WORKING[kind]
    if command.endswith(" of"):
        write_audio(f"{name}.wav", speech[0, :16_000])
        Path(f"{name}.d").mkdir()
        write_audio(Path(f"{name}.d") / f"{name}.wav", speech[0, :16_000])
    if command in ("stream", "live"):
        name = name.removesuffix("yyyyy")  # the suffix is longer than that of other files
        Path(f"{name}.safetensors").write_bytes(codec_file.read_bytes())
    if command == "train":
        for number, samples in enumerate((*speech, speech[0, ::-1])):
            write_audio(f"clips/{number}.wav", samples)
        assert run("prepare", "clips", f"{name}.d", "--jobs", 1).code == 0
    if command == "check":
        assert run("prepare", "in.wav", "pairs", "--jobs", 1).code == 0
    words, outputs = arguments(command, name, codec_file, hash_file)
    result = run(*words)
    assert "Traceback" not in result.err
    assert result.code == 0, result.err
    assert [path for path in outputs if not path.exists()] == []
    assert list(Path.cwd().rglob("*partial*")) == []
    for path in outputs:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
    if command == "transmit of":
        assert json.loads(result.out)["input"] == f"{name}.wav"


@pytest.mark.parametrize(("command", "kind"), [case for name in COMMANDS for case in cased(name, REFUSED)])
def test_names_that_lead_nowhere(
    inputs: None, run: Callable, codec_file: Path, hash_file: Path, command: str, kind: str
) -> None:
    for suffix in ("wav", "f32", "aeth", "json", "png", "d", "run", "safetensors"):
        Path(f"loop.{suffix}").symlink_to(f"loop.{suffix}")
    words, _ = arguments(command, REFUSED[kind], codec_file, hash_file)
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    assert REFUSED[kind] in run(*words).stated
    assert {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()} == before


PROGRAM = (sys.executable, "-m", "aether_lite.cli.main")


@pytest.mark.slow
@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
@pytest.mark.parametrize(
    "words",
    ["info", "info --json -", "--version", "encode in.wav - --model HASH", "transmit in.wav - --snr 9 --model CODEC",
     "features in.wav out.f32 --json -", "decode in.aeth - --model HASH", "check pairs",
     "stream --encode --model CODEC < in.wav", "stream --decode --rate 300 --no-header --model CODEC < in.f32"],
)  # fmt: skip
def test_full_and_closed_output(
    inputs: None, run: Callable, codec_file: Path, hash_file: Path, words: str, redirected: str
) -> None:
    if words == "check pairs":
        assert run("prepare", "in.wav", "pairs", "--jobs", 1).code == 0
    line = words.replace("CODEC", str(codec_file)).replace("HASH", str(hash_file))
    command = f"{' '.join(PROGRAM)} {line} {redirected}"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("aether-lite: standard output: ")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", ["stream --encode", "encode - out.aeth", "decode - out.wav", "features - out.f32"])
@pytest.mark.parametrize(("given", "says"), [("<&-", "is closed"), ("0>out", "cannot be read (Bad file descriptor)")])
def test_closed_input(folder: Path, words: str, given: str, says: str) -> None:
    command = f"{' '.join(PROGRAM)} {words} {given} | cat >got"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, text=True)
    assert done.stderr == f"aether-lite: standard input: {says}; give it a file or a pipe\n"
    assert not any(Path().glob("out.*"))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_on_a_stream_of_any_encoding(folder: Path, speech: np.ndarray, encoding: str) -> None:
    name = f"caf\u00e9 {LATIN} \u97f3.wav"
    write_audio(name, speech[0, :4000])
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = subprocess.run([*PROGRAM, "features", name, "out.f32", "--json", "-"], env=environment, capture_output=True,
                          check=True)  # fmt: skip
    assert json.loads(done.stdout)["input"] == name
