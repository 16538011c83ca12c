"""What the commands read, write and print: files checked before the work begins, summaries, progress."""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.features.layout import Float32

STANDARD = "-"  # standard input or output
SAMPLE_RATE = 16_000  # [Hz]; of the features' layout, whose import takes a second
FEATURES = ".f32"
AUDIO_OUT = (".wav", ".flac", ".ogg", ".pcm")
PICTURES = (".png", ".pdf", ".svg")
FOLDER, IN_FOLDER = ("/",), ("/*",)  # instead of suffixes: a folder, or a file in one that is made later
ANYBODY_WRITES = 0o222
Place = tuple[int, int] | str  # device and inode, or a path


def suffix_of(path: str | Path) -> str:
    """Suffix in lower case; that of a wav for standard input and output."""
    return ".wav" if path == STANDARD else Path(path).suffix.lower()


def check_outputs(
    *outputs: tuple[str | Path | None, Iterable[str] | None],
    inputs: Iterable[str | Path | None] = (),
    force: bool = False,
) -> None:
    """The one rule for what commands write, applied before any work.

    No output is an input or another output, also by links; a file that is there already is kept unless ``force``; what
    could not be written in the end is refused.

    Args:
        outputs: files to be written later, None for one that is not, each with the suffixes allowed, None for any.
            They are left as they are; ``-`` and devices pass. With :data:`FOLDER` for its suffixes it is a folder,
            which may be there, and with :data:`IN_FOLDER` a file in one: :func:`check_folder` judges what it holds.
        inputs: files and folders that are read, ``-`` for standard input; what is not there, such as the name of
            released weights, is passed over.
        force: whether files that are there are replaced.

    Raises:
        AetherError: a place given twice, another suffix, a file that is there already, or a folder that is missing or
            not writable.
    """
    seen: set[Place] = set()
    sources = [path for path in inputs if path is not None]
    read = {_place(path, 0) for path in sources}
    for path, suffixes in outputs:
        if path is None:
            continue
        place, name = _place(path, 1), "standard output" if path == STANDARD else path
        if place in seen:
            raise AetherError(f"{name}: two results cannot go to one place; give different names")
        if isinstance(place, tuple) and (
            place in read or (suffixes not in (FOLDER, IN_FOLDER) and _is_below(place, path, sources))
        ):
            raise AetherError(f"{name}: is an input too and would be overwritten; give another name for the output")
        seen.add(place)
        if suffixes == FOLDER:
            _check_place_of_folder(Path(path))
        if suffixes in (FOLDER, IN_FOLDER):
            continue
        if suffixes is not None and suffix_of(path) not in suffixes:
            raise AetherError(f"{path}: unknown suffix {suffix_of(path)!r} for output; give {', '.join(suffixes)}")
        if path != STANDARD:
            _rehearse(path)
            if isinstance(place, tuple) and not force:
                raise AetherError(f"{path}: is there already; add --force to replace it, or give another name")


def check_folder(folder: Path, own: Callable[[str], bool], earlier: bool, force: bool) -> None:
    """Refuse a folder of results in which files would be lost.

    Files of an earlier run are replaced, as documented for the command, unless they are read-only. Files of the same
    names that no earlier run has made are kept; an empty one holds nothing.

    Args:
        folder: where results are written to, file by file; it need not be there.
        own: whether a name in it is one that the command gives.
        earlier: whether the folder bears the mark of an earlier run.
        force: whether all is replaced.

    Raises:
        AetherError: names the file that would be lost.
    """
    if force or not folder.is_dir():
        return
    for path in sorted(path for path in folder.iterdir() if own(path.name)):
        for file in (path, *(sorted(path.iterdir()) if path.is_dir() else ())):
            if not earlier and not (file.is_file() and file.stat().st_size == 0):  # as of a run killed at its start
                raise AetherError(f"{file}: is there already, and not of an earlier run; add --force to replace it, or "
                                  "give another folder")  # fmt: skip
            if not file.is_symlink() and not file.stat().st_mode & ANYBODY_WRITES:
                raise AetherError(f"{file}: is read-only; add --force to replace it, or give another folder")


def is_record(path: Path, *keys: str) -> bool:
    """Whether a file is a JSON object with these keys, by which a command knows what an earlier run has written."""
    try:
        return set(keys) <= set(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _check_place_of_folder(folder: Path) -> None:
    """Refuse a folder that could not be made or filled."""
    above = target = Path(os.path.realpath(folder))
    mode = None
    try:
        while mode is None:
            try:
                mode = above.stat().st_mode
            except FileNotFoundError:
                above = above.parent
    except OSError as error:  # a name too long, a loop of links, a file among the folders
        raise AetherError(f"{folder}: cannot be made a folder ({error.strerror})") from error
    if not stat.S_ISDIR(mode):
        where = "is" if above == target else f"{above} is"
        raise AetherError(f"{folder}: {where} a file; give the name of a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise AetherError(f"{folder}: cannot be made a folder or written to (no permission in {above})")


def _is_below(place: Place, path: str | Path, sources: Iterable[str | Path]) -> bool:
    """Whether a file that is there is one of those that a command reads in the folders among its inputs."""
    folders = [Path(source) for source in sources if source != STANDARD and Path(source).is_dir()]
    if path == STANDARD or suffix_of(path) == ".json":
        return False
    return any(_place(file, 0) == place for folder in folders for file in folder.rglob("*"))


def _place(path: str | Path, descriptor: int) -> Place:
    """Where a name leads: device and inode of a file or folder that is there, through links; else the path meant.

    ``-`` is the file at the standard stream of this descriptor, where it is one.
    """
    try:
        found = os.fstat((sys.stdin, sys.stdout)[descriptor].fileno()) if path == STANDARD else Path(path).stat()
    except (OSError, ValueError):  # not there; a stream without a descriptor
        found = None
    if found is not None and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return found.st_dev, found.st_ino
    return STANDARD if path == STANDARD else os.path.realpath(path)


def check_input(path: str) -> None:
    """Refuse a file that is not there, before options are judged."""
    if path != STANDARD and not Path(path).exists():
        raise AetherError(f"{path}: no such file")


def _rehearse(path: str | Path) -> None:
    """Raise what writing the file would raise."""
    try:
        with atomic_path(path):
            raise _RehearsalError
    except _RehearsalError:
        pass


class _RehearsalError(Exception):
    """Ends a trial of writing; the temporary file is then removed."""


def read_features(path: str) -> Float32:
    """Rows ``[F, 36]`` of a feature file.

    Raises:
        AetherError: it cannot be read, or is not a feature file.
    """
    from aether_lite.features import read_f32

    try:
        return read_f32(path)
    except OSError as error:  # a folder, or no permission
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error


def write_json(path: str | None, record: dict[str, Any]) -> None:
    """Write a record as JSON, ``-`` for standard output, None for nowhere; what is not a number becomes null."""
    if path is None:
        return
    ascii_only = path == STANDARD and codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    text = json.dumps(_plain(record), indent=2, allow_nan=False, ensure_ascii=ascii_only) + "\n"
    if path == STANDARD:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_text(path, text)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        AetherError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def console(quiet: bool = False) -> Console:
    """Standard error, for progress and summaries; text is printed as it is (a folder may be called "[bold]")."""
    from rich.console import Console

    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True, markup=False)


def results(quiet: bool = False, json: str | None = None) -> Console:
    """Standard output, for results in words; standard error where JSON goes to standard output."""
    from rich.console import Console

    return Console(stderr=json == STANDARD, quiet=quiet, highlight=False, soft_wrap=True, markup=False)


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number for a table, ``-`` where it is not defined."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}{f' {unit}' if unit else ''}"


def summary(out: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Two columns, what and how much."""
    from rich.text import Text

    width = max(len(name) for name, _ in rows)
    out.print(Text(title, style="bold"))
    for name, value in rows:
        out.print(Text.assemble((f"{name:<{width}}  ", "dim"), value))


@dataclass(frozen=True)
class Steps:
    """Reports progress: ``begin`` names a step, ``advance`` tells how much of its ``total`` is done."""

    begin: Callable[[str], None]
    advance: Callable[[int, int], None]


@contextmanager
def steps(out: Console) -> Iterator[Steps]:
    """A progress bar for the steps of a job, gone when they are done; nothing off a terminal."""
    if not out.is_terminal or out.quiet:
        yield Steps(lambda step: None, lambda done, total: None)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description:<16}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=out, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield Steps(
            lambda step: bar.update(task, description=step, total=None, completed=0),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
