"""What all pictures of a benchmark share: an empty figure, colours of systems, and the foot that says what is shown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite.bench.about import About, system_line
from aether_lite.bench.summary import Summary
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

DPI = 120
FOOT_SIZE = 7.5  # [pt]
CHARACTERS_PER_INCH = 16.5  # of the foot
LINE_INCHES = 0.145  # height of a line of the foot
LEGEND_LINE_INCHES = 0.17
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#5B4B8A", "#444444")
"""Okabe and Ito's palette without yellow, and three more."""
MARKERS = "osD^vPX*h"
GREY = "#777777"
DEFINITIONS = (
    "Es/N0 per complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000); uses/s: payload symbols per second. "
    "Bands: 95 % bootstrap over clips."
)
BIT_DEFINITIONS = "Binary symmetric channel, no modulation, no channel code. Bands: 95 % bootstrap over clips."


def style_of(about: About, name: str) -> dict[str, Any]:
    """Colour and marker of a system, the same on every picture of a benchmark."""
    index = [system.name for system in about.systems].index(name)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def foot(about: About, summaries: Sequence[Summary], further: Iterable[str] = ()) -> str:
    """Data, systems, channel state and definitions, for under a picture."""
    shown = {summary.system for summary in summaries}
    systems = "; ".join(system_line(about, s.name, summaries) for s in about.systems if s.name in shown)
    state = {s.channel_state for s in about.systems if s.name in shown}
    asked = f"asked for: {about.state}" if about.state else "default of each channel"
    known = f"Receiver's channel state ({asked}): {'; '.join(sorted(state))}."
    return "\n".join(
        [about.data_line(), f"{systems}.", known, *further, BIT_DEFINITIONS if about.on_bits else DEFINITIONS]
    )


def legend_below(figure: Figure, columns: int = 2) -> None:
    """One legend for all panels, below them, each line named once."""
    named: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # canvas makes no other
    left, bottom, width, height = engine.get()["rect"]
    room = (LEGEND_LINE_INCHES * math.ceil(len(named) / columns) + 0.2) / figure.get_figheight()
    engine.set(rect=(left, bottom + room, width, height - room))
    lines, names = list(named.values()), list(named)
    figure.legend(lines, names, ncols=columns, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, bottom))


@contextmanager
def canvas(path: Path, width: float, height: float, title: str, text: str) -> Iterator[Figure]:
    """An empty figure with a title and a foot, saved as PNG when the block ends well.

    Args:
        path: the PNG.
        width, height: [inches], the foot not counted.
        title: over it all.
        text: foot; wrapped to the width.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = int(width * CHARACTERS_PER_INCH)
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, columns)]
    below = LINE_INCHES * len(lines) + 0.1
    total = height + below
    engine = ConstrainedLayoutEngine(rect=(0, below / total, 1, 1 - below / total))
    with atomic_path(path) as partial:
        figure = Figure(figsize=(width, total), dpi=DPI, layout=engine)
        figure.suptitle(title, fontsize=13)
        yield figure
        figure.text(0.1 / width, 0.06 / total, "\n".join(lines), size=FOOT_SIZE, color="#444444", va="bottom")
        figure.savefig(partial, format="png")
