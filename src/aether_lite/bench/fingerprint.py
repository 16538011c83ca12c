"""What results depend on besides their inputs, part of every cache key: code, package versions, plugins.

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
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import aether_lite
from aether_lite.errors import AetherError
from aether_lite.metrics import Metric

PACKAGE = Path(aether_lite.__file__).parent
NO_RESULTS = ("cli", "plots", "training")  # folders from which no result comes; a test runs every system
NO_RESULTS_EXTRAS = re.compile(r"extra == .(dev|docs|train|live)\b")  # of requirements
PLUGIN = "aether_lite_plugin_"  # how the module of a plugin is called


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


@cache
def code_hash(root: Path = PACKAGE) -> str:
    """Hash of the syntax trees of the Python files below a folder, comments and docstrings left out."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if name.parts[0] in NO_RESULTS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [item for item in node.body if not _is_text(item)]
        digest.update(f"{name.as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


@cache
def package_versions() -> dict[str, str]:
    """Versions of this package and of the installed ones that it or its metrics require, by distribution."""
    wanted = [line for line in importlib.metadata.requires("aether-lite") or () if not NO_RESULTS_EXTRAS.search(line)]
    versions = {"aether-lite": aether_lite.__version__}
    for name in sorted({re.split(r"[\[<>=!; ]", line, maxsplit=1)[0] for line in wanted} - versions.keys()):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a string that stands alone, as documentation does."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
