"""Pictures of quality: against Es/N0 and SNR3k, against channel uses per second, and one measure against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aether_lite.bench.about import About, foot, style_of
from aether_lite.bench.grid import evenly
from aether_lite.bench.published_curves import READING, Curve
from aether_lite.bench.results import Row, condition_text
from aether_lite.bench.summary import Summary
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, METRICS
from aether_lite.plots.canvas import GREY, canvas, legend_below
from aether_lite.plots.transmission import USABLE_LOSS, mark_usable_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC = ("feature_loss",)
LOSS_TICKS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
MOST_PANELS = 4
PANEL = (4.6, 4.2)  # [inches]


def quality_snr_picture(
    path: Path,
    about: About,
    summaries: Sequence[Summary],
    rate: int,
    measure: str = "feature_loss",
    published: Sequence[Curve] = (),
) -> None:
    """Quality of every system at one rate against Es/N0 (SNR3k above), one panel a channel.

    Args:
        path: the PNG.
        about: of the benchmark.
        summaries: all; those at ``rate`` are drawn.
        rate: [uses/s].
        measure: column.
        published: curves from elsewhere, drawn dashed and named as published.
    """
    own = [s for s in summaries if s.on_air and s.condition.rate == rate and s.condition.snr_db is not None]
    channels = list(dict.fromkeys(s.condition.channel for s in own))
    others = [curve for curve in published if curve.channel in channels and curve.measure == measure]
    notes = [READING] if others else []
    title = f"{METRICS[measure].title} against channel quality at {rate} uses/s"
    width = max(7.5, PANEL[0] * len(channels))
    with canvas(path, width, PANEL[1] + 1.5, title, foot(about, own, notes)) as figure:
        for index, channel in enumerate(channels):
            axes = figure.add_subplot(1, len(channels), index + 1)
            here = [s for s in own if s.condition.channel == channel]
            for name in dict.fromkeys(s.system for s in here):
                _line(axes, about, [s for s in here if s.system == name], measure)
            for shade, curve in enumerate(curve for curve in others if curve.channel == channel):
                _published(axes, curve, shade, rate)
            scale(axes, measure)
            ceiling(axes, about, summaries, measure)
            axes.set(xlabel="Es/N0 [dB]", ylabel=axis_label(measure), title=f"channel {channel}")
            _snr3k_above(axes, rate)
        legend_below(figure)


def rates_picture(path: Path, about: About, summaries: Sequence[Summary], system: str, channel: str) -> None:
    """Feature loss of one system at all its rates, against Es/N0 (left) and against SNR3k (right)."""
    own = [s for s in summaries if s.system == system and s.condition.channel == channel and s.on_air]
    own = [s for s in own if s.condition.snr_db is not None]
    rates = sorted({s.condition.rate for s in own})
    title = f"{about.system(system).title}: feature loss at each rate, channel {channel}"
    from matplotlib import colormaps

    shades = colormaps["viridis"](np.linspace(0.85, 0.0, len(rates)))
    with canvas(path, 2 * PANEL[0], PANEL[1] + 0.5, title, foot(about, own)) as figure:
        for index, axis in enumerate(("Es/N0 [dB]", "SNR3k [dB]")):
            axes = figure.add_subplot(1, 2, index + 1)
            for rate, shade in zip(rates, shades, strict=True):
                line = [s for s in own if s.condition.rate == rate]
                offset = snr_3k_db(0.0, rate) if index else 0.0
                _line(axes, about, line, "feature_loss", offset, color=shade, label=f"{rate} uses/s")
            scale(axes, "feature_loss")
            axes.set(xlabel=axis, ylabel=axis_label("feature_loss"))
            axes.legend(fontsize=8)


def quality_uses_picture(path: Path, about: About, summaries: Sequence[Summary], channel: str) -> None:
    """Feature loss against uses/s (SNR3k above), one panel for each of a few Es/N0, a line a system."""
    own = [s for s in summaries if s.on_air and s.condition.channel == channel and s.condition.snr_db is not None]
    snrs = evenly(sorted({s.condition.snr_db for s in own if s.condition.snr_db is not None}), MOST_PANELS)
    values = [s.value("feature_loss") for s in own if s.condition.snr_db in snrs]
    title = f"Feature loss against channel uses, channel {channel}"
    with canvas(path, max(7.5, 3.4 * len(snrs)), PANEL[1] + 0.5, title, foot(about, own)) as figure:
        for index, snr in enumerate(snrs):
            axes = figure.add_subplot(1, len(snrs), index + 1)
            here = [s for s in own if s.condition.snr_db == snr]
            for name in dict.fromkeys(s.system for s in here):
                line = sorted((s for s in here if s.system == name), key=lambda s: s.uses_per_s)
                x = [s.uses_per_s for s in line]
                with_band(axes, x, line, "feature_loss", label=about.system(name).title, **style_of(about, name))
            axes.set_xscale("log")
            rates = sorted({s.condition.rate for s in here})
            axes.set_xticks(rates, [str(rate) for rate in rates], fontsize=8)
            axes.minorticks_off()
            scale(axes, "feature_loss", values)
            axes.set(
                xlabel="uses/s", ylabel=axis_label("feature_loss") if index == 0 else "", title=f"Es/N0 {snr:g} dB"
            )
            above = axes.secondary_xaxis("top", functions=(_same, _same))
            above.set_xticks(rates, [f"{snr_3k_db(snr, rate):.0f}" for rate in rates], fontsize=8)
            above.minorticks_off()
            above.set_xlabel("SNR3k [dB]", fontsize=8)
        legend_below(figure, 3)


def scatter_picture(path: Path, about: About, rows: Sequence[Row], summaries: Sequence[Summary], y: str) -> None:
    """An audio measure against feature loss: a dot for each clip and condition."""
    shown = [row for row in rows if math.isfinite(row.record.get(y, math.nan)) and row.record["feature_loss"] > 0]
    names = list(dict.fromkeys(row.system for row in shown))
    own = [s for s in summaries if s.system in names]
    where = "; ".join(dict.fromkeys(condition_text(row.condition) for row in shown))
    title = f"{METRICS[y].title} against feature loss, clip by clip"
    with canvas(path, 8, 5, title, foot(about, own, [f"Conditions: {where}."])) as figure:
        axes = figure.add_subplot()
        for name in names:
            x, values = zip(
                *((row.record["feature_loss"], row.record[y]) for row in shown if row.system == name), strict=True
            )
            style = style_of(about, name)
            axes.scatter(x, values, s=14, alpha=0.6, lw=0, label=about.system(name).title, **_dots(style))
        axes.set_xscale("log")
        reach = [row.record["feature_loss"] for row in shown]
        ticks = [tick for tick in LOSS_TICKS if min(reach) / 1.3 <= tick <= max(reach) * 1.3]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel=axis_label("feature_loss"), ylabel=axis_label(y))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)


def _line(axes: Axes, about: About, line: Sequence[Summary], measure: str, offset: float = 0.0, **style: Any) -> None:
    ordered = sorted(line, key=lambda s: s.condition.snr_db or 0.0)
    x = [(s.condition.snr_db or 0.0) + offset for s in ordered]
    name = ordered[0].system
    with_band(axes, x, ordered, measure, **{"label": about.system(name).title, **style_of(about, name), **style})


def with_band(axes: Axes, x: Sequence[float], line: Sequence[Summary], measure: str, **style: Any) -> None:
    estimates = [s.estimates[measure] for s in line]
    axes.plot(x, [e.value for e in estimates], lw=1.8, ms=5, **style)
    if all(math.isfinite(e.low) for e in estimates):
        low, high = [e.low for e in estimates], [e.high for e in estimates]
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)


def _published(axes: Axes, curve: Curve, shade: int, rate: int) -> None:
    """A curve from elsewhere, by its SNR3k, on an axis of Es/N0 at ``rate``."""
    x, y = (np.array(values) for values in zip(*curve.points, strict=True))
    dashes = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))[shade % 3]
    label = f"{curve.label}, {curve.rate} uses/s"
    axes.plot(x - snr_3k_db(0.0, rate), y, color="black", ls=dashes, marker="x", ms=5, lw=1.2, alpha=0.75, label=label)


def ceiling(axes: Axes, about: About, summaries: Sequence[Summary], measure: str) -> None:
    """A line for each system without a channel, at what its audio reaches; its features are the original's."""
    silent = [s for s in summaries if not s.on_air and math.isfinite(s.value(measure)) and measure in AUDIO_METRICS]
    for index, summary in enumerate(silent):
        title = about.system(summary.system).title
        axes.axhline(summary.value(measure), color=GREY, lw=1.2, ls=("--", ":")[index % 2], label=title)


def scale(axes: Axes, measure: str, values: Sequence[float] = ()) -> None:
    """Axis of a measure; a logarithmic one keeps readable numbers."""
    axes.grid(alpha=0.3)
    if measure not in LOGARITHMIC:
        return
    axes.set_yscale("log")
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    drawn = np.array(values) if values else np.concatenate([np.array([USABLE_LOSS]), *lines])
    positive = [float(y) for y in drawn if np.isfinite(y) and y > 0] or [USABLE_LOSS]
    low, high = min(0.8 * min(positive), 0.9 * USABLE_LOSS), max(1.25 * max(positive), 1.25 * USABLE_LOSS)
    axes.set_ylim(low, high)
    ticks = [tick for tick in LOSS_TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    mark_usable_loss(axes, size=7)


def _snr3k_above(axes: Axes, rate: int) -> None:
    offset = snr_3k_db(0.0, rate)

    def to_snr3k(x: Any) -> Any:
        return x + offset

    def from_snr3k(x: Any) -> Any:
        return x - offset

    above = axes.secondary_xaxis("top", functions=(to_snr3k, from_snr3k))
    above.set_xlabel(f"SNR3k [dB] at {rate} uses/s", fontsize=8)
    above.tick_params(labelsize=8)


def axis_label(measure: str) -> str:
    metric = METRICS[measure]
    better = {True: "higher is better", False: "lower is better", None: "1 is right"}[metric.higher_is_better]
    return f"{metric.title}{f' [{metric.unit}]' if metric.unit else ''} ({better})"


def _dots(style: dict[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "marker": style["marker"]}


def _same(x: Any) -> Any:
    return x
