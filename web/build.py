"""Build the page: ``python web/build.py [FOLDER]`` fills ``dist/web``, which any static host can serve.

It compiles the native core for WebAssembly, with simd128 and without, by the compiler of the package ``ziglang``,
writes the weights of ``small`` with 8 bits and copies the sources of this folder and the bundled voices.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

from aether_lite.core.files import export_native

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = ROOT / "dist" / "web"
VOICES = ROOT / "src" / "aether_lite" / "assets" / "samples"
MODULES = {"aether.wasm": ("-msimd128",), "aether-plain.wasm": ()}
TARGET = ("-target", "wasm32-wasi", "-mexec-model=reactor")  # a library without main; it imports nothing
PAGE_LIMIT = 6_000_000  # bytes until the first sound
NO_ZIG = "no compiler for WebAssembly: pip install ziglang"


def core_build() -> ModuleType:
    """``core/build.py``."""
    spec = importlib.util.spec_from_file_location("core_build", ROOT / "core" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wasm() -> Path:
    """A folder with both modules, compiled where their sources have changed since.

    Raises:
        FileNotFoundError: the package ``ziglang`` is not installed.
        subprocess.CalledProcessError: the compiler fails; it has said why.
    """
    build = core_build()
    sources = [*build.SOURCES, *sorted((build.ROOT / "src").glob("*.h")), build.ROOT / "include" / "aether.h"]
    given = [*sources, build.ROOT / "build.py", Path(__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in given)).hexdigest()
    folder = ROOT / "build" / f"wasm-{digest[:16]}"
    if all((folder / module).exists() for module in MODULES):
        return folder
    if importlib.util.find_spec("ziglang") is None:
        raise FileNotFoundError(NO_ZIG)
    names = sorted(set(re.findall(r"^AETHER_API .*?\b(aether_\w+)\(", sources[-1].read_text("utf-8"), re.MULTILINE)))
    exports = [f"-Wl,--export={name}" for name in (*names, "__heap_base")]
    folder.mkdir(parents=True, exist_ok=True)
    for module, options in MODULES.items():
        partial = folder / f".{module}.{os.getpid()}"  # another process may be making the same
        command = [sys.executable, "-m", "ziglang", "cc", *TARGET]
        build.compile_c(
            command, [*build.OPTIONS, *options, *build.SOURCES, *exports, "-Wl,--strip-all", "-o", partial]
        )
        partial.replace(folder / module)
    return folder


def build(folder: Path) -> None:
    """Make the page in ``folder``, in place of an earlier one.

    Raises:
        FileExistsError: something else than a page is there.
        FileNotFoundError, subprocess.CalledProcessError: as :func:`wasm`.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "small.aether").exists():
        raise FileExistsError(f"{folder}: holds something else than a page; give a new folder")
    modules = wasm()
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    (partial / "voices").mkdir(parents=True)
    for source in HERE.iterdir():
        if source.suffix in (".html", ".css", ".js", ".svg"):
            shutil.copy(source, partial)
    for name in MODULES:
        shutil.copy(modules / name, partial)
    export_native(partial / "small.aether", "small", None, int8=True)
    for voice in VOICES.glob("*.flac"):
        shutil.copy(voice, partial / "voices")
    shutil.copy(VOICES / "README.md", partial / "voices" / "licences.txt")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def weight(folder: Path) -> int:
    """Bytes until the first sound: all but the module without simd128, and the largest voice of the bundled ones."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "aether-plain.wasm"]
    return sum(path.stat().st_size for path in files) + max(path.stat().st_size for path in folder.glob("voices/*"))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python web/build.py [FOLDER]")
    place = Path(sys.argv[1]) if len(sys.argv) == 2 else FOLDER
    try:
        build(place)
    except (FileExistsError, FileNotFoundError) as error:
        sys.exit(str(error))
    print(f"{place}: {weight(place) / 1e6:.2f} MB until the first sound")
