"""Build libaether without CMake: ``python core/build.py FOLDER`` leaves the shared library and ``aether.h`` there.

The compiler is the one of ``CC``, else the machine's, else the one of the package ``ziglang`` where that is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SOURCES = sorted((ROOT / "src").glob("*.c"))
NAME = {"win32": "aether.dll", "darwin": "libaether.dylib"}.get(sys.platform, "libaether.so")
# Sums keep their order and products are rounded: the same bits everywhere. The last two let loops become vector code.
EXACT = ("-std=c11", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno")
OPTIONS = (*EXACT, "-O3", "-fvisibility=hidden", "-DAETHER_BUILD")
NO_COMPILER = "no C compiler: install one (Debian: apt install gcc), or pip install ziglang"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def of_system() -> list[str]:
    """The command of the machine's own C compiler; empty where there is none."""
    if "CC" in os.environ:
        return shlex.split(os.environ["CC"])
    return next(([name] for name in ("cc", "gcc", "clang") if shutil.which(name)), [])


def compiler() -> list[str]:
    """The command of a C compiler; empty where there is none."""
    found = of_system()
    return found or ([sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else [])


def compile_c(command: Sequence[str], arguments: Sequence[str | Path]) -> None:
    """Run a compiler with the library's headers; its messages pass to standard error."""
    subprocess.run([*command, "-I", str(ROOT / "include"), *map(str, arguments), "-lm"], check=True)


def build(folder: Path, *options: str) -> Path:
    """The shared library, made in ``folder`` beside its header with further ``options`` of the compiler.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: it fails; it has said why.
    """
    command = compiler()
    if not command:
        raise FileNotFoundError(NO_COMPILER)
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / NAME
    partial = folder / f".{NAME}.{os.getpid()}"
    compile_c(command, [*OPTIONS, *options, "-fPIC", "-shared", *SOURCES, "-o", partial])
    shutil.copy(ROOT / "include" / "aether.h", folder)
    partial.replace(library)
    return library


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python core/build.py FOLDER")
    print(build(Path(sys.argv[1])))
