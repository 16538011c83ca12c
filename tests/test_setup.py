"""`make` sets an environment up whatever pip's index holds: with a stand-in for pip, nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CPU_BUILD = "torch==2.13.0+cpu"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def set_up(
    folder: Path, index_has_cpu_build: bool, index_has_torch: bool = True, target: str = ".venv/.dev"
) -> tuple[int, str, list[str]]:
    """Exit code and output of `make` for an environment with a stand-in for pip, and what pip was asked for."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    refused = [] if index_has_cpu_build else ["*+cpu*"]
    refused += [] if index_has_torch else ["*torch*"]
    cases = "\n".join(f'case "$*" in {name}) echo "no matching distribution" >&2; exit 1;; esac' for name in refused)
    python.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/calls"\n{cases}\n')
    python.chmod(0o755)
    command = ["make", f"PYTHON={sys.executable}", target]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(), check=False)
    return run.returncode, run.stdout + run.stderr, (folder / "calls").read_text().splitlines()


def environment() -> dict[str, str]:
    """This process's environment without what an outer `make` leaves in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def test_the_cpu_build_is_taken_where_an_index_has_it(tmp_path: Path) -> None:
    code, output, calls = set_up(tmp_path, index_has_cpu_build=True)
    assert code == 0
    assert CPU_BUILD in calls[0]
    assert [call for call in calls if call.endswith(" torch")] == []
    assert "NVIDIA" not in output


def test_pypi_as_the_only_index_is_enough(tmp_path: Path) -> None:
    code, output, calls = set_up(tmp_path, index_has_cpu_build=False)
    assert code == 0
    assert calls[1].endswith("-c constraints.txt torch")
    assert calls[2].endswith("-e .[dev]")
    assert "several GB" in output
    assert "PIP_EXTRA_INDEX_URL=" in output
    assert (tmp_path / ".venv" / ".dev").exists()


def test_an_index_without_torch_stops(tmp_path: Path) -> None:
    code, output, _ = set_up(tmp_path, index_has_cpu_build=False, index_has_torch=False)
    assert code != 0
    assert "no matching distribution" in output
    assert not (tmp_path / ".venv" / ".dev").exists()


def test_the_demo_installs_no_torch(tmp_path: Path) -> None:
    code, _, calls = set_up(tmp_path, index_has_cpu_build=True, target=".venv/.demo")
    assert code == 0
    assert calls[-1].endswith("-e .[demo]")
    assert not [call for call in calls if "torch" in call]


def test_the_pin_fits_both_builds() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    assert pins == [CPU_BUILD.removesuffix("+cpu")]


def test_demo_ends_with_what_to_type_next() -> None:
    command = ["make", "-n", "demo", "DEMO_ARGS="]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=True)
    after = shown.stdout.rpartition("aether-lite demo \n")[2]
    assert after.index(". .venv/bin/activate") < after.index("aether-lite demo --quick") < after.index("aether-lite -h")
