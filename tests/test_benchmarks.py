"""The benchmarks of streams run with the released codec; what they measure is not judged here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
BUNDLED = Path(__file__).parents[1] / "src" / "aether_lite" / "assets" / "samples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (("realtime.py", "--minutes", "0.05", "--threads", "1"), ["1"]),
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c2enc") is None, reason="Debian's package codec2 is not installed")
def test_conditions_prints_a_figure_of_every_system_for_every_input() -> None:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "conditions.py"), "--clips", "1", "--seconds", "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    for name in ("as recorded", "300-3400 Hz", "8 kHz mu-law", "noise at 20 dB", "noise at 10 dB", "reverberant, 0.5 s",
                 "far field", "clipped at 1/4"):  # fmt: skip
        estoi, features = re.findall(rf"^\| {name} \| (.*) \|$", ran.stdout, re.MULTILINE)
        assert all(0 < float(figure) < 1 for figure in estoi.split(" | ")[:4])
        assert all(float(figure) >= 0 for figure in features.split(" | "))


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "empty"
    wrong.mkdir()
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "bit_flips.py"), str(wrong)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"bit_flips: {wrong}: ")
    assert ran.stderr.count("\n") == 1


def test_speech_passes_few_files() -> None:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "hops.py")], capture_output=True, text=True, check=True, timeout=300
    )
    files = {name: int(count) for name, count in re.findall(r"^(\S.*?) {2,}(\d+) +\d+$", ran.stdout, re.MULTILINE)}
    assert 5 < files["1 s by the library"] <= 10
    assert 10 < files["1 s by the command"] <= 25
    assert 5 < files["a token of a stream"] <= 10


def test_texts_of_mutations_are_still_in_the_package() -> None:
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "mutations.py"), "--list"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n") > 40
