"""Files and folders written whole or not at all, locks, the user's cache, and the commit of the source tree."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import re
import secrets
import shutil
import stat
import subprocess
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from aether_lite.errors import AetherError

CACHE_VARIABLE, PRIVATE = "AETHER_LITE_CACHE", 0o700
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
OPEN, OWNER_ONLY = 0o666, 0o600  # modes of a new file, less the umask, and of one that replaces another
WINDOWS = os.name == "nt"  # where a file that is open can be neither renamed nor removed
_PROBE_BYTES = 1 << 20  # a disk that has no room for these is full
_LONGEST_NAME = 255  # [bytes], of most file systems
_LOCKED_BYTE = 1 << 30  # behind all content: a locked byte of Windows cannot be read by others
_PARTIAL = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{8}\.partial(?P<suffix>\.[^.]*)?", re.DOTALL)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` when the block ends well.

    The temporary name (``.NAME.<8 digits>.partial.SUFFIX``) keeps the suffix, by which many writers choose the
    format. If the block raises, the temporary file is removed and an older file at ``path`` stays as it was; else the
    new one has its mode. The name is the same each time, so that what a killed process left is removed by the next one
    that writes ``path``; two that write it at once have different ones. A symbolic link is followed. A device or pipe
    (``/dev/null``) is yielded itself.

    Args:
        path: the file to write. Its folder must exist.

    Raises:
        AetherError: the folder is missing, ``path`` is a folder, or the file cannot be written (disk full, however
            the writer says so, no permission, nothing was written). Other exceptions of the block pass unchanged.
    """
    path = Path(path)
    target, is_file, mode = _target(path)
    partial: Path | None = None
    descriptor = None
    try:
        if is_file:
            # nobody may read on the way what only some could read before
            partial, descriptor = _create_partial(target, OPEN if mode is None else OWNER_ONLY)
            os.utime(partial, ns=(0, 0))
        yield partial or target
        if partial is not None:
            if partial.stat().st_mtime_ns == 0:
                raise FileNotFoundError(errno.ENOENT, "nothing was written", str(partial))
            if mode is not None:
                partial.chmod(mode)
            partial.replace(target)
    except AetherError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in DISK_FULL or (partial is not None and _is_full(partial)):
            raise AetherError(f"{path}: cannot be written, the disk is full: free some space") from error
        ours = (str(partial or target), str(target))
        if isinstance(error, OSError) and (error.filename in ours or (is_file and partial is None)):
            raise AetherError(f"{path}: cannot be written ({error.strerror})") from error
        raise
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def atomic_folder(folder: Path, mark: str | None = None) -> Iterator[Path]:
    """Yield a temporary folder; rename it to ``folder``, new or empty, when the block ends well, else remove it.

    Its name and what becomes of one that a killed process left are as for :func:`atomic_path`. A folder that holds a
    file named ``mark``, if that is given, gives way to it.

    Raises:
        AetherError: ``folder`` holds files, is a file or the current folder, or cannot be written.
    """
    try:
        target = folder.resolve()
        if target.exists() and not target.is_dir():
            raise AetherError(f"{folder}: is a file; give the name of a new folder")
        if target.is_dir() and any(target.iterdir()) and not (mark and (target / mark).is_file()):
            raise AetherError(f"{folder}: the folder is not empty; give a new one")
        if target == Path.cwd():
            raise AetherError(f"{folder}: is the current folder; give the name of a new one")
        if not target.parent.is_dir():
            raise AetherError(f"{folder}: the folder {folder.parent} does not exist; create it first")
        partial, descriptor = _create_partial(target, is_folder=True)
        old = target.with_name(f"{partial.name}.old")
    except OSError as error:
        raise AetherError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        yield partial
        if target.is_dir():
            target.rename(old)
        partial.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise AetherError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        for rest in (partial, old):
            shutil.rmtree(rest, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all; bytes of file names that are no text become ``\\udcXX``, as in JSON.

    Raises:
        AetherError: as :func:`atomic_path`.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(text.encode("utf-8", "backslashreplace"))


def cache_folder(*parts: str) -> Path:
    """The folder ``parts`` of $AETHER_LITE_CACHE, $XDG_CACHE_HOME/aether-lite or ~/.cache/aether-lite, made if missing.

    Only the user may read and write it. An $XDG_CACHE_HOME that is no absolute path does not count.

    Raises:
        AetherError: it cannot be made, is a link, or belongs to somebody else.
    """
    folder = _place().joinpath(*parts)
    try:
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
            raise AetherError(f"{folder}: is no folder of this user; name another in the variable {CACHE_VARIABLE}")
        if found.st_mode & ~PRIVATE & 0o777:
            folder.chmod(PRIVATE)
    except OSError as error:
        raise AetherError(
            f"{folder}: cannot be made ({error.strerror}); name a folder in the environment variable {CACHE_VARIABLE}"
        ) from error
    return folder


def _place() -> Path:
    """Where the cache lies."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "aether-lite"
    except RuntimeError as error:  # no home
        raise AetherError(f"this user has no home folder; name one for the cache in {CACHE_VARIABLE}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for results, with those above it.

    Raises:
        AetherError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{folder}: cannot be made a folder ({error.strerror})") from error


def remove_partials(folder: Path, names: Container[str] | None = None) -> None:
    """Remove what killed processes left of :func:`atomic_path` in a folder; what is being written stays.

    Args:
        folder: may be missing.
        names: of the files that were meant; by default all.
    """
    try:
        found = [entry.name for entry in os.scandir(folder)]
    except OSError:  # missing, or not to be read: nothing of ours
        return
    for name in found:
        match = _PARTIAL.fullmatch(name)
        if match and (names is None or match["stem"] + (match["suffix"] or "") in names):
            _remove_left(folder / name)


def lock(descriptor: int) -> bool:
    """Take the lock of an open file if it is free; it ends with the process, or when the file is closed.

    Returns:
        Whether it is taken now; not where another process, or another open file of this one, holds it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        try:
            import fcntl
        except ImportError:
            msvcrt = importlib.import_module("msvcrt")
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _target(path: Path) -> tuple[Path, bool, int | None]:
    """The file that is meant, links followed, True, and the mode of one there; a device or pipe as it is, and False."""
    mode = None
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            mode = path.stat().st_mode
        target = Path(os.path.realpath(path))
        folder_mode = target.parent.stat().st_mode if target.parent.exists() else 0
    except OSError as error:  # an unreadable folder, a loop of links, a name too long
        raise AetherError(f"{path}: cannot be written ({error.strerror})") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise AetherError(f"{path}: is a folder; give the name of a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        return path, False, None
    if folder_mode == 0:
        raise AetherError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not stat.S_ISDIR(folder_mode):
        raise AetherError(f"{path}: {path.parent} is a file, not a folder; give a name in a folder")
    return target, True, None if mode is None else stat.S_IMODE(mode)


def _create_partial(target: Path, mode: int = OPEN, is_folder: bool = False) -> tuple[Path, int | None]:
    """A new empty file or folder to write ``target`` under, and the descriptor that holds its lock, if any."""
    tag = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
    while True:
        end, stem = f".{tag}.partial{target.suffix}", target.stem
        room = max(0, _LONGEST_NAME - 1 - len(os.fsencode(end)))
        if len(os.fsencode(stem)) > room:
            stem = os.fsencode(stem)[:room].decode(errors="ignore")
        partial = target.with_name(f".{stem}{end}")
        try:
            if is_folder:
                partial.mkdir()
            else:
                os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        except FileExistsError:
            if not _remove_left(partial):
                tag = secrets.token_hex(4)
            continue
        if WINDOWS:
            return partial, None
        try:
            descriptor = _open_locked(partial)
        except OSError:  # no locks on this file system: then none is ever taken for left
            return partial, None
        if descriptor is not None:
            return partial, descriptor


def _open_locked(path: Path) -> int | None:
    """Descriptor of a file or folder with its lock; None where another holds that, or the name is gone.

    Raises OSError where it cannot be opened, or the file system has no locks.
    """
    try:
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    mine = False
    try:
        mine = lock(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return None
    finally:
        if not mine:
            os.close(descriptor)
    return descriptor if mine else None


def _remove_left(path: Path) -> bool:
    """Remove a file or folder that no living process writes; whether it is gone."""
    try:
        descriptor = None if WINDOWS else _open_locked(path)
        if not WINDOWS and descriptor is None:
            return not os.path.lexists(path)
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        finally:
            if descriptor is not None:
                os.close(descriptor)
    except OSError:  # somebody else's
        return False
    return not os.path.lexists(path)


def _is_full(partial: Path) -> bool:
    """Whether a file that could not be written has no room to grow: not every writer says so."""
    try:
        with partial.open("ab") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in DISK_FULL
    return False


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
