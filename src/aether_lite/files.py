"""Writing a file whole or not at all; the commit of the source tree, for files that say what made them."""

from __future__ import annotations

import errno
import glob
import secrets
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aether_lite.errors import AetherError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` when the block ends well.

    The temporary name (``.NAME.<random>.partial.SUFFIX``) keeps the suffix, by which many writers choose the
    format. If the block raises, the temporary file is removed and an older file at ``path`` stays as it was.
    A symbolic link is followed. A device or pipe (``/dev/null``) is yielded itself.

    Args:
        path: the file to write. Its folder must exist.

    Raises:
        AetherError: the folder is missing, ``path`` is a folder, or the file cannot be written (disk full,
            no permission). Other exceptions of the block pass unchanged.
    """
    path = Path(path)
    target, partial = _names(path)
    try:
        yield partial
        if partial != target:
            partial.replace(target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise AetherError(f"{path}: cannot be written, the disk is full: free some space") from error
        if error.filename is not None and Path(error.filename) in (partial, target):
            raise AetherError(f"{path}: cannot be written ({error.strerror})") from error
        raise
    finally:
        if partial != target:
            partial.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Remove what a killed process left of :func:`atomic_path` for this ``path``; nobody else may be writing it."""
    for partial in path.parent.glob(f".{glob.escape(path.stem)}.????????.partial{glob.escape(path.suffix)}"):
        partial.unlink(missing_ok=True)


def _names(path: Path) -> tuple[Path, Path]:
    """The file that is meant in the end, and the name to write under until then."""
    try:
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
        target = path.resolve()
        folder_mode = target.parent.stat().st_mode if target.parent.exists() else 0
    except OSError as error:  # an unreadable folder, a loop of links, a name too long
        raise AetherError(f"{path}: cannot be written ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise AetherError(f"{path}: is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        return path, path
    if folder_mode == 0:
        raise AetherError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not stat.S_ISDIR(folder_mode):
        raise AetherError(f"{path}: {path.parent} is a file, not a folder; give a name in a folder")
    return target, target.with_name(f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}")


@cache
def commit() -> str:
    """Commit of the package's source tree, ``+`` added if it was changed; empty where there is none."""
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."]):
        try:
            done = subprocess.run(["git", "-C", str(Path(__file__).parent), *command], capture_output=True, text=True,
                                  check=False)  # fmt: skip
        except FileNotFoundError:  # no git on this machine
            return ""
        if done.returncode:
            return ""
        answers.append(done.stdout.strip())
    return answers[0] + ("+" if answers[1] else "")
