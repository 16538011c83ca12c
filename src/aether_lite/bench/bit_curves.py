"""Pictures of quality on a binary channel: against bit rate, and against bit error rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aether_lite.bench.about import About, foot, style_of
from aether_lite.bench.curves import PANEL, axis_label, ceiling, scale, with_band
from aether_lite.bench.summary import Summary
from aether_lite.metrics import METRICS
from aether_lite.plots.canvas import canvas, legend_below

PERCENT = 100


def quality_bit_rate_picture(path: Path, about: About, summaries: Sequence[Summary], measure: str) -> None:
    """Quality against bit/s, one panel for each bit error rate, a line a system; ceilings dashed.

    Args:
        path: the PNG.
        about: of the benchmark.
        summaries: all; those that have the measure are drawn.
        measure: column.
    """
    own = on_bits(summaries, measure)
    shares = sorted({s.condition.error_rate or 0.0 for s in own})
    title = f"{METRICS[measure].title} against bit rate"
    drawn = [*own, *(s for s in summaries if not s.on_air)]
    with canvas(path, max(7.5, PANEL[0] * len(shares)), PANEL[1] + 0.8, title, foot(about, drawn)) as figure:
        first = None
        for index, share in enumerate(shares):
            axes = figure.add_subplot(1, len(shares), index + 1, sharey=first)
            first = first or axes
            here = [s for s in own if s.condition.error_rate == share]
            for name in dict.fromkeys(s.system for s in here):
                line = sorted((s for s in here if s.system == name), key=lambda s: s.condition.rate)
                x = [s.condition.rate for s in line]
                with_band(axes, x, line, measure, label=about.system(name).title, **style_of(about, name))
            ceiling(axes, about, summaries, measure)
            scale(axes, measure, [s.value(measure) for s in own])
            axes.set_xscale("log")
            rates = sorted({s.condition.rate for s in here})
            axes.set_xticks(rates, [str(rate) for rate in rates], fontsize=8, rotation=45)
            axes.minorticks_off()
            axes.set(xlabel="bit/s", ylabel=axis_label(measure) if index == 0 else "")
            axes.set_title(f"{PERCENT * share:g} % bit errors")
        legend_below(figure)


def quality_ber_picture(path: Path, about: About, summaries: Sequence[Summary], measure: str) -> None:
    """Quality against bit error rate, one panel for each system, a line a bit rate. Arguments as above."""
    from matplotlib import colormaps

    own = on_bits(summaries, measure)
    names = list(dict.fromkeys(s.system for s in own))
    rates = sorted({s.condition.rate for s in own})
    shades = dict(zip(rates, colormaps["viridis"](np.linspace(0.85, 0.0, len(rates))), strict=True))
    title = f"{METRICS[measure].title} against bit error rate"
    with canvas(path, max(7.5, PANEL[0] * len(names)), PANEL[1] + 0.5, title, foot(about, own)) as figure:
        first = None
        for index, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), index + 1, sharey=first)
            first = first or axes
            for rate in rates:
                line = [s for s in own if s.system == name and s.condition.rate == rate]
                line.sort(key=lambda s: s.condition.error_rate or 0.0)
                if line:
                    x = [PERCENT * (s.condition.error_rate or 0.0) for s in line]
                    style = {**style_of(about, name), "color": shades[rate], "label": f"{rate} bit/s"}
                    with_band(axes, x, line, measure, **style)
            scale(axes, measure, [s.value(measure) for s in own])
            axes.set(xlabel="bit errors [%]", ylabel=axis_label(measure) if index == 0 else "")
            axes.set_title(about.system(name).title, fontsize=10)
            axes.legend(fontsize=8)


def on_bits(summaries: Sequence[Summary], measure: str) -> list[Summary]:
    """Those on the binary channel that have a measure."""
    return [s for s in summaries if s.condition.error_rate is not None and np.isfinite(s.value(measure))]
