"""What results depend on besides their inputs, part of every cache key: code, package versions, plugins.

Code and packages are found along the import statements, those inside functions included, from the modules that compute
a result. Where a module imports its neighbours by what it finds in their folder, all of them count.

A plugin of ``bench`` is a Python file that registers systems, channels and metrics, as the package does its own::

    from aether_lite.baselines import system

    @system("mine")
    class MySystem: ...
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import aether_lite
from aether_lite.errors import AetherError
from aether_lite.metrics import AUDIO_METRICS, Metric

PACKAGE = "aether_lite"
ROOTS = (f"{PACKAGE}.bench.run", f"{PACKAGE}.baselines", f"{PACKAGE}.metrics")
"""Modules that compute results; every file of a package counts."""
DISCOVERY = re.compile(r"\b(iter_modules|import_module)[(]")
PLUGIN = f"{PACKAGE}_plugin_"  # how the module of a plugin is called


def load_plugins(paths: Sequence[Path]) -> None:
    """Run each file once in this process.

    Raises:
        AetherError: a file is not there; errors of the file itself pass unchanged.
    """
    for path in paths:
        name = PLUGIN + hashlib.sha256(str(path.resolve()).encode(errors="surrogatepass")).hexdigest()[:12]
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if path.suffix != ".py" or not path.is_file() or spec is None or spec.loader is None:
            raise AetherError(f"{path}: no such plugin; give a Python file")
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def of_plugins(metrics: Mapping[str, Metric]) -> list[str]:
    """Names of the metrics that plugins registered."""
    return [name for name, one in metrics.items() if getattr(one.function, "__module__", "").startswith(PLUGIN)]


def code_hash(paths: Iterable[Path] | None = None) -> str:
    """Hash of the syntax trees of Python files (:func:`dependencies` by default), without comments and docstrings."""
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
    names = {distribution for module in modules for distribution in installed.get(module, ())} - {"aether-lite"}
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
        package, text = name.rpartition(".")[0], path.read_text(encoding="utf-8")
        waiting.append(package)
        if path.parent.name != PACKAGE and DISCOVERY.search(text):
            waiting += _with_files_below(name if path.name == "__init__.py" else package)
        waiting += _imports(ast.parse(text))
    return own, frozenset(others - sys.stdlib_module_names)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Full names of what a file imports where it runs, or whose files it opens: modules, and names that may be some."""
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
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("files", "resources.files") and node.args:
            yield str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else PACKAGE


def _with_files_below(name: str) -> list[str]:
    """A module, or a package with all its modules."""
    path = _file_of(name)
    if path is None or path.name != "__init__.py":
        return [name]
    below = (file.relative_to(path.parent).with_suffix("").parts for file in path.parent.rglob("*.py"))
    return [".".join((name, *(part for part in parts if part != "__init__"))) for parts in below]


def _file_of(name: str) -> Path | None:
    """The file of a module of this package; None if there is none."""
    base = Path(aether_lite.__file__).parent.joinpath(*name.split(".")[1:])
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a string that stands alone, as documentation does."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
