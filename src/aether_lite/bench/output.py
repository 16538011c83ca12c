"""From results to files: tables of numbers, Markdown, pictures and the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aether_lite
from aether_lite.bench.about import ABOUT_NAME, About, describe_systems, foot, seconds_of, style_of, write_about
from aether_lite.bench.bit_curves import on_bits, quality_ber_picture, quality_bit_rate_picture
from aether_lite.bench.curves import (
    quality_snr_picture,
    quality_uses_picture,
    rates_picture,
    scatter_picture,
)
from aether_lite.bench.fingerprint import package_versions
from aether_lite.bench.heard import Example
from aether_lite.bench.published_curves import calibration_lines, published_curves
from aether_lite.bench.report import write_report
from aether_lite.bench.results import RESULTS_NAME, Row, condition_text, write_results
from aether_lite.bench.run import Plan, data_title
from aether_lite.bench.summary import SUMMARY_NAME, Summary, summarise, write_summary
from aether_lite.bench.tables import all_measures, full_document
from aether_lite.files import atomic_path
from aether_lite.metrics import AUDIO_METRICS, METRICS, missing_line
from aether_lite.plots.speech import f0_overlays, spectrogram_strips
from aether_lite.training.provenance import commit

TABLES_NAME = "tables.md"
REPORT_NAME = "report.html"
PICTURES_FOLDER = "pictures"
REFERENCE_RATE = 1000  # uses/s at which systems are compared, where the grid has it
SNR_MEASURES = ("feature_loss", "vuv_error", "lsd_active_db")
AUDIO_SNR_MEASURES = ("estoi", "pesq_wb", "wer")
BIT_MEASURES = (
    "feature_loss", "vuv_error", "f0_correlation", "estoi_4k", "pesq_nb", "estoi", "pesq_wb", "dnsmos_ovrl", "wer",
)  # fmt: skip
SCATTER_MEASURES = ("estoi", "pesq_wb")
FEWEST_SNRS = 2  # for a curve
Say = Callable[[str], None]
Pictures = list[tuple[str, Path]]


@dataclass(frozen=True)
class Report:
    """What is written, beside the rows.

    Attributes:
        about: of the benchmark.
        heard: clips for players and strips.
        speed: Markdown of speed figures; empty for none.
    """

    about: About
    heard: tuple[Example, ...] = ()
    speed: str = ""


def describe(plan: Plan, rows: Sequence[Row], command: str, absent: Sequence[str] = ()) -> About:
    """What a reader must know of a run.

    Args:
        plan: what was run.
        rows: its results.
        command: that ran it.
        absent: lines on systems that are not installed.
    """
    heard = sorted({row.clip for row in rows if any(name in row.record for name in AUDIO_METRICS)})
    conditions = [condition_text(condition) for condition in plan.grid.heard()] if heard else []
    left_out = plan.grid.without if heard else ()
    lacking = missing_line(name for name in AUDIO_METRICS if name not in left_out) if heard else None
    asked = [f"not measured, as asked: {', '.join(METRICS[name].title for name in left_out)}"] if left_out else []
    return About(
        command=command,
        version=aether_lite.__version__,
        commit=commit(),
        seed=plan.seed,
        data=data_title(plan),
        clips=len(plan.dataset.sources),
        files=plan.dataset.files,
        seconds=seconds_of(rows),
        audio_clips=len(heard),
        audio_conditions=tuple(conditions),
        state=plan.grid.state or "",
        systems=describe_systems(plan.instances()),
        missing=(*(f"left out: {line}" for line in absent), *([lacking] if lacking else []), *asked),
        calibration=() if plan.grid.on_bits else calibration_lines(),
        packages=package_versions(),
        on_bits=plan.grid.on_bits,
    )


def write_all(folder: Path, rows: Sequence[Row], report: Report, say: Say | None = None) -> list[Summary]:
    """Write ``results.csv``, ``summary.csv``, ``about.json``, ``tables.md``, ``pictures/`` and ``report.html``.

    Args:
        folder: exists.
        rows: of the benchmark.
        report: what else is in it.
        say: told what is being written.

    Raises:
        AetherError: a file cannot be written.
    """
    tell = say or (lambda step: None)
    about = report.about
    summaries = summarise(rows, about.seed)
    tell("tables")
    write_results(folder / RESULTS_NAME, rows, all_measures())
    write_summary(folder / SUMMARY_NAME, summaries)
    write_about(folder / ABOUT_NAME, about)
    with atomic_path(folder / TABLES_NAME) as partial:
        partial.write_text(full_document(about, summaries), encoding="utf-8")
    tell("pictures")
    (folder / PICTURES_FOLDER).mkdir(exist_ok=True)
    drawn = draw_all(folder / PICTURES_FOLDER, about, rows, summaries, report.heard)
    tell("page")
    write_report(folder / REPORT_NAME, about, summaries, drawn, report.heard, report.speed)
    return summaries


def draw_all(
    folder: Path, about: About, rows: Sequence[Row], summaries: Sequence[Summary], heard: Sequence[Example]
) -> Pictures:
    """Every picture that the results have the points for: heading and file."""
    sent = [s for s in summaries if s.on_air and s.condition.snr_db is not None]
    drawn = _bit_curves(folder, about, summaries) if about.on_bits else _curves(folder, about, summaries, sent)
    for measure in SCATTER_MEASURES:
        if any(math.isfinite(row.record.get(measure, math.nan)) and row.record["feature_loss"] > 0 for row in rows):
            path = folder / f"{measure}_against_feature_loss.png"
            scatter_picture(path, about, rows, summaries, measure)
            drawn.append((f"{METRICS[measure].title} against feature loss", path))
    for number, example in enumerate(heard, 1):
        for order, condition in enumerate(example.conditions(), 1):
            words = f"{example.clip.name}: {condition_text(condition)}"
            sounds = example.at(condition)
            names = {sound.system for sound in sounds}
            text = foot(about, [s for s in summaries if s.system in names])
            titled = [(about.system(sound.system).title, sound) for sound in sounds]
            path = folder / f"spectrograms_{number}_{order}.png"
            clips = [("original", example.clip.speech), *((title, sound.audio) for title, sound in titled)]
            spectrogram_strips(path, words, text, clips)
            drawn.append((f"Spectrograms, {words}", path))
            path = folder / f"f0_{number}_{order}.png"
            contours = [
                (title, str(style_of(about, sound.system)["color"]), sound.features)
                for title, sound in titled
                if sound.condition is not None
            ]
            f0_overlays(path, f"{words}: F0 contour", text, example.clip.features, contours)
            drawn.append((f"F0 contour, {words}", path))
    return drawn


def _bit_curves(folder: Path, about: About, summaries: Sequence[Summary]) -> Pictures:
    """Quality against bit rate and bit error rate, for every measure that was taken."""
    drawn: Pictures = []
    for measure in BIT_MEASURES:
        own = [s.condition for s in on_bits(summaries, measure)]
        for name, words, draw, points in (
            ("bit_rate", "bit rate", quality_bit_rate_picture, {condition.rate for condition in own}),
            ("ber", "bit error rate", quality_ber_picture, {condition.error_rate for condition in own}),
        ):
            if len(points) > 1:
                path = folder / f"{measure}_against_{name}.png"
                draw(path, about, summaries, measure)
                drawn.append((f"{METRICS[measure].title} against {words}", path))
    return drawn


def _curves(folder: Path, about: About, summaries: Sequence[Summary], sent: Sequence[Summary]) -> Pictures:
    """Quality against SNR and against channel uses."""
    drawn: Pictures = []
    rates = sorted({s.condition.rate for s in sent})
    snrs = {s.condition.snr_db for s in sent}
    channels = list(dict.fromkeys(s.condition.channel for s in sent))
    if not rates:
        return drawn
    rate = REFERENCE_RATE if REFERENCE_RATE in rates else rates[-1]
    curves = published_curves()
    for measure in (*SNR_MEASURES, *AUDIO_SNR_MEASURES):
        at_rate = [s for s in sent if s.condition.rate == rate and math.isfinite(s.value(measure))]
        if len({s.condition.snr_db for s in at_rate}) >= FEWEST_SNRS:
            path = folder / f"{measure}_against_snr.png"
            own = [*at_rate, *(s for s in summaries if not s.on_air)]
            quality_snr_picture(path, about, own, rate, measure, curves)
            drawn.append((f"{METRICS[measure].title} against Es/N0 and SNR3k at {rate} uses/s", path))
    if len(rates) > 1:
        for channel in channels:
            path = folder / f"feature_loss_against_uses_{channel}.png"
            quality_uses_picture(path, about, summaries, channel)
            drawn.append((f"Feature loss against uses/s, channel {channel}", path))
    for system in about.systems:
        own = [s for s in sent if s.system == system.name and s.condition.channel == channels[0]]
        if len({s.condition.rate for s in own}) > 1 and len(snrs) >= FEWEST_SNRS:
            path = folder / f"rates_{system.name}.png"
            rates_picture(path, about, summaries, system.name, channels[0])
            drawn.append((f"{system.title} at each rate, channel {channels[0]}", path))
    return drawn
