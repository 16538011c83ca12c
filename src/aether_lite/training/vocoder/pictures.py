"""Pictures of a vocoder run: a page for each validation, and the course of its losses.

matplotlib is imported when a picture is drawn, and only its object interface is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.files import atomic_path
from aether_lite.plots.canvas import BLUE, DPI, ORANGE
from aether_lite.plots.speech import F0_LIMITS, draw_f0, draw_spectrogram, f0_contour, spectrogram
from aether_lite.training.journal import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

TERMS = ("total", "spectral", "continuation", "matching", "gan", "critic")  # of training steps
MEASURED = ("spectral", "estoi", "pesq_wb", "dnsmos_ovrl", "feature_loss", "vuv_error")  # of validations
FEW = 50  # points of a line that are marked
TOP_PERCENTILE = 99.9  # of the original's levels: the brightest colour


def validation_page(
    path: Path, log: Path, speech: Tensor, made: Tensor, features: Tensor, found: Tensor, title: str
) -> None:
    """Draw one clip before and after the vocoder, and the course of the run so far, as PNG.

    Args:
        path: to write; whole or not at all.
        log: ``log.jsonl`` of the run.
        speech, made: ``[160 F]``, the original and what the vocoder made.
        features, found: ``[F, 20]``, of the original and of what was made.
        title: one line over it all.

    Raises:
        AetherError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 10.5), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=15)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.7, 1))
    _draw_clip(parts[0], speech, made, features, found)
    _draw_course(parts[1], read_log(log))
    with atomic_path(path) as partial:
        figure.savefig(partial)


def course_picture(path: Path, log: Path) -> None:
    """Draw training terms and validated numbers over the steps of a run, as PNG. Arguments as above."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 4.5), dpi=DPI, layout="constrained")
    _draw_course(figure, read_log(log))
    with atomic_path(path) as partial:
        figure.savefig(partial)


def _draw_clip(figure: SubFigure, speech: Tensor, made: Tensor, features: Tensor, found: Tensor) -> None:
    """Two spectrograms on one colour scale over the F0 contours of both."""
    grid = figure.add_gridspec(2, 2, height_ratios=(1.3, 1))
    seconds = len(speech) / SAMPLE_RATE
    levels = [spectrogram(audio) for audio in (speech, made)]
    top = float(np.percentile(levels[0], TOP_PERCENTILE))
    drawn = []
    for column, (name, picture) in enumerate(zip(("Original", "Made from its features"), levels, strict=True)):
        axes = figure.add_subplot(grid[0, column])
        image = draw_spectrogram(axes, picture, top)
        axes.set(xlim=(0, seconds), title=name, xlabel="time [s]", ylabel="frequency [kHz]")
        drawn.append(axes)
    figure.colorbar(image, ax=drawn, label="level [dB]", pad=0.01)
    contours = figure.add_subplot(grid[1, :])
    styles: tuple[dict[str, Any], ...] = (
        {"color": BLUE, "lw": 5.0, "alpha": 0.45, "label": "original"},
        {"color": ORANGE, "lw": 1.6, "label": "re-analysed"},
    )
    draw_f0(contours, [(f0_contour(rows), s) for rows, s in zip((features, found), styles, strict=True)], F0_LIMITS)
    contours.set(xlim=(0, seconds), xlabel="time [s]", title="F0 contour (voiced frames)")
    contours.legend(loc="upper right", ncols=2)


def _draw_course(figure: Figure | SubFigure, rows: Sequence[Mapping[str, Any]]) -> None:
    """Training terms left, validated numbers right, each over the steps."""
    training = [row for row in rows if "valid" not in row]
    measured = [row for row in rows if "valid" in row]
    left, right = figure.subplots(1, 2)
    _draw_lines(left, training, TERMS, relative=False)
    _draw_lines(right, measured, MEASURED, relative=True)
    left.set(yscale="log", xlabel="step", title="Training terms")
    right.set(xlabel="step", title="Validation, relative to the first (in the legend: the last)")


def _draw_lines(axes: Axes, rows: Sequence[Mapping[str, Any]], names: Sequence[str], relative: bool) -> None:
    """A line for each name; what is not above zero has no place on a logarithmic or relative axis."""
    for name in names:
        points = np.array([(row["step"], row[name]) for row in rows if row.get(name, 0) > 0])
        if len(points):
            label, scale = (f"{name} {points[-1, 1]:.3f}", points[0, 1]) if relative else (name, 1.0)
            axes.plot(points[:, 0], points[:, 1] / scale, label=label, lw=1.2, marker="." if len(rows) < FEW else "")
    if axes.get_lines():
        axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
