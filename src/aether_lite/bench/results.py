"""Results of a benchmark: a row for each system, clip and condition, and summaries over clips, as CSV files.

Intervals are percentile bootstrap intervals over clips: B. Efron and R. J. Tibshirani, "An Introduction to the
Bootstrap", Chapman & Hall, 1993, ch. 13.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.baselines import Condition
from aether_lite.bench.cache import Record
from aether_lite.files import write_text
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, FEATURE_METRICS, METRICS, Pooling
from aether_lite.reading import read_table, reading, table_line

RESULTS_NAME, SUMMARY_NAME = "results.csv", "summary.csv"
RESULTS = "results of a benchmark"
RESAMPLES = 2000
LEVEL = 0.95  # share of the resamples inside the interval
FEWEST_CLIPS = 2  # for an interval
_MOST_VALUES = 1 << 22  # resampled at a time: bounds memory
ABSENT = "-"
CONDITION = ("channel", "options", "rate", "snr_db", "snr_3k_db", "ber")
KEYS = ("system", "clip", "language", *CONDITION)
"""Columns that say what a row is of; the others are numbers."""
ESTIMATE = ("value", "low", "high", "clips")
TOTALS = ("frames", "uses")  # summed over clips
BY_FRAMES = ("symbol_power",)  # means over frames whatever their metric says: power counts by symbol


@dataclass(frozen=True)
class Row:
    """Numbers by column of one clip over one system; without a channel, at one condition without noise."""

    system: str
    clip: str
    language: str
    condition: Condition
    record: Record


@dataclass(frozen=True)
class Estimate:
    """Mean or median over the clips where a measure is defined, its 95 % interval (NaN below two), and their number."""

    value: float
    low: float = math.nan
    high: float = math.nan
    clips: int = 0


@dataclass(frozen=True)
class Summary:
    """Every measure of one system at one condition over all clips."""

    system: str
    condition: Condition
    estimates: dict[str, Estimate]

    def value(self, measure: str) -> float:
        """The number over clips; NaN where there is none."""
        return self.estimates[measure].value if measure in self.estimates else math.nan

    @property
    def on_air(self) -> bool:
        """Whether anything was sent."""
        return self.value("uses") > 0

    @property
    def has_audio(self) -> bool:
        """Whether audio metrics were measured."""
        return any(self.estimates[name].clips for name in AUDIO_METRICS if name in self.estimates)

    @property
    def uses_per_s(self) -> float:
        """Channel uses spent for each second of speech."""
        frames = self.value("frames")
        return 100 * self.value("uses") / frames if frames > 0 else math.nan

    @property
    def occupied(self) -> float:
        """Seconds of channel at this rate for each second of speech."""
        return self.uses_per_s / self.condition.rate


def span(values: Iterable[float], joint: str) -> str:
    """Smallest and largest of some numbers with two digits, once if they are alike; empty if there are none."""
    texts = sorted({f"{value:.2f}" for value in values}, key=float)
    return joint.join(dict.fromkeys((texts[0], texts[-1]))) if texts else ""


def channel_text(condition: Condition) -> str:
    """Channel and its further options, such as ``mpp csi=perfect``."""
    return " ".join([condition.channel, *(f"{name}={value}" for name, value in condition.options)])


def condition_text(condition: Condition) -> str:
    """A condition in words: rate, channel, and both SNRs or the bit error rate."""
    noise = "no noise"
    if condition.error_rate is not None:
        noise = f"bit error rate {condition.error_rate:g}"
    elif condition.snr_db is not None:
        low = snr_3k_db(condition.snr_db, condition.rate)
        noise = f"Es/N0 {condition.snr_db:g} dB (SNR3k {low:.1f} dB)"
    return f"{condition.rate} {'uses/s' if condition.takes_symbols else 'bit/s'}, {channel_text(condition)}, {noise}"


def estimate(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    median: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean or median of clips with its bootstrap interval; equal values in equal order give equal intervals.

    Args:
        values: ``[clips]``; those that are not finite are left out.
        weights: ``[clips]`` > 0, for a weighted mean, such as the frames of each clip; None weighs them alike.
        median: the median instead of the mean; it has no weights.
        seed, resamples: of the resampling, with replacement.

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
        return Estimate(math.nan)
    value = float(_centre(array[None], weight[None], median)[0])
    if count < FEWEST_CLIPS:
        return Estimate(value, clips=count)
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
    return np.asarray(np.median(values, axis=1) if median else (values * weights).sum(axis=1) / weights.sum(axis=1))


def summarise(rows: Sequence[Row], seed: int = 0) -> list[Summary]:
    """Pool the clips of each system and condition, each metric in its own way, in the order of their appearance."""
    groups: dict[tuple[str, Condition], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.system, row.condition), []).append(row)
    return [
        Summary(system, condition, {name: _pooled(name, group, seed) for name in _columns(group)})
        for (system, condition), group in groups.items()
    ]


def _pooled(name: str, rows: Sequence[Row], seed: int) -> Estimate:
    values = [row.record.get(name, math.nan) for row in rows]
    if name in TOTALS:
        return Estimate(math.fsum(values), clips=len(values))
    pooling = METRICS[name].pooling if name in METRICS else Pooling.MEAN
    weights = [row.record["frames"] for row in rows] if pooling is Pooling.FRAMES or name in BY_FRAMES else None
    return estimate(values, weights, median=weights is None and pooling is Pooling.MEDIAN, seed=seed)


def write_results(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows; a metric that nothing has is a column of ``-``."""
    columns = list(dict.fromkeys([*FEATURE_METRICS, *AUDIO_METRICS, *_columns(rows)]))
    twice = sorted({*KEYS} & {*columns})
    if twice:
        raise ValueError(f"measured under the name of a column of conditions: {', '.join(twice)}")
    lines = ([row.system, row.clip, row.language, *_cells(row.condition), *(_cell(row.record.get(c)) for c in columns)]
             for row in rows)  # fmt: skip
    _write_table(path, [*KEYS, *columns], lines)


def read_results(path: Path) -> list[Row]:
    """What :func:`write_results` wrote, numbers with its digits; a number that is not there is not in the record.

    Raises:
        AetherError: it cannot be read, is empty, or holds something else.
    """
    rows = []
    with reading(path, RESULTS):
        for line in read_table(path, RESULTS, KEYS):
            record = {name: float(text) for name, text in line.items() if name not in KEYS and text != ABSENT}
            rows.append(Row(line["system"], line["clip"], line["language"], _condition(line), record))
    return rows


def write_summary(path: Path, summaries: Iterable[Summary]) -> None:
    """Write one line for each measure."""
    lines = (
        [summary.system, *_cells(summary.condition), name, _cell(e.value), _cell(e.low), _cell(e.high), str(e.clips)]
        for summary in summaries
        for name, e in summary.estimates.items()
    )
    _write_table(path, ["system", *CONDITION, "measure", *ESTIMATE], lines)


def read_summary(path: Path) -> list[Summary]:
    """What :func:`write_summary` wrote.

    Raises:
        AetherError: it cannot be read, or is empty.
    """
    groups: dict[tuple[str, Condition], dict[str, Estimate]] = {}
    with reading(path, RESULTS):
        for line in read_table(path, RESULTS, ("system", *CONDITION, "measure", *ESTIMATE)):
            value, low, high = (math.nan if line[name] == ABSENT else float(line[name]) for name in ESTIMATE[:3])
            estimates = groups.setdefault((line["system"], _condition(line)), {})
            estimates[line["measure"]] = Estimate(value, low, high, int(line["clips"]))
    return [Summary(system, condition, estimates) for (system, condition), estimates in groups.items()]


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _columns(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.record))


def _cells(condition: Condition) -> list[str]:
    """The columns of :data:`CONDITION`."""
    snr, rate = condition.snr_db, condition.rate
    low = ABSENT if snr is None else f"{snr_3k_db(snr, rate):.2f}"
    noise, error_rate = (ABSENT if value is None else f"{value:g}" for value in (snr, condition.error_rate))
    return [condition.channel, channel_text(condition).partition(" ")[2], str(rate), noise, low, error_rate]


def _condition(line: Mapping[str, str]) -> Condition:
    pairs = [part.partition("=") for part in line["options"].split()]
    options = tuple((name, value) for name, _, value in pairs)
    snr, error_rate = (None if line[name] == ABSENT else float(line[name]) for name in ("snr_db", "ber"))
    return Condition(line["channel"], snr, int(line["rate"]), options, error_rate)


def _cell(value: float | None) -> str:
    """Seven significant digits."""
    return ABSENT if value is None or not math.isfinite(value) else f"{value:.7g}"


def _write_table(path: Path, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    write_text(path, "".join(map(table_line, (columns, *lines))))
