"""The page, built once."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """``web/build.py``."""
    spec = importlib.util.spec_from_file_location("web_build", WEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def page(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``make web`` makes; skips where no compiler for WebAssembly is."""
    folder = tmp_path_factory.mktemp("page") / "web"
    try:
        builder.build(folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="session")
def node() -> str:
    """The command of node; skips where there is none."""
    found = shutil.which("node")
    if not found:
        pytest.skip("no node: apt install nodejs")
    return found
