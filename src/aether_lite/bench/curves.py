"""Pictures of a benchmark: measures against SNR, channel uses, bit rate and bit errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aether_lite.baselines.published import published_curves
from aether_lite.bench.grid import evenly
from aether_lite.bench.metadata import RunMetadata
from aether_lite.bench.results import Summary
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, METRICS
from aether_lite.plots.canvas import GREY, canvas, legend_below
from aether_lite.plots.transmission import USABLE_LOSS, mark_usable_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE_RATE = 1000  # uses/s at which systems are compared, where the grid has it
LOSS = "feature_loss"
SNR_MEASURES = (LOSS, "vuv_error", "lsd_active_db", "estoi", "pesq_wb", "wer")
BIT_MEASURES = (
    LOSS, "vuv_error", "f0_correlation", "estoi_4k", "pesq_nb", "estoi", "pesq_wb", "dnsmos_ovrl", "wer",
)  # fmt: skip
LOSS_TICKS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
MOST_PANELS = 4
PANEL_INCHES = (4.6, 4.7)
DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
READING = (
    "Dashed: other systems, drawn where their SNR3k lies, without running them here. RADE V1: better of two models on "
    "the project's 190 validation clips (754 s, joined), phase of fading known, 1.00 s per s, about 180 ms end to end "
    "on air. RADE V2: its authors' speech and receiver, synchronisation included, frames of about 40 ms."
)
Pictures = list[tuple[str, Path]]
"""Heading and file of each."""
Curve = tuple[str, list[float], list[float]]
"""Label, x and y."""


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
    """One panel: title, axis, points, the unit of rates if each has a line (else each system), published curves."""

    title: str
    axis: Axis
    points: list[Summary]
    rates_in: str = ""
    published: tuple[Curve, ...] = ()

    def lines(self, metadata: RunMetadata) -> list[tuple[str, dict[str, Any], list[Summary]]]:
        """Label, style and points of each line."""
        from matplotlib import colormaps

        groups = _grouped(self.points, lambda s: s.condition.rate if self.rates_in else s.system)
        ordered = sorted(groups) if self.rates_in else list(groups)
        shades = colormaps["viridis"](np.linspace(0.85, 0.0, len(groups)))
        lines = []
        for key, shade in zip(ordered, shades, strict=True):
            points = sorted(groups[key], key=self.axis.place)
            label, style = metadata.system(points[0].system).title, metadata.style(points[0].system)
            if self.rates_in:
                label, style = f"{key} {self.rates_in}", {**style, "color": shade}
            lines.append((label, style, points))
        return lines


@dataclass(frozen=True)
class Picture:
    """File name, heading, measure and panels; ``ceilings`` are systems without a channel, as horizontal lines."""

    name: str
    heading: str
    measure: str
    panels: list[Panel]
    ceilings: Sequence[Summary] = ()


def draw_curves(folder: Path, metadata: RunMetadata, summaries: Sequence[Summary]) -> Pictures:
    """Draw every picture that the results have the points for."""
    drawn: Pictures = []
    pictures = _bit_pictures if metadata.on_bits else _symbol_pictures
    for picture in pictures(metadata, [s for s in summaries if s.on_air], [s for s in summaries if not s.on_air]):
        lines = ((panel, points) for panel in picture.panels for _, _, points in panel.lines(metadata))
        if any(len({panel.axis.place(s) for s in points}) > 1 for panel, points in lines):
            drawn.append((picture.heading, folder / f"{picture.name}.png"))
            _draw(drawn[-1][1], metadata, picture)
    return drawn


def _bit_pictures(metadata: RunMetadata, sent: list[Summary], ceilings: list[Summary]) -> Iterator[Picture]:
    for measure in BIT_MEASURES:
        own, title = [s for s in sent if math.isfinite(s.value(measure))], _title(measure)
        errors = _grouped(own, lambda s: s.condition.error_rate or 0.0)
        panels = [Panel(f"{100 * share:g} % bit errors", BIT_RATE, errors[share]) for share in sorted(errors)]
        yield Picture(f"{measure}_against_bit_rate", f"{title} against bit rate", measure, panels, ceilings)
        systems = _grouped(own, lambda s: s.system)
        panels = [Panel(metadata.system(name).title, BIT_ERRORS, s, "bit/s") for name, s in systems.items()]
        yield Picture(f"{measure}_against_ber", f"{title} against bit error rate", measure, panels)


def _symbol_pictures(metadata: RunMetadata, sent: list[Summary], ceilings: list[Summary]) -> Iterator[Picture]:
    sent = [s for s in sent if s.condition.snr_db is not None]
    rates = sorted({s.condition.rate for s in sent})
    if not rates:
        return
    rate = REFERENCE_RATE if REFERENCE_RATE in rates else rates[-1]
    for measure in SNR_MEASURES:
        own = [s for s in sent if s.condition.rate == rate and math.isfinite(s.value(measure))]
        panels = [
            Panel(f"channel {name}", SNR, s, published=_published(name, measure, snr_3k_db(0.0, rate)))
            for name, s in _grouped(own, _channel).items()
        ]
        heading = f"{_title(measure)} against Es/N0 at {rate} uses/s"
        yield Picture(f"{measure}_against_snr", heading, measure, panels, ceilings)
    channels = _grouped(sent, _channel)
    for channel, own in channels.items():
        snrs = _grouped(own, SNR.place)
        panels = [Panel(f"Es/N0 {snr:g} dB", USES, snrs[snr]) for snr in evenly(sorted(snrs), MOST_PANELS)]
        heading = f"Feature loss against channel uses, channel {channel}"
        yield Picture(f"feature_loss_against_uses_{channel}", heading, LOSS, panels)
    first = next(iter(channels))
    for system in metadata.systems:
        own = [s for s in channels[first] if s.system == system.name]
        if len({s.condition.rate for s in own}) > 1:
            panels = [Panel("", axis, own, "uses/s") for axis in (SNR, SNR_3K)]
            heading = f"{system.title}: feature loss at each rate, channel {first}"
            yield Picture(f"rates_{system.name}", heading, LOSS, panels)


def _grouped(points: Sequence[Summary], key: Callable[[Summary], Any]) -> dict[Any, list[Summary]]:
    groups: dict[Any, list[Summary]] = {}
    for point in points:
        groups.setdefault(key(point), []).append(point)
    return groups


def _channel(summary: Summary) -> str:
    return summary.condition.channel


def _published(channel: str, measure: str, offset: float) -> tuple[Curve, ...]:
    """Curves of other systems by their SNR3k, on an axis of Es/N0 that lies ``offset`` [dB] below."""
    return tuple(
        (label, [snr - offset for snr, _ in points], [value for _, value in points])
        for label, points in published_curves(channel, measure).items()
    )


def _draw(path: Path, metadata: RunMetadata, picture: Picture) -> None:
    measure, panels = picture.measure, picture.panels
    shown = [s for panel in panels for s in panel.points]
    notes = [READING] if any(panel.published for panel in panels) else []
    text = metadata.foot([*shown, *picture.ceilings], notes)
    width = max(7.5, PANEL_INCHES[0] * len(panels))
    with canvas(path, width, PANEL_INCHES[1] + 0.8, picture.heading, text) as figure:
        first: Axes | None = None
        for index, panel in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), index + 1, sharey=first)
            for label, style, points in panel.lines(metadata):
                _plot(axes, [panel.axis.place(s) for s in points], points, measure, label, style)
            for number, (label, x, y) in enumerate(panel.published):
                dash = DASHES[number % len(DASHES)]
                axes.plot(x, y, color="black", ls=dash, marker="x", ms=5, lw=1.2, alpha=0.75, label=label)
            if measure in AUDIO_METRICS:  # features without a channel are the original's
                for number, summary in enumerate(s for s in picture.ceilings if math.isfinite(s.value(measure))):
                    label, line = metadata.system(summary.system).title, ("--", ":")[number % 2]
                    axes.axhline(summary.value(measure), color=GREY, lw=1.2, ls=line, label=label)
            axes.set(xlabel=panel.axis.label, ylabel="" if index else _label(measure), title=panel.title)
            axes.grid(alpha=0.3)
            if panel.axis.logarithmic:
                axes.set_xscale("log")
                rates = sorted({s.condition.rate for s in panel.points})
                axes.set_xticks(rates, [str(rate) for rate in rates], fontsize=8, rotation=45)
                axes.minorticks_off()
            if panel.axis is SNR and not panel.rates_in:
                shift = snr_3k_db(0.0, panel.points[0].condition.rate)
                above = axes.secondary_xaxis("top", functions=(partial(np.add, shift), partial(np.add, -shift)))
                above.set_xlabel("SNR3k [dB]", fontsize=8)
                above.tick_params(labelsize=8)
            first = first or axes
        if measure == LOSS:
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
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        ticks = [tick for tick in LOSS_TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        mark_usable_loss(axes, size=7)


def _title(measure: str) -> str:
    return METRICS[measure].title


def _label(measure: str) -> str:
    metric = METRICS[measure]
    better = {True: "higher is better", False: "lower is better", None: "1 is right"}[metric.higher_is_better]
    return f"{metric.title}{f' [{metric.unit}]' if metric.unit else ''} ({better})"
