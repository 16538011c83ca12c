"""Writes the files of a benchmark: CSV, JSON, Markdown, pictures and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aether_lite.bench.curves import Pictures, draw_curves
from aether_lite.bench.examples import Example
from aether_lite.bench.metadata import METADATA_NAME, RunMetadata, write_metadata
from aether_lite.bench.report import write_report
from aether_lite.bench.results import (
    RESULTS_NAME,
    SUMMARY_NAME,
    Row,
    Summary,
    condition_text,
    summarise,
    write_results,
    write_summary,
)
from aether_lite.bench.tables import difference_table, full_document
from aether_lite.files import atomic_path
from aether_lite.plots.speech import f0_overlays, spectrogram_strips

TABLES_NAME, REPORT_NAME, PICTURES_FOLDER = "tables.md", "report.html", "pictures"


@dataclass(frozen=True)
class Report:
    """What is written beside the rows: metadata, example clips, speed figures (Markdown), differences to a system."""

    metadata: RunMetadata
    examples: tuple[Example, ...] = ()
    speed: str = ""
    against: str = ""


def write_all(folder: Path, rows: Sequence[Row], report: Report) -> list[Summary]:
    """Write ``results.csv``, ``summary.csv``, ``about.json``, ``tables.md``, ``pictures/`` and ``report.html``.

    Raises:
        AetherError: a file cannot be written, or there is no such system to compare with.
    """
    metadata = report.metadata
    summaries = summarise(rows, metadata.seed)
    write_results(folder / RESULTS_NAME, rows)
    write_summary(folder / SUMMARY_NAME, summaries)
    write_metadata(folder / METADATA_NAME, metadata)
    differences = difference_table(metadata, rows, report.against) if report.against else ""
    with atomic_path(folder / TABLES_NAME) as partial:
        partial.write_text(full_document(metadata, summaries, differences), encoding="utf-8")
    (folder / PICTURES_FOLDER).mkdir(exist_ok=True)
    drawn = draw_curves(folder / PICTURES_FOLDER, metadata, summaries, rows)
    drawn += _draw_examples(folder / PICTURES_FOLDER, metadata, summaries, report.examples)
    write_report(folder / REPORT_NAME, metadata, summaries, drawn, report.examples, report.speed, differences)
    return summaries


def _draw_examples(
    folder: Path, metadata: RunMetadata, summaries: Sequence[Summary], examples: Sequence[Example]
) -> Pictures:
    drawn: Pictures = []
    for number, example in enumerate(examples, 1):
        for order, condition in enumerate(example.conditions(), 1):
            words = f"{example.clip.name}: {condition_text(condition)}"
            decoded = [(metadata.system(one.system).title, one) for one in example.at(condition)]
            foot = metadata.foot([s for s in summaries if any(s.system == one.system for _, one in decoded)])
            path = folder / f"spectrograms_{number}_{order}.png"
            clips = [("original", example.clip.speech), *((title, one.audio) for title, one in decoded)]
            spectrogram_strips(path, words, foot, clips)
            drawn.append((f"Spectrograms, {words}", path))
            path = folder / f"f0_{number}_{order}.png"
            contours = [
                (title, str(metadata.style(one.system)["color"]), one.features)
                for title, one in decoded
                if one.condition is not None
            ]
            f0_overlays(path, f"{words}: F0 contour", foot, example.clip.features, contours)
            drawn.append((f"F0 contour, {words}", path))
    return drawn
