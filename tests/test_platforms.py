"""What systems without POSIX need: every module imports, and files, locks and streams work without it."""

from __future__ import annotations

import builtins
import io
import pkgutil
import re
import signal
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import aether_lite
from aether_lite import files
from aether_lite.errors import AetherError
from aether_lite.files import atomic_folder, atomic_path, remove_partials
from aether_lite.lines import LineWriter
from aether_lite.parallel import interrupts_kept

ROOT = Path(__file__).parents[1]
POSIX = ("fcntl", "termios", "resource", "pwd", "grp", "pty", "tty", "curses", "readline", "syslog", "posix")
IMPORTS = f"""
import builtins, importlib, os, signal
real = builtins.__import__
def without(name, globals=None, locals=None, fromlist=(), level=0):
    if name.partition(".")[0] in {POSIX} and str((globals or {{}}).get("__name__", "")).startswith("aether_lite"):
        raise ImportError(name)
    return real(name, globals, locals, fromlist, level)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "pthread_sigmask"):
    vars(signal).pop(name, None)
for name in ("sched_getaffinity", "O_NOFOLLOW"):
    vars(os).pop(name, None)
builtins.__import__ = without
for name in NAMES:
    importlib.import_module(name)
"""


def test_every_module_imports_without_posix() -> None:
    names = [module.name for module in pkgutil.walk_packages(aether_lite.__path__, "aether_lite.")]
    assert len(names) > 100
    code = IMPORTS.replace("NAMES", repr(names))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """No fcntl; locks as those of Windows, by descriptor; the set of those that are taken."""
    taken: set[int] = set()

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1)
        if taken:
            raise PermissionError(13, "Permission denied")
        taken.add(descriptor)

    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> types.ModuleType:
        if name == "fcntl":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    module = types.ModuleType("msvcrt")
    module.__dict__.update(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(files, "WINDOWS", True)
    return taken


def test_files_and_locks_without_posix(tmp_path: Path, windows: set[int]) -> None:
    target = tmp_path / "a.txt"
    with atomic_path(target) as partial:
        partial.write_text("1")
    with atomic_path(target) as partial:
        left = partial
        partial.write_text("2")
    assert target.read_text() == "2"
    left.write_text("half")
    remove_partials(tmp_path)
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "file").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "file", "folder"]
    with LineWriter(tmp_path / "log.jsonl") as lines:
        lines.add({"step": 1})
        with pytest.raises(AetherError, match="another process"):
            LineWriter(tmp_path / "log.jsonl")
        lines.add({"step": 2})
    windows.clear()
    with LineWriter(tmp_path / "log.jsonl") as lines:
        lines.add({"step": 3})
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


def test_a_stream_without_posix_keeps_its_header(tmp_path: Path, windows: set[int]) -> None:
    from aether_lite.streaming.pipes import SpeechWriter, wav_header

    with (tmp_path / "a.wav").open("wb") as stream:
        SpeechWriter(stream).close([0.0, 0.0])  # type: ignore[arg-type]
    assert (tmp_path / "a.wav").read_bytes() == wav_header(0xFFFF_FFFF) + bytes(4)
    memory = io.BytesIO()
    SpeechWriter(memory).close([0.0])  # type: ignore[arg-type]
    assert len(memory.getvalue()) == 46


def test_interrupts_need_no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    with interrupts_kept():
        pass


def test_the_lowest_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for extra in project["optional-dependencies"].values() for line in extra]
    found = [re.match(r"(\w+)>=([\d.]+)", line) for line in (*optional, *project["dependencies"])]
    bounds = dict(match.groups() for match in found if match)
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    lowest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert lowest.keys() >= {re.split("[<>=]", line)[0] for line in project["dependencies"]}
    for name, version in lowest.items():
        assert re.fullmatch(rf"{re.escape(bounds[name])}(\.0)*", version), name


def test_archives_leave_out_folders_of_the_root_alone() -> None:
    """A pattern without the root's slash leaves out packages of the same name too."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["scikit-build"]
    assert [pattern for pattern in build["sdist"]["exclude"] if not pattern.startswith("/")] == []
