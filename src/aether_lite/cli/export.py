"""``aether-lite export``: ONNX graphs for receivers and transmitters without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.console import console, steps, summary
from aether_lite.cli.options import DEFAULT_MODEL, Model, Quiet, Vocoder, use_one_core

if TYPE_CHECKING:
    from rich.console import Console


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    model: Model = DEFAULT_MODEL,
    vocoder: Vocoder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Also write graphs with 8-bit matrices.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write encoder step, decoder step and vocoder frame as ONNX, with a manifest (see docs/guides/onnx.md)."""
    from aether_lite.export import export_folder

    use_one_core()
    out = console(quiet)
    with steps(out) as progress:
        manifest = export_folder(folder, model, vocoder, int8=int8, progress=progress.begin)
    _report(out, folder, manifest)


def _report(out: Console, folder: Path, manifest: dict[str, Any]) -> None:
    """Files, sizes and how far the graphs are from torch."""
    rows = []
    for step in manifest["steps"].values():
        for entry in step["files"].values():
            difference = entry.get("largest_difference_from_torch")
            checked = "" if difference is None else f", within {difference:.0e} of torch"
            rows.append((entry["name"], f"{entry['bytes'] / 1e6:.1f} MB{checked}"))
    summary(out, f"Exported to {folder}", rows)
