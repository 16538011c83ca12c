"""Percentile bootstrap intervals over clips.

B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, ch. 13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
LEVEL = 0.95  # share of the resamples inside the interval
FEWEST_CLIPS = 2  # for an interval
_MOST_VALUES = 1 << 22  # resampled at a time: bounds memory


@dataclass(frozen=True)
class Estimate:
    """Mean or median over the clips where a measure is defined, its 95 % interval (NaN below two), and their number."""

    value: float
    low: float
    high: float
    clips: int


def estimate(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    median: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean or median of clips with its interval; the same values in the same order give the same interval.

    Args:
        values: ``[clips]``; those that are not finite are left out.
        weights: ``[clips]`` > 0, for a weighted mean, such as the frames of each clip; None weighs them alike.
        median: the median instead of the mean; it has no weights.
        seed: of the resampling.
        resamples: how many times the clips are drawn again, with replacement.

    Raises:
        ValueError: shapes that do not fit, no resample, or a weighted median.
    """
    array = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(array) if weights is None else np.asarray(weights, dtype=np.float64)
    if array.ndim != 1 or array.shape != weight.shape or resamples < 1:
        raise ValueError(f"values and weights must be [clips], not {array.shape} and {weight.shape}; resamples > 0")
    if median and weights is not None:
        raise ValueError("the median has no weights")
    defined = np.isfinite(array)
    array, weight = array[defined], weight[defined]
    count = len(array)
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(_centre(array[None], weight[None], median)[0])
    if count < FEWEST_CLIPS:
        return Estimate(value, math.nan, math.nan, count)
    rng = np.random.default_rng(seed)
    block = max(1, _MOST_VALUES // count)
    centres = []
    for start in range(0, resamples, block):
        drawn = rng.integers(0, count, (min(block, resamples - start), count))
        centres.append(_centre(array[drawn], weight[drawn], median))
    low, high = np.quantile(np.concatenate(centres), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), count)


def _centre(values: NDArray[np.float64], weights: NDArray[np.float64], median: bool) -> NDArray[np.float64]:
    """Median or weighted mean of each row."""
    centres = np.median(values, axis=1) if median else (values * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(centres)
