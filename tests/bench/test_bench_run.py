"""The runner: nothing twice, any number of processes alike, a stopped run continues."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_systems import make_noisy

from aether_lite.bench.cache import CACHE_NAME, NO_RESULTS, ResultCache, code_hash, key_of, package_versions
from aether_lite.bench.dataset import bundled
from aether_lite.bench.grid import QUICK, STANDARD, evenly
from aether_lite.bench.results import write_results
from aether_lite.bench.run import Plan, run
from aether_lite.errors import AetherError

SMALL = replace(QUICK, rates=(300, 1000), snrs_db=(0.0, 20.0), clips=2, audio_clips=0, audio_conditions=0, seconds=1.0)


def plan(*systems: str, jobs: int = 1, seed: int = 0) -> Plan:
    return Plan(bundled().chosen(2), SMALL, systems, seed, jobs, make_noisy)


def lines_of(folder: Path) -> int:
    return len((folder / "cache" / CACHE_NAME).read_text().splitlines())


def test_a_row_for_every_system_condition_and_clip(tmp_path: Path) -> None:
    rows = run(plan("noisy-1", "noisy-2", "nothing-sent"), tmp_path)
    assert len(rows) == 2 * (2 * 2) * 2 + 2  # one that sends nothing is run once
    worse, better = (
        [row.record["feature_loss"] for row in rows if row.system == "noisy-1" and row.condition.snr_db == snr]
        for snr in (0.0, 20.0)
    )
    assert min(worse) > 10 * max(better)
    assert all(row.record["uses"] == row.condition.rate for row in rows if row.system == "noisy-1")


def test_two_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    files = []
    for jobs in (1, 2):
        rows = run(plan("noisy-1", "noisy-2", jobs=jobs), tmp_path / str(jobs))
        write_results(tmp_path / f"{jobs}.csv", rows)
        files.append((tmp_path / f"{jobs}.csv").read_bytes())
    assert files[0] == files[1]
    assert files[0].count(b"\n") == 17


@pytest.mark.slow
def test_a_run_that_failed_continues_where_it_stopped(tmp_path: Path) -> None:
    whole = run(plan("noisy-1"), tmp_path / "whole")
    with pytest.raises(AetherError, match=r"noisy-1, clip .*, \d+ uses/s, awgn, Es/N0 \d+ dB .*: out of order"):
        run(plan("broken"), tmp_path / "cut")
    kept = lines_of(tmp_path / "cut")
    assert kept == 4
    told: list[tuple[int, int]] = []
    again = run(plan("noisy-1"), tmp_path / "cut", lambda done, total: told.append((done, total)))
    assert told[0] == (kept, len(whole))
    assert told[-1] == (len(whole), len(whole))
    assert [row.record for row in again] == [row.record for row in whole]
    assert lines_of(tmp_path / "cut") == len(whole)


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    run(plan("noisy-1"), tmp_path)
    before = (tmp_path / "cache" / CACHE_NAME).read_bytes()
    run(plan("noisy-1"), tmp_path)
    assert (tmp_path / "cache" / CACHE_NAME).read_bytes() == before


def test_another_seed_is_another_result(tmp_path: Path) -> None:
    one, two = (run(plan("noisy-1", seed=seed), tmp_path) for seed in (0, 1))
    assert one[0].record["feature_loss"] != two[0].record["feature_loss"]


def test_a_line_cut_by_a_kill_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    with ResultCache(tmp_path) as cache:
        cache.add("a", {"x": 1.5, "y": float("nan")})
        cache.add("b", {"x": 2.0})
    path = tmp_path / CACHE_NAME
    path.write_bytes(path.read_bytes()[:-9])
    with ResultCache(tmp_path) as cache:
        assert cache.get("b") is None
        record = cache.get("a")
        assert record is not None
        assert record["x"] == 1.5
        assert record["y"] != record["y"]
        cache.add("b", {"x": 3.0})
    with ResultCache(tmp_path) as cache:
        assert cache.get("b") == {"x": 3.0}
        assert len(cache) == 2


def test_every_part_of_a_key_counts() -> None:
    parts = {"system": ["a", "1"], "clip": "c", "seed": 0}
    keys = {key_of(**{**parts, **change}) for change in ({}, {"system": ["a", "2"]}, {"clip": "d"}, {"seed": 1})}
    assert len(keys) == 4
    assert key_of(**dict(reversed(parts.items()))) == key_of(**parts)


def test_documentation_does_not_change_the_hash_of_code_but_numbers_do(tmp_path: Path) -> None:
    hashes = []
    for text in ("x = 1\n", '"""Doc."""\n# why\nx = 1\n', "x = 2\n"):
        (tmp_path / "part.py").write_text(text)
        hashes.append(code_hash.__wrapped__(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2]


WORK = """
import json, sys
import numpy as np
from aether_lite.baselines import Condition, available_systems
from aether_lite.bench.dataset import bundled, load_clip
from aether_lite.bench.run import measure, send
clip = load_clip(bundled().sources[0], 1.0)
for name in available_systems()[0]:
    system = __import__("aether_lite.baselines", fromlist=["make_system"]).make_system(name)
    if getattr(system, "refine", 0):
        system.refine = 1
    for channel, rate, error_rate in (("mpp", 1000, None), ("awgn", 600, None), ("bsc", 1200, 0.0), ("bsc", 700, 0.0)):
        condition = Condition(channel, 6.0 if error_rate is None else None, rate, (), error_rate)
        if system.offers(condition):
            measure(clip, send(system, clip, condition, 0, True), name.startswith("vocoder"))
            break
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "aether_lite")))
"""


@pytest.mark.slow
def test_the_cache_knows_every_module_that_results_come_from() -> None:
    """What a process has loaded after every system and metric has run is part of the hash, losses.asr included."""
    ran = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert {"aether_lite.losses.asr", "aether_lite.codec.refinement", "aether_lite.vocoder.fargan"} <= loaded
    assert not {name for name in loaded if name.split(".")[1:2] and name.split(".")[1] in NO_RESULTS}


def test_a_change_in_any_file_is_another_result(tmp_path: Path) -> None:
    for folder, own in (("codec", True), ("losses", True), ("cli", False)):
        (tmp_path / folder).mkdir(parents=True)
        before = code_hash.__wrapped__(tmp_path)
        (tmp_path / folder / "new.py").write_text("CHANGED = 1\n")
        assert (code_hash.__wrapped__(tmp_path) != before) == own, folder


def test_versions_are_those_of_required_packages() -> None:
    assert {"aether-lite", "torch", "numpy", "soundfile", "pystoi", "pesq"} <= package_versions().keys()
    assert not {"pytest", "ruff", "tensorboard"} & package_versions().keys()


def test_the_standard_grid_has_six_conditions_with_audio() -> None:
    heard = STANDARD.with_audio()
    assert len(heard) == 6
    assert all(condition in STANDARD.conditions() for condition in heard)
    assert len(QUICK.with_audio()) == 2


def test_an_even_choice_keeps_order_and_ends() -> None:
    assert evenly(range(10), 4) == [0, 3, 6, 9]
    assert evenly(range(3), None) == [0, 1, 2]
    assert evenly(range(3), 0) == []


def test_keys_are_plain_lines_of_json(tmp_path: Path) -> None:
    run(plan("noisy-1"), tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "cache" / CACHE_NAME).read_text().splitlines()]
    assert len({entry["key"] for entry in entries}) == 8
