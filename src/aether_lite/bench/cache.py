"""Cache of results: ``results*.jsonl``, a line a result, found by the hash of everything that it depends on.

That is its inputs, code, package versions and plugins. Lines are appended as results come, so that a killed run loses
at most the work that was running; a line cut by a kill is dropped. Each shard of a run has a file of its own; all files
of a folder are read.

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
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import aether_lite
from aether_lite.errors import AetherError
from aether_lite.files import make_folder
from aether_lite.lines import LineWriter, read_lines
from aether_lite.metrics import Metric
from aether_lite.reading import fits

PACKAGE = Path(aether_lite.__file__).parent
NO_RESULTS = ("cli", "plots", "training")  # folders from which no result comes; a test runs every system
NO_RESULTS_EXTRAS = re.compile(r"extra == .(dev|docs|train|live)\b")  # of requirements
PLUGIN = "aether_lite_plugin_"  # how the module of a plugin is called
CACHE_NAME, CACHE_FILES = "results.jsonl", "results*.jsonl"
Record = dict[str, float]
"""Column -> number; a missing or undefined one is NaN."""


def key_of(**parts: Any) -> str:
    """Hash of everything a result depends on: plain values, any order."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


class ResultCache(AbstractContextManager["ResultCache"]):
    """Results below a folder, made if it is missing; new ones go to the file ``name``, ``others`` are read too.

    Raises:
        AetherError: a folder or file cannot be used.
    """

    def __init__(self, folder: Path, name: str = CACHE_NAME, others: Sequence[Path] = ()) -> None:
        self.path = folder / name
        self._records: dict[str, Record] = {}
        make_folder(folder)
        self._lines = LineWriter(self.path)
        for place in (*others, folder):
            for path in sorted(place.glob(CACHE_FILES)):
                for line in read_lines(path):
                    self._take(line)

    def __exit__(self, *error: object) -> None:
        self._lines.close()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> Record | None:
        """The result of a key, if it was computed."""
        return self._records.get(key)

    def add(self, key: str, record: Record) -> None:
        """Keep a result.

        Raises:
            AetherError: it cannot be written (disk full).
        """
        plain = {name: value if math.isfinite(value) else None for name, value in record.items()}
        entry = {"key": key, "record": plain}
        self._lines.add(entry)
        self._take(entry)  # as it will be read: a resumed run then equals an unbroken one

    def _take(self, entry: dict[str, Any]) -> None:
        key: Any = entry.get("key")
        record: Any = entry.get("record")
        if isinstance(key, str) and fits(record, dict[str, float | None]):
            self._records[key] = {name: math.nan if value is None else float(value) for name, value in record.items()}


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
