"""Nothing is read from the working directory but what a command names: own cache folder, imports of other packages.

numba and matplotlib read settings from the working directory when they are imported, and numba's name a folder of
pickled code. What is kept between runs lies in a folder that nobody else may write.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from aether_lite.errors import AetherError

CACHE_VARIABLE = "AETHER_LITE_CACHE"
PRIVATE = 0o700
LOCAL_SETTINGS = (".numba_config.yaml", "matplotlibrc")  # read from the working directory by packages used here
_moving = Lock()


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


@contextmanager
def without_local_settings() -> Iterator[None]:
    """Imports in the block find no settings in the working directory.

    While they run in a folder with such settings, the working directory of the process is another: only imports belong
    into the block.
    """
    with _moving:
        here = os.getcwd() if any(map(os.path.lexists, LOCAL_SETTINGS)) else None  # noqa: PTH109
        if here is not None:
            os.chdir(Path(__file__).parent)
        try:
            yield
        finally:
            if here is not None:
                os.chdir(here)


def load_numba() -> None:
    """Import numba, before packages that use it are: what it compiles for them is kept in :func:`cache_folder`.

    Its settings in the working directory are not read, then or later. A folder that the user gave it
    (``NUMBA_CACHE_DIR``) stays; where there is none that can be written, every process compiles for itself.
    """
    with without_local_settings():
        import numba
        from numba.core import config
    config._config_fname = os.devnull  # read again at every compilation
    if not config.CACHE_DIR:
        with suppress(AetherError):
            config.CACHE_DIR = str(cache_folder(f"numba-{numba.__version__}"))


def keep_compiled_apart() -> None:
    """Let torch.compile keep its code in :func:`cache_folder`; its own folder in /tmp could be made by anybody."""
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache_folder("inductor"))


def restrict_children() -> None:
    """Python processes started from here on do not import from their working directory; a relative cache is ignored."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    if not Path(os.environ.get("XDG_CACHE_HOME", "/")).is_absolute():
        del os.environ["XDG_CACHE_HOME"]
