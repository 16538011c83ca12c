"""Every file that is read, changed at random or on purpose, is read or refused in one line: nothing else comes out."""

from __future__ import annotations

import contextlib
import io
import random
import resource
import shutil
from pathlib import Path

import pytest

from aether_lite.codec import SpiCodec
from aether_lite.errors import AetherError
from file_mutations import Kind, changed_bytes, valid_files

MEMORY = 600 << 20  # bytes that all readings together may add; a claim believed takes gigabytes


def outcomes(kind: Kind, folder: Path, seeds: range) -> tuple[int, list[str]]:
    """How many changed files were refused, and what else came out than a stated error."""
    target, original = folder / kind.path.name, kind.path.read_bytes()
    refused, wrong = 0, []
    for seed in seeds:
        rng = random.Random(f"{kind.name} {seed}")
        change = kind.change if kind.change is not None and rng.random() < 0.6 else changed_bytes
        target.write_bytes(change(original, rng))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                kind.load(target)
        except AetherError as error:
            refused += 1
            line = str(error)
            if "\n" in line or len(line) > 2000 or str(folder) not in line:
                wrong.append(f"{kind.name} {seed}: the message {line[:200]!r} is not one line that names the file")
        except SystemExit as end:
            if end.code != 2:  # an option that has been removed
                wrong.append(f"{kind.name} {seed}: exit {end.code}")
        except BaseException as error:  # panics of Rust are no Exception, and are what is looked for
            wrong.append(f"{kind.name} {seed}: {type(error).__name__}: {str(error)[:100]}")
    return refused, wrong


def attempt(tiny: SpiCodec, tmp_path: Path, count: int) -> None:
    folder, changed = tmp_path / "valid", tmp_path / "changed"
    folder.mkdir()
    changed.mkdir()
    wrong = []
    for kind in valid_files(folder, tiny):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wrong += outcomes(kind, changed, range(count))[1]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        if grown > MEMORY:
            wrong.append(f"{kind.name}: {grown >> 20} MB were taken")
        shutil.rmtree(changed)
        changed.mkdir()
    assert not wrong, "\n".join(wrong[:50])


def test_valid_files_are_read(tiny: SpiCodec, tmp_path: Path) -> None:
    for kind in valid_files(tmp_path, tiny):
        if kind.name not in ("manifest", "manifest of sources", "list"):  # of files that are not there
            kind.load(kind.path)


def test_changed_files_are_read_or_refused(tiny: SpiCodec, tmp_path: Path) -> None:
    attempt(tiny, tmp_path, 8)


@pytest.mark.slow
def test_thousands_of_changed_files_are_read_or_refused(tiny: SpiCodec, tmp_path: Path) -> None:
    attempt(tiny, tmp_path, 150)
