"""Intervals against another implementation, and summaries that survive a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aether_lite.baselines import Condition
from aether_lite.bench.results import Row, estimate, read_summary, summarise, write_summary

VALUES = np.random.default_rng(5).normal(3.0, 0.5, 40)


@pytest.mark.parametrize("median", [False, True])
def test_interval_agrees_with_scipy(median: bool) -> None:
    found = estimate(VALUES, median=median, resamples=20_000)
    centre = np.median if median else np.mean
    known = stats.bootstrap((VALUES,), centre, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    assert found.value == pytest.approx(centre(VALUES))
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval), abs=0.01)


def test_interval_of_a_mean_is_that_of_normal_theory() -> None:
    found = estimate(VALUES, resamples=20_000)
    half = 1.96 * VALUES.std() / math.sqrt(len(VALUES))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)


def test_weights_make_a_weighted_mean() -> None:
    assert estimate([1.0, 4.0], [3.0, 1.0]).value == pytest.approx(1.75)
    alike = estimate(VALUES, np.full(40, 7.0))
    assert (alike.low, alike.high) == pytest.approx((estimate(VALUES).low, estimate(VALUES).high))


def test_clips_without_a_value_are_left_out() -> None:
    found = estimate([1.0, math.nan, 3.0])
    assert (found.value, found.clips) == (2.0, 2)
    nothing = estimate([math.nan])
    assert nothing.clips == 0
    assert math.isnan(nothing.value)
    one = estimate([2.0])
    assert one.value == 2.0
    assert math.isnan(one.low)


def test_same_seed_same_interval() -> None:
    assert estimate(VALUES, seed=3) == estimate(VALUES, seed=3)
    assert estimate(VALUES, seed=3) != estimate(VALUES, seed=4)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        estimate([[1.0]])
    with pytest.raises(ValueError, match="median has no weights"):
        estimate([1.0], [1.0], median=True)


def rows() -> list[Row]:
    condition = Condition("mpp", 6.0, 300, (("csi", "perfect"),))
    records = [
        {"frames": 100.0, "uses": 300.0, "feature_loss": 1.0, "f0_correlation": 0.1, "vuv_error": 0.2},
        {"frames": 300.0, "uses": 900.0, "feature_loss": 2.0, "f0_correlation": 0.9, "vuv_error": 0.4},
        {"frames": 100.0, "uses": 300.0, "feature_loss": 2.0, "f0_correlation": 0.8, "vuv_error": 0.6},
    ]
    return [Row("s", f"clip {i}", "en", condition, record) for i, record in enumerate(records)]


def test_each_metric_is_put_together_its_own_way() -> None:
    (summary,) = summarise(rows())
    assert summary.value("feature_loss") == pytest.approx(1.8)  # over frames
    assert summary.value("f0_correlation") == pytest.approx(0.8)  # median
    assert summary.value("vuv_error") == pytest.approx(0.4)  # mean
    assert summary.occupied == pytest.approx(1.0)
    assert summary.uses_per_s == pytest.approx(300.0)


def test_a_summary_survives_its_file(tmp_path: Path) -> None:
    made = summarise(rows())
    write_summary(tmp_path / "summary.csv", made)
    (read,) = read_summary(tmp_path / "summary.csv")
    assert read.condition == made[0].condition
    assert read.estimates.keys() == made[0].estimates.keys()
    for name, value in read.estimates.items():
        assert value.value == pytest.approx(made[0].estimates[name].value, rel=1e-6)
