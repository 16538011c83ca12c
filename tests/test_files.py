"""Files written whole or not at all: kills, full disks, two writers, locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aether_lite.errors import AetherError
from aether_lite.files import atomic_folder, atomic_path, remove_partials
from aether_lite.lines import LineWriter, read_lines

WRITER = """
import sys
from pathlib import Path
from aether_lite.files import atomic_folder, atomic_path
from aether_lite.lines import LineWriter
kind, name = sys.argv[1:]
if kind == "lines":
    lines = LineWriter(Path(name))
    print("open", flush=True)
    sys.stdin.read()
with (atomic_folder if kind == "folder" else atomic_path)(Path(name)) as partial:
    (partial / "part" if kind == "folder" else partial).write_text("half")
    print("open", flush=True)
    sys.stdin.read()
"""


class Writer(subprocess.Popen):  # type: ignore[type-arg]
    """Another process that has written a half of a file, or holds one open."""

    def __init__(self, kind: str, path: Path) -> None:
        command = [sys.executable, "-c", WRITER, kind, str(path)]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.stdout is not None
        assert self.stdout.readline() == "open\n"

    def end(self, number: int = signal.SIGKILL) -> None:
        self.send_signal(number)
        self.communicate()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["a.wav", "no suffix", "a" * 251 + ".wav", "\u00e4" * 120 + ".f32", ".hidden"])
def test_what_a_kill_left_goes_when_the_file_is_written_again(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_text("old")
    Writer("file", target).end()
    left = names(tmp_path)
    assert len(left) == 2
    assert target.read_text() == "old"
    with atomic_path(target) as partial:
        assert partial.name in left
        assert partial.suffix == (target.suffix or ".partial")
        partial.write_text("new")
    assert names(tmp_path) == [name]
    assert target.read_text() == "new"


def test_what_a_kill_left_of_a_folder_goes_when_it_is_made_again(tmp_path: Path) -> None:
    Writer("folder", tmp_path / "onnx").end()
    assert len(names(tmp_path)) == 1
    with atomic_folder(tmp_path / "onnx") as partial:
        (partial / "whole").touch()
    assert names(tmp_path) == ["onnx"]
    assert names(tmp_path / "onnx") == ["whole"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_two_may_write_one_name_at_once(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    other = Writer(kind, target)
    remove_partials(tmp_path)  # of another: stays
    assert len(names(tmp_path)) == 1
    with (atomic_folder if kind == "folder" else atomic_path)(target) as partial:
        assert len(names(tmp_path)) == 2
        (partial / "part" if kind == "folder" else partial).write_text("mine")
    other.end()
    assert "out" in names(tmp_path)
    remove_partials(tmp_path, {"other"})
    assert len(names(tmp_path)) == 2
    remove_partials(tmp_path, {"out"})
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits the size of files")
def test_a_full_disk_is_one_line_whatever_the_writer_says(tmp_path: Path) -> None:
    import resource

    def write(partial: Path) -> None:
        try:
            partial.write_bytes(bytes(1 << 16))
        except OSError as error:
            raise RuntimeError("unexpected pos 64 vs 0") from error

    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, before[1]))
    try:
        with pytest.raises(AetherError, match=r"a\.pth: cannot be written, the disk is full"):  # noqa: SIM117
            with atomic_path(tmp_path / "a.pth") as partial:
                write(partial)
        with LineWriter(tmp_path / "log.jsonl") as lines, pytest.raises(AetherError, match="the disk is full"):
            lines.add({"text": "x" * (1 << 13)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert names(tmp_path) == ["log.jsonl"]
    with LineWriter(tmp_path / "log.jsonl") as lines:
        lines.add({"step": 1})
    assert list(read_lines(tmp_path / "log.jsonl")) == [{"step": 1}]


def test_an_error_with_room_on_the_disk_passes_unchanged(tmp_path: Path) -> None:
    for error in (RuntimeError("unexpected pos"), OSError(errno.EIO, "Input/output error")):
        with pytest.raises(type(error)) as caught, atomic_path(tmp_path / "a.pth"):
            raise error
        assert caught.value is error
    assert names(tmp_path) == []


def test_lines_have_one_writer_and_a_killed_one_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    other = Writer("lines", path)
    with pytest.raises(AetherError, match=f"^{tmp_path}: another process is writing log.jsonl there"):
        LineWriter(path)
    other.end()
    with LineWriter(path) as lines:
        lines.add({"step": 1})


@pytest.mark.parametrize(
    "cut", [b'{"step": 2, "to', b"\x00" * 40, b'{"step": "\xff', b"[1]", b"{" * 100_000, b"[" * 100_000, b"\xff\xfe"]
)
def test_a_cut_line_is_passed_over_and_the_next_begins_afresh(tmp_path: Path, cut: bytes) -> None:
    path, strange = tmp_path / "log.jsonl", "one\u2028line \udcff"
    path.write_bytes(b'{"step": 1}\n' + cut)
    with LineWriter(path) as lines:
        lines.add({"step": 2, "name": strange})
    assert list(read_lines(path)) == [{"step": 1}, {"step": 2, "name": strange}]
