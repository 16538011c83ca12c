"""What a comparison of vocoders writes: a table of clips, a table of means, a picture of the trade-off."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aether_lite.bench.bootstrap import Estimate, estimate
from aether_lite.bench.tables import markdown, shown, with_interval
from aether_lite.bench.vocoders.compare import MEASURES, ORIGINAL, Result
from aether_lite.files import atomic_path
from aether_lite.metrics import METRICS
from aether_lite.metrics.resynthesis import SPECTRAL
from aether_lite.plots.canvas import COLOURS, GREY, MARKERS, canvas

CSV_NAME, TABLE_NAME, PICTURE_NAME = "results.csv", "table.md", "trade_off.png"
SHOWN = (
    "pesq_wb", "estoi", "lsd_audio_db", SPECTRAL, "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808",
    "f0_correlation", "vuv_error",
)  # fmt: skip
"""Columns of the table."""
DIGITS = {"pesq_wb": 2, "lsd_audio_db": 2}
TRADE = ("pesq_wb", "dnsmos_ovrl")  # x and y of the picture
FOOT = (
    "Mean over clips; bars and brackets: 95 % bootstrap interval over clips (percentile, 2000 resamples). "
    "Features by this package's extractor; output clipped to +-1. "
)


def write_comparison(folder: Path, results: Sequence[Result], title: str) -> str:
    """Write ``results.csv``, ``table.md`` and ``trade_off.png``; returns the table.

    Args:
        folder: exists.
        results: of :func:`~aether_lite.bench.vocoders.compare.compare`.
        title: what the clips are, such as ``test split, 60 clips of 5 speakers``.

    Raises:
        AetherError: a file cannot be written.
    """
    names = list(dict.fromkeys(result.vocoder for result in results))
    table = document(results, names, title)
    with atomic_path(folder / CSV_NAME) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["vocoder", "clip", "speaker", *MEASURES])
        for result in results:
            numbers = [f"{result.record[n]:.6g}" if n in result.record else "" for n in MEASURES]
            writer.writerow([result.vocoder, result.clip.path, result.clip.speaker, *numbers])
    with atomic_path(folder / TABLE_NAME) as partial:
        partial.write_text(table, encoding="utf-8")
    draw_trade_off(folder / PICTURE_NAME, results, names, title)
    return table


def document(results: Sequence[Result], names: Sequence[str], title: str) -> str:
    """Markdown: means, paired differences to the first vocoder, means by speaker, the clips."""
    rivals = [name for name in names if name != ORIGINAL]
    headings = [_heading(name) for name in SHOWN]
    means = [[name, *(_text(estimate(_values(results, name, m)), m) for m in SHOWN)] for name in names]
    parts = [f"{title}. {FOOT}", markdown(["vocoder", *headings], means)]
    if len(rivals) > 1:
        rows = [[name, *(_text(paired(results, name, rivals[0], m), m) for m in SHOWN)] for name in rivals[1:]]
        parts += [f"Difference to {rivals[0]}, clip by clip:", markdown(["vocoder", *headings], rows)]
    speakers = sorted({result.clip.speaker for result in results})
    by_speaker = []
    for speaker in speakers:
        own = [result for result in results if result.clip.speaker == speaker]
        for name in names:
            values = [
                float(np.nanmean(v)) if np.isfinite(v := _values(own, name, m)).any() else math.nan for m in SHOWN
            ]
            by_speaker.append(
                [speaker, name, *(shown(x, DIGITS.get(m, 3)) for x, m in zip(values, SHOWN, strict=True))]
            )
    parts += ["By speaker:", markdown(["speaker", "vocoder", *headings], by_speaker)]
    clips = sorted({result.clip.path for result in results})
    parts += ["Clips:", "\n".join(f"* {clip}" for clip in clips)]
    return "\n\n".join(parts) + "\n"


def paired(results: Sequence[Result], name: str, base: str, measure: str) -> Estimate:
    """Mean over clips of one vocoder's number less another's, with its interval."""
    return estimate(_values(results, name, measure) - _values(results, base, measure))


def draw_trade_off(path: Path, results: Sequence[Result], names: Sequence[str], title: str) -> None:
    """DNSMOS against PESQ, a point for each vocoder; the original, which has no PESQ, as a line."""
    horizontal, vertical = TRADE
    with canvas(path, 7.5, 5.0, "Closer to the original, or better to hear", f"{title}. {FOOT}") as figure:
        axes = figure.add_subplot()
        for number, name in enumerate(n for n in names if n != ORIGINAL):
            x, y = (estimate(_values(results, name, measure)) for measure in TRADE)
            axes.errorbar(
                x.value, y.value, xerr=_bars(x), yerr=_bars(y), label=name, capsize=3, ms=8, lw=1.2,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            )  # fmt: skip
        if ORIGINAL in names:
            level = estimate(_values(results, ORIGINAL, vertical)).value
            axes.axhline(level, color=GREY, ls="--", lw=1.2)
            axes.annotate(
                "original speech", (0.01, level), (0, 4), xycoords=axes.get_yaxis_transform(), color=GREY,
                textcoords="offset points", fontsize=9,
            )  # fmt: skip
        axes.set(xlabel=_heading(horizontal), ylabel=_heading(vertical))
        axes.margins(0.15)
        axes.legend(fontsize=9, loc="lower right")
        axes.grid(alpha=0.3)


def _values(results: Sequence[Result], name: str, measure: str) -> NDArray[np.float64]:
    """Of every clip, in the order of the results; NaN where it is not defined."""
    return np.array([result.record.get(measure, math.nan) for result in results if result.vocoder == name])


def _bars(value: Estimate) -> NDArray[np.float64]:
    """Lengths of the error bars ``[2, 1]``; none for a single clip."""
    bars: NDArray[np.float64] = np.array([[value.value - value.low], [value.high - value.value]])
    return np.nan_to_num(bars).clip(0)


def _text(value: Estimate, measure: str) -> str:
    return with_interval(value, DIGITS.get(measure, 3))


def _heading(measure: str) -> str:
    return "Spectral loss ↓" if measure == SPECTRAL else METRICS[measure].heading()
