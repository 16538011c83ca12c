"""The native core, built once, and files of weights for it."""

from __future__ import annotations

import importlib.util
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aether_lite.core import weights
from aether_lite.core.library import Library, Model, library
from aether_lite.export.native import vocoder_sections
from aether_lite.vocoder import vocoder_path

CORE = Path(__file__).parents[2] / "core"


@pytest.fixture(scope="session")
def build_script() -> ModuleType:
    """``core/build.py``; skips where no C compiler is."""
    spec = importlib.util.spec_from_file_location("core_build", CORE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.compiler():
        pytest.skip("no C compiler: apt install gcc, or pip install ziglang")
    return module


@pytest.fixture(scope="session")
def core(build_script: ModuleType) -> Library:
    """The library, built where it is not yet from the sources at hand."""
    sources = [*sorted(CORE.glob("include/*")), *sorted(CORE.glob("src/*")), CORE / "build.py"]
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = Path(__file__).parents[2] / ".pytest_cache" / f"core-{digest}"
    if not (folder / build_script.NAME).exists():
        build_script.build(folder, *build_script.WARNINGS)
    return library(folder)


@pytest.fixture(scope="session")
def kernel_sets(core: Library, vocoder_file: Path) -> list[str]:
    """Names of the sets of kernels of this machine, the reference first."""
    names = ["scalar"]
    for name in ("sse2", "avx2", "neon"):
        size = core.ffi.new("size_t *")
        data = np.fromfile(vocoder_file, np.uint8)
        memory = core.memory(len(data))
        core.ffi.memmove(memory, data.tobytes(), len(data))
        if core.functions.aether_model_size(memory, len(data), name.encode(), size) == 0:
            names.append(name)
    return names


@pytest.fixture(scope="session")
def vocoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released vocoder as native weights, float16."""
    path = tmp_path_factory.mktemp("weights") / "fargan.aether"
    weights.write(path, vocoder_sections(vocoder_path("fargan")))
    return path


@pytest.fixture(scope="session")
def vocoder_model(core: Library, vocoder_file: Path) -> Model:
    """The released vocoder."""
    return Model(core, vocoder_file)
