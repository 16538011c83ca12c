"""Pictures of a benchmark: measures against SNR, channel uses, bit rate and bit errors, and against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aether_lite.baselines.published import better_model, published_points
from aether_lite.bench.grid import evenly
from aether_lite.bench.metadata import RunMetadata
from aether_lite.bench.results import Row, Summary, condition_text
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, METRICS
from aether_lite.plots.canvas import GREY, canvas, legend_below
from aether_lite.plots.transmission import USABLE_LOSS, mark_usable_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE_RATE = 1000  # uses/s at which systems are compared, where the grid has it
SNR_MEASURES = ("feature_loss", "vuv_error", "lsd_active_db", "estoi", "pesq_wb", "wer")
BIT_MEASURES = (
    "feature_loss", "vuv_error", "f0_correlation", "estoi_4k", "pesq_nb", "estoi", "pesq_wb", "dnsmos_ovrl", "wer",
)  # fmt: skip
SCATTER_MEASURES = ("estoi", "pesq_wb")
LOSS_TICKS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
MOST_PANELS = 4
PANEL_INCHES = (4.6, 4.7)
READING = (
    "Dashed: other systems, drawn where their SNR3k lies, without running them here. RADE V1: better of two models on "
    "the project's 190 validation clips (754 s, joined), phase of fading known, 1.00 s per s, about 180 ms end to end "
    "on air. RADE V2: its authors' speech and receiver, synchronisation included, frames of about 40 ms."
)
Pictures = list[tuple[str, Path]]
"""Heading and file of each."""


@dataclass(frozen=True)
class Axis:
    """A horizontal axis: its label, where a summary lies on it, and whether it is logarithmic."""

    label: str
    place: Callable[[Summary], float]
    logarithmic: bool = False


SNR = Axis("Es/N0 [dB]", lambda s: s.condition.snr_db or 0.0)
SNR_3K = Axis("SNR3k [dB]", lambda s: snr_3k_db(s.condition.snr_db or 0.0, s.condition.rate))
USES = Axis("uses/s", lambda s: s.uses_per_s, True)
BIT_RATE = Axis("bit/s", lambda s: s.condition.rate, True)
BIT_ERRORS = Axis("bit errors [%]", lambda s: 100 * (s.condition.error_rate or 0.0))


@dataclass(frozen=True)
class Panel:
    """One panel of a picture.

    Attributes:
        title: above it.
        axis: horizontal.
        lines: label, style and points of each.
        above: SNR3k - Es/N0 [dB], for a second axis; None for none.
        published: lines of other systems: label, x and y.
    """

    title: str
    axis: Axis
    lines: list[tuple[str, dict[str, Any], list[Summary]]]
    above: float | None = None
    published: list[tuple[str, list[float], list[float]]] = field(default_factory=list)


def draw_curves(folder: Path, metadata: RunMetadata, summaries: Sequence[Summary], rows: Sequence[Row]) -> Pictures:
    """Draw every picture that the results have the points for."""
    ceilings = [s for s in summaries if not s.on_air]
    drawn: Pictures = []
    for name, heading, measure, panels, under in _specifications(metadata, [s for s in summaries if s.on_air]):
        if any(len({panel.axis.place(s) for s in points}) > 1 for panel in panels for _, _, points in panel.lines):
            path = folder / f"{name}.png"
            _draw(path, metadata, heading, measure, panels, ceilings if under else [])
            drawn.append((heading, path))
    for measure in SCATTER_MEASURES:
        shown = [row for row in rows if math.isfinite(row.record.get(measure, math.nan))]
        if shown := [row for row in shown if row.record["feature_loss"] > 0]:
            path, heading = folder / f"{measure}_against_feature_loss.png", f"{_title(measure)} against feature loss"
            _scatter(path, metadata, heading, shown, [s for s in summaries if s.has_audio], measure)
            drawn.append((heading, path))
    return drawn


def _specifications(
    metadata: RunMetadata, sent: list[Summary]
) -> Iterator[tuple[str, str, str, list[Panel], bool]]:
    """Of each picture: file name, heading, measure, panels, and whether it shows systems without a channel."""

    def by_system(axis: Axis, points: Sequence[Summary]) -> list[tuple[str, dict[str, Any], list[Summary]]]:
        names = dict.fromkeys(s.system for s in points)
        return [
            (metadata.system(name).title, metadata.style(name), sorted(_of(points, name), key=axis.place))
            for name in names
        ]

    def by_rate(axis: Axis, points: Sequence[Summary], unit: str) -> list[tuple[str, dict[str, Any], list[Summary]]]:
        from matplotlib import colormaps

        rates = sorted({s.condition.rate for s in points})
        shades = colormaps["viridis"](np.linspace(0.85, 0.0, len(rates)))
        return [
            (
                f"{rate} {unit}",
                {**metadata.style(points[0].system), "color": shade},
                sorted((s for s in points if s.condition.rate == rate), key=axis.place),
            )
            for rate, shade in zip(rates, shades, strict=True)
        ]

    if metadata.on_bits:
        for measure in BIT_MEASURES:
            own = [s for s in sent if math.isfinite(s.value(measure))]
            shares = sorted({s.condition.error_rate or 0.0 for s in own})
            groups = [(f"{100 * p:g} % bit errors", [s for s in own if s.condition.error_rate == p]) for p in shares]
            panels = [Panel(title, BIT_RATE, by_system(BIT_RATE, points)) for title, points in groups]
            yield f"{measure}_against_bit_rate", f"{_title(measure)} against bit rate", measure, panels, True
            panels = [
                Panel(metadata.system(name).title, BIT_ERRORS, by_rate(BIT_ERRORS, _of(own, name), "bit/s"))
                for name in dict.fromkeys(s.system for s in own)
            ]
            yield f"{measure}_against_ber", f"{_title(measure)} against bit error rate", measure, panels, False
        return
    sent = [s for s in sent if s.condition.snr_db is not None]
    if not sent:
        return
    rates = sorted({s.condition.rate for s in sent})
    rate = REFERENCE_RATE if REFERENCE_RATE in rates else rates[-1]
    channels = list(dict.fromkeys(s.condition.channel for s in sent))
    for measure in SNR_MEASURES:
        own = [s for s in sent if s.condition.rate == rate and math.isfinite(s.value(measure))]
        panels = []
        for channel in dict.fromkeys(s.condition.channel for s in own):
            lines = by_system(SNR, [s for s in own if s.condition.channel == channel])
            offset = snr_3k_db(0.0, rate)
            published = _published(channel, measure, offset)
            panels.append(Panel(f"channel {channel}", SNR, lines, offset, published))
        yield f"{measure}_against_snr", f"{_title(measure)} against Es/N0 at {rate} uses/s", measure, panels, True
    for channel in channels:
        own = [s for s in sent if s.condition.channel == channel]
        snrs = evenly(sorted({s.condition.snr_db or 0.0 for s in own}), MOST_PANELS)
        panels = [
            Panel(f"Es/N0 {snr:g} dB", USES, by_system(USES, [s for s in own if s.condition.snr_db == snr]))
            for snr in snrs
        ]
        heading = f"Feature loss against channel uses, channel {channel}"
        yield f"feature_loss_against_uses_{channel}", heading, "feature_loss", panels, False
    for system in metadata.systems:
        own = [s for s in _of(sent, system.name) if s.condition.channel == channels[0]]
        if len({s.condition.rate for s in own}) > 1:
            panels = [Panel("", axis, by_rate(axis, own, "uses/s")) for axis in (SNR, SNR_3K)]
            heading = f"{system.title}: feature loss at each rate, channel {channels[0]}"
            yield f"rates_{system.name}", heading, "feature_loss", panels, False


def _of(points: Sequence[Summary], system: str) -> list[Summary]:
    return [s for s in points if s.system == system]


def _published(channel: str, measure: str, offset: float) -> list[tuple[str, list[float], list[float]]]:
    """Curves of other systems by their SNR3k, on an axis of Es/N0 that lies ``offset`` [dB] below."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for point in better_model(published_points()):
        if (point.channel, point.metric) == (channel, measure):
            label = f"{point.label}, {point.uses_per_s} uses/s"
            groups.setdefault(label, []).append((point.snr3k_db - offset, point.value))
    return [(label, [x for x, _ in sorted(points)], [y for _, y in sorted(points)]) for label, points in groups.items()]


def _draw(
    path: Path,
    metadata: RunMetadata,
    title: str,
    measure: str,
    panels: Sequence[Panel],
    ceilings: Sequence[Summary],
) -> None:
    shown = [s for panel in panels for _, _, points in panel.lines for s in points]
    notes = [READING] if any(panel.published for panel in panels) else []
    text = metadata.foot([*shown, *ceilings], notes)
    width, height = max(7.5, PANEL_INCHES[0] * len(panels)), PANEL_INCHES[1] + 0.8
    with canvas(path, width, height, title, text) as figure:
        first: Axes | None = None
        for index, panel in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), index + 1, sharey=first)
            for label, style, points in panel.lines:
                _plot(axes, [panel.axis.place(s) for s in points], points, measure, label, style)
            for number, (label, x, y) in enumerate(panel.published):
                dashes = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))[number % 3]
                axes.plot(x, y, color="black", ls=dashes, marker="x", ms=5, lw=1.2, alpha=0.75, label=label)
            if measure in AUDIO_METRICS:  # features without a channel are the original's
                for number, summary in enumerate(s for s in ceilings if math.isfinite(s.value(measure))):
                    label, dash = metadata.system(summary.system).title, ("--", ":")[number % 2]
                    axes.axhline(summary.value(measure), color=GREY, lw=1.2, ls=dash, label=label)
            axes.set(xlabel=panel.axis.label, ylabel="" if index else _label(measure), title=panel.title)
            axes.grid(alpha=0.3)
            if panel.axis.logarithmic:
                axes.set_xscale("log")
                rates = sorted({s.condition.rate for _, _, points in panel.lines for s in points})
                axes.set_xticks(rates, [str(rate) for rate in rates], fontsize=8, rotation=45)
                axes.minorticks_off()
            if panel.above is not None:
                shifts = partial(np.add, panel.above), partial(np.add, -panel.above)
                above = axes.secondary_xaxis("top", functions=shifts)
                above.set_xlabel("SNR3k [dB]", fontsize=8)
                above.tick_params(labelsize=8)
            first = first or axes
        if measure == "feature_loss":
            _loss_scale(figure.axes[: len(panels)], [s.value(measure) for s in shown])
        legend_below(figure)


def _plot(
    axes: Axes, x: Sequence[float], points: Sequence[Summary], measure: str, label: str, style: dict[str, Any]
) -> None:
    """A line with its band of 95 %."""
    estimates = [s.estimates[measure] for s in points]
    axes.plot(x, [e.value for e in estimates], lw=1.8, ms=5, label=label, **style)
    if all(math.isfinite(e.low) for e in estimates):
        low, high = [e.low for e in estimates], [e.high for e in estimates]
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)


def _loss_scale(panels: Sequence[Axes], values: Sequence[float]) -> None:
    """Logarithmic scale with readable numbers, and the limit of usable speech."""
    positive = [value for value in values if math.isfinite(value) and value > 0] or [USABLE_LOSS]
    low, high = min(0.8 * min(positive), 0.9 * USABLE_LOSS), max(1.25 * max(positive), 1.25 * USABLE_LOSS)
    ticks = [tick for tick in LOSS_TICKS if low <= tick <= high]
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        mark_usable_loss(axes, size=7)


def _scatter(
    path: Path, metadata: RunMetadata, title: str, rows: Sequence[Row], own: Sequence[Summary], measure: str
) -> None:
    """An audio measure against feature loss: a dot for each clip and condition."""
    where = "; ".join(dict.fromkeys(condition_text(row.condition) for row in rows))
    with canvas(path, 8, 5, f"{title}, clip by clip", metadata.foot(own, [f"Conditions: {where}."])) as figure:
        axes = figure.add_subplot()
        for name in dict.fromkeys(row.system for row in rows):
            x, y = ([row.record[m] for row in rows if row.system == name] for m in ("feature_loss", measure))
            axes.scatter(x, y, s=14, alpha=0.6, lw=0, label=metadata.system(name).title, **metadata.style(name))
        axes.set_xscale("log")
        losses = [row.record["feature_loss"] for row in rows]
        ticks = [tick for tick in LOSS_TICKS if min(losses) / 1.3 <= tick <= max(losses) * 1.3]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel=_label("feature_loss"), ylabel=_label(measure))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)


def _title(measure: str) -> str:
    return METRICS[measure].title


def _label(measure: str) -> str:
    metric = METRICS[measure]
    better = {True: "higher is better", False: "lower is better", None: "1 is right"}[metric.higher_is_better]
    return f"{metric.title}{f' [{metric.unit}]' if metric.unit else ''} ({better})"
