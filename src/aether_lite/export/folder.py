"""The exported folder: graphs and manifest, there as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.errors import AetherError
from aether_lite.export.check import TOLERANCE, largest_difference, probes
from aether_lite.export.graph import to_onnx
from aether_lite.export.manifest import manifest
from aether_lite.export.packages import check_export_packages
from aether_lite.export.quantise import quantise
from aether_lite.export.runner import MANIFEST, OnnxStep, session
from aether_lite.export.steps import Step, codec_and_vocoder_steps
from aether_lite.vocoder import load_fargan, vocoder_path


def export_folder(
    folder: str | Path,
    model: str | Path = DEFAULT_CODEC,
    vocoder: str | Path | None = None,
    *,
    int8: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Export a codec and a vocoder; every float32 graph is compared with torch before the folder appears.

    Args:
        folder: a new or empty folder; its parent must exist.
        model: name of released weights or a codec file.
        vocoder: file of vocoder weights or a released name; None for ``fargan``.
        int8: also write the int8 variants.
        progress: called with the name of each part as work on it begins.

    Returns:
        The manifest.

    Raises:
        AetherError: the folder is not empty or cannot be written, a package is missing, the weights cannot be
            read, or a graph does not compute what torch computes.
    """
    check_export_packages()
    with new_folder(Path(folder)) as partial:
        codec_file = codec_path(model)
        vocoder_file = vocoder_path(vocoder)
        codec, provenance = load_codec(codec_file)
        steps = codec_and_vocoder_steps(codec, load_fargan(vocoder_file))
        inputs = probes(codec)
        files: dict[str, Any] = {}
        for name, step in steps.items():
            if progress is not None:
                progress(name)
            files[name] = _write_step(partial, name, step, inputs[name], int8)
        weights = {
            "codec": {"name": str(model), "sha256": _sha256(codec_file), "provenance": provenance},
            "vocoder": {"name": vocoder_file.name, "sha256": _sha256(vocoder_file)},
        }
        record = manifest(codec, steps, files, weights)
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        (partial / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    return record


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; rename it to ``folder`` when the block ends well, else remove it.

    Raises:
        AetherError: ``folder`` holds files, is a file or the current folder, or cannot be written.
    """
    try:
        target = folder.resolve()
        if target.exists() and not target.is_dir():
            raise AetherError(f"{folder}: is a file; give the name of a new folder")
        if target.is_dir() and any(target.iterdir()):
            raise AetherError(f"{folder}: the folder is not empty; give a new one")
        if target == Path.cwd():
            raise AetherError(f"{folder}: is the current folder; give the name of a new one")
        if not target.parent.is_dir():
            raise AetherError(f"{folder}: the folder {folder.parent} does not exist; create it first")
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        partial.mkdir()
    except OSError as error:
        raise AetherError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        yield partial
        if target.is_dir():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        raise AetherError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_step(folder: Path, name: str, step: Step, inputs: list[dict[str, Any]], int8: bool) -> dict[str, Any]:
    """Write the graphs of one step; return its entry ``files`` of the manifest."""
    import onnx

    path = folder / f"{name}.onnx"
    onnx.save(to_onnx(step), path)
    outputs = [port.name for port in step.outputs]
    difference = largest_difference(step, OnnxStep(session(path), outputs), inputs)
    if not difference <= TOLERANCE:
        raise AetherError(f"{name}: the graph differs from torch by {difference:.1e}, more than {TOLERANCE:g}")
    files = {"float32": {**_entry(path), "largest_difference_from_torch": difference}}
    if int8:
        small = folder / f"{name}_int8.onnx"
        quantise(path, small)
        files["int8"] = _entry(small)
    return files


def _entry(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
