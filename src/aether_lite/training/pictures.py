"""The losses of a run over its steps, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite.plots.canvas import COLOURS, GREY, canvas
from aether_lite.training.run_logger import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS: dict[str, tuple[str, ...]] = {
    "sums": ("total", "spi", "wave", "adv", "discriminator"),
    "features": ("feature", "delta", "image", "pitch", "voicing", "loudness"),
    "F0, levels, words": ("f0_contour", "f0_spread", "silence", "semantic", "envelope", "asr"),
    "bits": ("balance", "decorrelation", "confidence"),
    "audio": ("log_mel", "audio_f0", "stft", "spectral", "continuation"),
    "GAN": ("adversarial", "feature_matching"),
    "mel predictor": ("spectrum", "states"),
}
"""Terms of the training steps by panel: at most six lines each."""
MEASURED = ("feature_loss", "spectral", "estoi", "pesq_wb", "dnsmos_ovrl", "vuv_error", "spectrum", "states")
COLUMNS, PANEL_INCHES = 3, (4.3, 3.0)
FEW = 50  # points of a line that are marked


def loss_curves(log: Path, path: Path) -> None:
    """Draw the loss terms and validated figures of a run over its steps, its stages marked.

    Args:
        log: ``log.jsonl`` of the run.
        path: PNG to write; whole or not at all.

    Raises:
        AetherError: the file cannot be written.
    """
    rows = read_log(log)
    train, valid = [row for row in rows if "valid" not in row], [row for row in rows if "valid" in row]
    panels = {title: [name for name in names if _points(train, name)] for title, names in PANELS.items()}
    panels = {title: names for title, names in panels.items() if names}
    measured = [name for name in MEASURED if _points(valid, name)]
    count = len(panels) + len(measured)
    lines = -(-max(count, 1) // COLUMNS)
    with canvas(path, COLUMNS * PANEL_INCHES[0], lines * PANEL_INCHES[1]) as figure:
        for number, title in enumerate([*panels, *measured]):
            axes = figure.add_subplot(lines, COLUMNS, number + 1)
            if title in panels:
                for colour, name in zip(COLOURS, panels[title], strict=False):
                    _draw_line(axes, _points(train, name), name, colour)
                axes.set_yscale("log")
            else:
                points = sorted({row["valid"] for row in valid})
                for colour, point in zip(COLOURS, points, strict=False):
                    chosen = _points([row for row in valid if row["valid"] == point], title)
                    _draw_line(axes, chosen, point, colour)
            axes.set_title(title if title in panels else f"{title}, validation", fontsize=10)
            axes.set_xlabel("step", fontsize=8)
            axes.tick_params(labelsize=8)
            axes.grid(alpha=0.3)
            _mark_stages(axes, train, named=number == 0)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=7)


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Steps and values; what is not above zero has no place on a logarithmic axis."""
    return [(row["step"], row[name]) for row in rows if row.get(name, 0) > 0]


def _draw_line(axes: Axes, points: Sequence[tuple[float, float]], label: str, colour: str) -> None:
    if points:
        marker = "." if len(points) < FEW else ""
        axes.plot(*zip(*points, strict=True), label=label, color=colour, lw=1.2, marker=marker)


def _mark_stages(axes: Axes, rows: Sequence[Mapping[str, Any]], named: bool) -> None:
    """A line where a stage begins, with its name in one of the panels."""
    stages = [row.get("stage", "") for row in rows]
    for before, row, stage in zip(["", *stages], rows, stages, strict=False):
        if stage != before:
            axes.axvline(row["step"], color=GREY, lw=0.8, ls=":")
            if named:
                place = (row["step"], 0.02)
                axes.text(*place, f" {stage}", rotation=90, size=6.5, color=GREY, transform=axes.get_xaxis_transform())
