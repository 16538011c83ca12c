"""Code and package versions that a result depends on: part of every cache key.

Both follow the imports of the code itself, so that no list is kept by hand: from the module that computes a result
along every import statement in it, those inside functions included. An import from a package that other files register
themselves in takes the whole package.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import aether_lite
from aether_lite.metrics import AUDIO_METRICS

PACKAGE = "aether_lite"
ROOTS = (f"{PACKAGE}.bench.run", f"{PACKAGE}.baselines", f"{PACKAGE}.metrics")
"""Modules that compute results; every file of a package counts."""
DISCOVERY = re.compile(r"\b(iter_modules|import_module)[(]")


def code_hash(paths: Iterable[Path] | None = None) -> str:
    """Hash of Python files: their syntax trees, so that comments and documentation do not count.

    Args:
        paths: files, in any order; None for those of :func:`dependencies`.
    """
    files = {path.name: path for path in paths} if paths is not None else dependencies()
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [item for item in node.body if not _is_text(item)]
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def dependencies() -> dict[str, Path]:
    """Modules of this package that results depend on: name -> file."""
    return _reached()[0]


def package_versions() -> dict[str, str]:
    """Versions of this package and of the installed ones that its results depend on, by distribution."""
    modules = {*_reached()[1], *(name for metric in AUDIO_METRICS.values() for name in metric.packages)}
    installed = importlib.metadata.packages_distributions()
    names = {distribution for module in modules for distribution in installed.get(module, ())}
    names.discard("aether-lite")
    return {"aether-lite": aether_lite.__version__} | {n: importlib.metadata.version(n) for n in sorted(names)}


@cache
def _reached() -> tuple[dict[str, Path], frozenset[str]]:
    """Own modules by name, and top-level names of all others that they import."""
    own: dict[str, Path] = {}
    others: set[str] = set()
    waiting = [name for root in ROOTS for name in _with_files_below(root)]
    while waiting:
        name = waiting.pop()
        if name.split(".")[0] != PACKAGE:
            others.add(name.split(".")[0])
            continue
        path = _file_of(name)
        if path is None or name in own:
            continue  # a name inside a module, or seen before
        own[name] = path
        package = name.rpartition(".")[0]
        waiting.append(package)
        if _registers(path):
            waiting += _with_files_below(name if path.name == "__init__.py" else package)
        waiting += _imports(name, path)
    return own, frozenset(others - sys.stdlib_module_names)


def _imports(name: str, path: Path) -> Iterator[str]:
    """Full names of what a file imports where it runs, or whose files it opens: modules, and names that may be some."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("files", "resources.files") and node.args:
            yield str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else PACKAGE


def _registers(path: Path) -> bool:
    """Whether a module imports its neighbours by what it finds in their folder."""
    return path.parent.name != PACKAGE and bool(DISCOVERY.search(path.read_text(encoding="utf-8")))


def _with_files_below(name: str) -> list[str]:
    """A module, or a package with all its modules."""
    path = _file_of(name)
    if path is None or path.name != "__init__.py":
        return [name]
    folder = path.parent
    below = (file.relative_to(folder).with_suffix("").parts for file in folder.rglob("*.py"))
    return [".".join((name, *(part for part in parts if part != "__init__"))) for parts in below]


def _file_of(name: str) -> Path | None:
    """The file of a module of this package; None if there is none."""
    base = Path(aether_lite.__file__).parent.joinpath(*name.split(".")[1:])
    found = (path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file())
    return next(found, None)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a string that stands alone, as documentation does."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
