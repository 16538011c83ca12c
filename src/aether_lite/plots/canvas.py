"""Figure canvas, colours, and spectrograms and F0 contours of clips: computed, drawn into axes, and as figures."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aether_lite.environment import without_local_settings
from aether_lite.errors import AetherError, printable
from aether_lite.features.layout import FRAME, PITCH, SAMPLE_RATE, VOICED_ABOVE, VOICING, f0_from_pitch
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

DPI = 120
SUFFIXES = (".png", ".svg", ".pdf")
TITLE_SIZE = 13  # [pt]
FOOT_SIZE = 7.5  # [pt]
FOOT_CHARACTERS_PER_INCH = 16.5
FOOT_LINE_INCHES = 0.145
LEGEND_LINE_INCHES = 0.17
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#5B4B8A", "#444444")
"""Okabe and Ito's palette without yellow, and three more."""
BLUE, ORANGE = COLOURS[:2]  # original and received
GREY = "#777777"
MARKERS = "osD^vPX*h"
Array = NDArray[np.float64]
FRAME_SECONDS = FRAME / SAMPLE_RATE
WINDOW = SAMPLE_RATE // 40  # samples (25 ms)
RANGE_DB = 60.0  # from the darkest to the brightest colour
TOP_PERCENTILE = 99.5  # of the original's levels: the brightest colour
F0_LIMITS = (60, 500)  # [Hz]
F0_TICKS = (75, 100, 150, 200, 300, 400)  # [Hz]
STRIP_INCHES = 1.15
WIDTH_INCHES = 10.0


@contextmanager
def canvas(path: str | Path, width: float, height: float, title: str = "", foot: str = "") -> Iterator[Figure]:
    """An empty figure, saved whole or not at all when the block ends well; all text in it is drawn as it is.

    Args:
        path: file to write; its suffix (PNG, SVG or PDF) is the format.
        width, height: [inches], the foot not counted.
        title, foot: over the figure; notes below it, wrapped to the width.

    Raises:
        AetherError: the suffix is unknown or the file cannot be written.
    """
    with without_local_settings():
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
        from matplotlib.text import Text

    if Path(path).suffix.lower() not in SUFFIXES:
        raise AetherError(f"{path}: unknown suffix {Path(path).suffix!r}; give {', '.join(SUFFIXES)}")
    columns = int(width * FOOT_CHARACTERS_PER_INCH)
    lines = [line for part in foot.splitlines() for line in textwrap.wrap(part, columns)]
    below = FOOT_LINE_INCHES * len(lines) + 0.1 if lines else 0.0
    total = height + below
    engine = ConstrainedLayoutEngine(rect=(0, below / total, 1, 1 - below / total))
    with atomic_path(path) as partial, rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in a script that the font lacks
        figure = Figure(figsize=(width, total), dpi=DPI, layout=engine)
        if title:
            figure.suptitle(title, fontsize=TITLE_SIZE)
        yield figure
        figure.text(0.1 / width, 0.06 / total, "\n".join(lines), size=FOOT_SIZE, color="#444444", va="bottom")
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        figure.savefig(partial)


def legend_below(figure: Figure, columns: int = 2) -> None:
    """Add one legend for all panels of a :func:`canvas`, below them, each line named once."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    named: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # canvas makes no other
    left, bottom, width, height = engine.get()["rect"]
    room = (LEGEND_LINE_INCHES * math.ceil(len(named) / columns) + 0.2) / figure.get_figheight()
    engine.set(rect=(left, bottom + room, width, height - room))
    lines, names = list(named.values()), list(named)
    figure.legend(lines, names, ncols=columns, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, bottom))


def spectrogram(audio: Any) -> Array:
    """Level ``[bins, frames]`` [dB] of samples ``[N]`` in Hann windows of 25 ms, every 10 ms."""
    samples = np.asarray(audio, dtype=np.float64)
    padded = np.pad(samples, (WINDOW // 2, WINDOW))
    frames = max(1, len(samples) // FRAME)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::FRAME][:frames]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), n=2 * WINDOW)) ** 2
    return np.asarray(10 * np.log10(power.T + 1e-10))


def f0_contour(features: Any) -> Array:
    """F0 ``[F]`` [Hz] of features or speech image rows ``[F, 20]``, NaN where unvoiced."""
    rows = np.asarray(features, dtype=np.float64)
    return np.where(rows[:, VOICING] > VOICED_ABOVE, f0_from_pitch(rows[:, PITCH]), np.nan)


def draw_spectrogram(axes: Axes, levels: Array, top: float) -> AxesImage:
    """Draw ``levels [bins, frames]`` [dB], the brightest colour at ``top``, over seconds and kHz."""
    return draw_image(axes, levels, (0, SAMPLE_RATE / 2000), cmap="magma", vmin=top - RANGE_DB, vmax=top)


def draw_image(axes: Axes, rows: Array, limits: tuple[float, float], **style: Any) -> AxesImage:
    """Draw ``rows [n, frames]`` over seconds, the first row at the bottom, the vertical axis from limit to limit."""
    extent = (0, rows.shape[1] * FRAME_SECONDS, *limits)
    return axes.imshow(rows, origin="lower", aspect="auto", interpolation="nearest", extent=extent, **style)


def draw_f0(axes: Axes, contours: Sequence[tuple[Array, dict[str, Any]]], limits: tuple[float, float]) -> None:
    """Draw F0 contours ``[F]`` [Hz] over each other, gaps where NaN; each with its line style."""
    for contour, style in contours:
        axes.plot((np.arange(len(contour)) + 0.5) * FRAME_SECONDS, contour, solid_capstyle="round", **style)
    axes.set_yscale("log")
    axes.set_yticks(F0_TICKS, [str(tick) for tick in F0_TICKS])
    axes.minorticks_off()
    axes.set(ylim=limits, ylabel="F0 [Hz]")
    axes.grid(alpha=0.3)


def spectrogram_strips(path: Path, title: str, foot: str, clips: Sequence[tuple[str, Any]]) -> None:
    """Draw spectrograms under each other on one colour scale.

    Args:
        path, title, foot: see :func:`~aether_lite.plots.canvas.canvas`.
        clips: name and samples ``[N]`` of each, the original first: its levels set the colour scale.
    """
    levels = [spectrogram(audio) for _, audio in clips]
    top = float(np.percentile(levels[0], TOP_PERCENTILE))
    with canvas(path, WIDTH_INCHES, STRIP_INCHES * len(clips) + 0.8, title, foot) as figure:
        for index, (name, _) in enumerate(clips):
            axes = figure.add_subplot(len(clips), 1, index + 1)
            image = draw_spectrogram(axes, levels[index], top)
            axes.set(yticks=[0, 4, 8], xlim=(0, len(clips[0][1]) / SAMPLE_RATE))
            axes.set_ylabel("kHz", fontsize=8)
            _name_strip(axes, name, index == len(clips) - 1)
        figure.colorbar(image, ax=figure.axes, label="level [dB]", shrink=0.6, pad=0.01)


def f0_overlays(path: Path, title: str, foot: str, original: Any, received: Sequence[tuple[str, str, Any]]) -> None:
    """Draw F0 contours under each other, each over that of the original.

    Args:
        path, title, foot: see :func:`~aether_lite.plots.canvas.canvas`.
        original: features ``[F, 20]``.
        received: name, colour and features ``[F, 20]`` of each.
    """
    contour = f0_contour(original)
    voiced = contour[np.isfinite(contour)]
    limits = (0.7 * voiced.min(), 1.4 * voiced.max()) if voiced.size else F0_LIMITS
    thick = {"color": GREY, "lw": 4.5, "alpha": 0.45, "label": "original"}
    with canvas(path, WIDTH_INCHES, (STRIP_INCHES + 0.2) * len(received) + 0.8, title, foot) as figure:
        for index, (name, colour, features) in enumerate(received):
            axes = figure.add_subplot(len(received), 1, index + 1)
            draw_f0(axes, [(contour, thick), (f0_contour(features), {"color": colour, "lw": 1.4})], limits)
            axes.set_xlim(0, len(contour) * FRAME_SECONDS)
            _name_strip(axes, f"{name}, original in grey", index == len(received) - 1)


def _name_strip(axes: Axes, name: str, last: bool) -> None:
    axes.set_title(name, fontsize=9, loc="left", pad=2)
    axes.tick_params(labelbottom=last, labelsize=8)
    if last:
        axes.set_xlabel("time [s]")
