"""Figure canvas and colours shared by all plots."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

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


@contextmanager
def canvas(path: str | Path, width: float, height: float, title: str = "", foot: str = "") -> Iterator[Figure]:
    """An empty figure, saved whole or not at all when the block ends well.

    Args:
        path: file to write; its suffix (PNG, SVG or PDF) is the format.
        width, height: [inches], the foot not counted.
        title, foot: over the figure; notes below it, wrapped to the width.

    Raises:
        AetherError: the suffix is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if Path(path).suffix.lower() not in SUFFIXES:
        raise AetherError(f"{path}: unknown suffix {Path(path).suffix!r}; give {', '.join(SUFFIXES)}")
    columns = int(width * FOOT_CHARACTERS_PER_INCH)
    lines = [line for part in foot.splitlines() for line in textwrap.wrap(part, columns)]
    below = FOOT_LINE_INCHES * len(lines) + 0.1 if lines else 0.0
    total = height + below
    engine = ConstrainedLayoutEngine(rect=(0, below / total, 1, 1 - below / total))
    with atomic_path(path) as partial:
        figure = Figure(figsize=(width, total), dpi=DPI, layout=engine)
        if title:
            figure.suptitle(title, fontsize=TITLE_SIZE)
        yield figure
        figure.text(0.1 / width, 0.06 / total, "\n".join(lines), size=FOOT_SIZE, color="#444444", va="bottom")
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
