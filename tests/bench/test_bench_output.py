"""What a benchmark writes: files, tables, pictures, and a page that needs nothing else."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_systems import make_noisy
from matplotlib.image import imread
from result_tables import main, refreshed, table

from aether_lite.bench.curves import _published
from aether_lite.bench.dataset import bundled
from aether_lite.bench.grid import QUICK
from aether_lite.bench.metadata import RunMetadata, describe, read_metadata
from aether_lite.bench.output import examples, write_all
from aether_lite.bench.results import Row, Summary, read_summary
from aether_lite.bench.run import Plan, run
from aether_lite.bench.tables import markdown, measure_table
from aether_lite.errors import AetherError
from aether_lite.metrics import AUDIO_METRICS
from aether_lite.plots.canvas import canvas

SMALL = replace(QUICK, snrs_db=(0.0, 20.0), clips=2, audio_clips=0, seconds=1.0)
ESTOI = {"estoi": 0.75, "pesq_wb": 2.0}


def with_estoi(rows: list[Row]) -> list[Row]:
    """As if audio metrics had been taken at 1000 uses/s."""
    return [replace(row, record={**row.record, **ESTOI}) if row.condition.rate == 1000 else row for row in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunMetadata, list[Summary]]:
    """The folder of a small benchmark of systems with a known answer."""
    folder = tmp_path_factory.mktemp("bench")
    plan = Plan(bundled().chosen(2), SMALL, ("noisy-1", "noisy-2", "nothing-sent"), 0, 1, make_noisy)
    rows = with_estoi(run(plan, folder))
    about = describe(plan, rows, "aether-lite bench --quick", ["other: needs a program"])
    return folder, about, write_all(folder, rows, about, examples(plan, 1), "| part |\n|---|\n| a |")


def test_every_result_is_a_line(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    with (written[0] / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 4 * 2 + 2
    assert all(set(AUDIO_METRICS) <= line.keys() for line in lines)
    silent = next(line for line in lines if line["system"] == "noisy-1" and line["rate"] == "300")
    assert silent["estoi"] == "-"
    assert silent["snr_3k_db"] == "-10.00"
    assert float(silent["feature_loss"]) > 0


def test_kept_files_say_what_they_are(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    folder, about, summaries = written
    assert read_metadata(folder / "about.json") == about
    assert [(s.system, s.condition) for s in read_summary(folder / "summary.csv")] == [
        (s.system, s.condition) for s in summaries
    ]
    assert about.missing[0] == "left out: other: needs a program"
    assert about.seconds == pytest.approx(2.0)


def test_the_page_refers_to_nothing_outside(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    page = (written[0] / "report.html").read_text()
    assert page.index("Feature loss at 1000 uses/s") < page.index("One channel use is")  # the result first
    assert 'name="viewport"' in page
    assert len(page.encode()) < 3_000_000
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", words)
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) >= 10
    assert all(source.startswith("data:") for source in sources)
    assert page.count("<audio") == 1 + 2 * 2 + 1  # the original, two systems at two conditions, one without a channel
    assert page.count("<img") == len(list((written[0] / "pictures").glob("*.png")))
    for needed in ("SNR3k", "Es/N0", "latency", "busy", "knows everything", "bundled samples", "2 clips"):
        assert needed in page


def test_pictures_are_drawn_and_not_empty(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    names = {path.stem for path in (written[0] / "pictures").glob("*.png")}
    assert {
        "feature_loss_against_snr",
        "estoi_against_snr",
        "feature_loss_against_uses_awgn",
        "rates_noisy-1",
        "spectrograms_1_1",
        "f0_1_1",
    } <= names
    for name in names:
        picture = imread(written[0] / "pictures" / f"{name}.png")
        assert picture.shape[1] >= 800
        assert picture[..., :3].std() > 0.02, name


def test_tables_hold_the_summary_and_its_assumptions(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    folder, about, summaries = written
    text = (folder / "tables.md").read_text()
    value = next(
        s for s in summaries if s.system == "noisy-2" and s.condition.snr_db == 0.0 and s.condition.rate == 300
    )
    lines = measure_table(about, summaries, "awgn", "feature_loss").splitlines()
    row = next(line for line in lines if "| 300 |" in line and "Noisy 2" in line)
    assert f"| -10.0 | 1.00 | 1.00 | 40 | {value.value('feature_loss'):.3f} |" in row
    assert row in text
    assert "Made by `aether-lite bench --quick`" in text


def test_documents_are_made_anew_between_their_marks(
    written: tuple[Path, RunMetadata, list[Summary]], tmp_path: Path
) -> None:
    folder = written[0]
    text = (
        f"before\n<!-- bench {folder.name} feature_loss awgn: begin -->\nold\n<!-- bench: end -->\nbetween\n"
        f"<!-- bench {folder.name} systems: begin -->\n<!-- bench: end -->\nafter\n"
    )
    document = tmp_path / "doc.md"
    document.write_text(text)
    assert main([str(folder.parent), str(document)]) == 0
    made = document.read_text()
    assert "old" not in made
    assert table(folder, "feature_loss awgn") in made
    assert made.startswith("before\n")
    assert "\nbetween\n" in made
    assert refreshed(made, folder.parent) == made
    with pytest.raises(AetherError, match="unknown table 'nonsense'"):
        table(folder, "nonsense")


def test_published_curves_are_named_as_such() -> None:
    curves = _published("awgn", "feature_loss", -5.0)
    assert [label[-11:] for label, _, _ in curves] == ["1000 uses/s", ", 700 uses/s"[-11:]]
    assert all("published" in label or "measured" in label for label, _, _ in curves)
    assert all(x == sorted(x) and len(x) == len(y) for _, x, y in curves)
    assert _published("awgn", "wer", 0.0) == ()


def test_a_markdown_table_has_a_line_below_its_head() -> None:
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"


@pytest.mark.parametrize("width", [6.0, 9.2])
def test_the_foot_of_a_picture_stays_inside(
    written: tuple[Path, RunMetadata, list[Summary]], tmp_path: Path, width: float
) -> None:
    _, about, summaries = written
    words = "Aether-lite hash small + 5G LDPC, best mode: latency 105 ms, channel busy 1.01 s per s; MMMM WWWW 16-QAM. "
    with canvas(tmp_path / "empty.png", width, 2.0, "Title", about.foot(summaries, [words * 5])) as figure:
        pass
    edge = figure.texts[-1].get_window_extent().x1
    assert 0.8 * figure.bbox.x1 < edge < figure.bbox.x1
