"""Results kept from an earlier run beside those of a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench_systems import make_noisy

from aether_lite.bench import metadata
from aether_lite.bench.dataset import bundled
from aether_lite.bench.grid import QUICK
from aether_lite.bench.metadata import Kept, RunMetadata, describe, read_kept
from aether_lite.bench.output import write_all
from aether_lite.bench.results import Row
from aether_lite.bench.run import Plan, run
from aether_lite.errors import AetherError

SMALL = replace(QUICK, snrs_db=(0.0, 20.0), clips=2, audio_clips=0, seconds=1.0)
ALL = ("noisy-1", "noisy-2", "nothing-sent")


def planned(*names: str, **changes: object) -> Plan:
    return Plan(bundled().chosen(2), replace(SMALL, **changes), names, 0, 1, make_noisy)  # type: ignore[arg-type]


def described(plan: Plan, rows: list[Row], commit: str) -> RunMetadata:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "commit", lambda: commit)
        return describe(plan, rows, "aether-lite bench", ["noisy-2: needs a program", "other: needs a program"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all systems."""
    made = tmp_path_factory.mktemp("kept")
    plan = planned(*ALL)
    rows = run(plan, made)
    write_all(made, rows, described(plan, rows, "0123456789abcdef"))
    return made


@pytest.fixture
def kept(folder: Path) -> Kept:
    return read_kept(folder)


@pytest.mark.slow
def test_kept_rows_are_those_that_were_written(kept: Kept, folder: Path) -> None:
    rows = run(planned(*ALL), folder)
    assert [(r.system, r.clip, r.language, r.condition) for r in kept.rows] == [
        (r.system, r.clip, r.language, r.condition) for r in rows
    ]
    for row, true in zip(kept.rows, rows, strict=True):
        assert row.record == pytest.approx(true.record, rel=1e-6)


def test_systems_that_were_not_run_stand_beside(kept: Kept, folder: Path) -> None:
    plan = planned("noisy-2")
    kept.check(plan)
    new = [replace(row, record={**row.record, "feature_loss": 7.0}) for row in run(plan, folder)]
    rows, about = kept.beside(new, described(plan, new, "fedcba9876543210"), ALL)
    assert [system.name for system in about.systems] == list(ALL)
    assert list(dict.fromkeys(row.system for row in rows)) == list(ALL)
    assert {row.record["feature_loss"] == 7.0 for row in rows if row.system == "noisy-2"} == {True}
    assert [row for row in rows if row.system != "noisy-2"] == [r for r in kept.rows if r.system != "noisy-2"]
    assert about.missing == ("left out: other: needs a program",)  # noisy-2 is there
    line = about.made_by()
    assert "commit fedcba987654, seed 0). Kept from earlier runs: Noisy 1, Noisy 0 (commit 0123456789ab)." in line


def test_a_commit_is_kept_over_several_runs(kept: Kept) -> None:
    dated = replace(kept.metadata.systems[0], commit="aaaa")
    older = replace(kept, metadata=replace(kept.metadata, systems=(dated, *kept.metadata.systems[1:])))
    about = replace(kept.metadata, commit="cccc", systems=kept.metadata.systems[1:2])
    _, merged = older.beside([], about, ALL)
    assert [system.commit for system in merged.systems] == ["aaaa", "", "0123456789abcdef"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": 2.0}, "was made with data bundled samples .first 1 s of each.* not bundled samples .first 2 s"),
        ({"csi": "perfect"}, "was made with channel state default, not perfect"),
    ],
)
def test_other_results_cannot_be_kept(kept: Kept, change: dict[str, object], words: str) -> None:
    with pytest.raises(AetherError, match=words):
        kept.check(planned("noisy-1", **change))


def test_other_clips_cannot_be_kept(kept: Kept) -> None:
    with pytest.raises(AetherError, match="holds other clips than these 3"):
        kept.check(replace(planned("noisy-1"), dataset=bundled().chosen(3)))
    with pytest.raises(AetherError, match="was made with seed 0, not 5"):
        kept.check(replace(planned("noisy-1"), seed=5))


@pytest.mark.parametrize("damage", ["system,clip\nnoisy-1,a\n", "nothing\n1\n"])
def test_damaged_results_are_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    (tmp_path / "about.json").write_text((folder / "about.json").read_text())
    (tmp_path / "results.csv").write_text(damage)
    with pytest.raises(AetherError, match=r"results\.csv: not results of a benchmark"):
        read_kept(tmp_path)
