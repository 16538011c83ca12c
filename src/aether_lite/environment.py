"""Nothing is read from the working directory but what a command names: imports of other packages.

numba and matplotlib read settings from the working directory when they are imported, and numba's name a folder of
pickled code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from aether_lite.errors import AetherError
from aether_lite.files import cache_folder

LOCAL_SETTINGS = (".numba_config.yaml", "matplotlibrc")  # read from the working directory by packages used here
_moving = Lock()


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
