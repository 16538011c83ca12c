"""Tables in the documents are those of the kept results."""

from __future__ import annotations

from pathlib import Path

import pytest
from result_tables import MARKED, refreshed

from aether_lite.bench.metadata import METADATA_NAME, read_metadata
from aether_lite.bench.results import RESULTS_NAME, SUMMARY_NAME, read_summary
from aether_lite.reading import read_table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
DOCUMENTS = sorted((ROOT / "docs" / "results").glob("*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_marked_tables_are_those_of_the_kept_results(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    command = f"python docs/result_tables.py docs/results {document.relative_to(ROOT)}"
    assert refreshed(text, RESULTS) == text, f"tables have drifted: {command}"


def test_the_pages_on_results_have_tables() -> None:
    tables = {match[3] for document in DOCUMENTS for match in MARKED.finditer(document.read_text(encoding="utf-8"))}
    assert {"systems", "audio", "coders", "notes", "feature_loss awgn", "feature_loss bsc"} <= tables


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RESULTS.rglob(METADATA_NAME)), ids=lambda path: path.name
)
def test_kept_results_say_how_they_were_made_and_agree(folder: Path) -> None:
    about, summaries = read_metadata(folder / METADATA_NAME), read_summary(folder / SUMMARY_NAME)
    assert about.command.startswith("aether-lite bench")
    assert len(about.commit.rstrip("+")) == 40
    assert {summary.system for summary in summaries} == {system.name for system in about.systems}
    lines = read_table(folder / RESULTS_NAME, "results")
    for summary in summaries:
        own = [
            line
            for line in lines
            if line["system"] == summary.system
            and (line["channel"], line["rate"]) == (summary.condition.channel, str(summary.condition.rate))
            and line["snr_db"] == ("-" if summary.condition.snr_db is None else f"{summary.condition.snr_db:g}")
            and line["ber"] == ("-" if summary.condition.error_rate is None else f"{summary.condition.error_rate:g}")
        ]
        assert len(own) == about.clips
        frames = [float(line["frames"]) for line in own]
        losses = [float(line["feature_loss"]) for line in own]
        mean = sum(f * loss for f, loss in zip(frames, losses, strict=True)) / sum(frames)
        assert mean == pytest.approx(summary.value("feature_loss"), rel=1e-5)
