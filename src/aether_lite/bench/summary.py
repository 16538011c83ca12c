"""Many clips to one number: ``summary.csv``, a line for each system, condition and measure, with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aether_lite.baselines import Condition
from aether_lite.bench.bootstrap import Estimate, estimate
from aether_lite.bench.results import (
    Row,
    cell,
    columns_of,
    condition_in,
    keys_of,
    number_in,
    read_table,
    write_table,
)
from aether_lite.metrics import METRICS, Pooling

SUMMARY_NAME = "summary.csv"
COLUMNS = (
    "system",
    "channel",
    "options",
    "rate",
    "snr_db",
    "snr_3k_db",
    "ber",
    "measure",
    "value",
    "low",
    "high",
    "clips",
)
TOTALS = ("frames", "uses")  # of these the sum over clips is given, not the mean


@dataclass(frozen=True)
class Summary:
    """All measures of one system at one condition.

    Attributes:
        system: name.
        condition: where.
        estimates: measure -> number over clips.
    """

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
    def occupied(self) -> float:
        """Seconds of channel at this rate for each second of speech."""
        seconds = self.value("frames") / 100
        return self.value("uses") / self.condition.rate / seconds if seconds > 0 else math.nan

    @property
    def uses_per_s(self) -> float:
        """Channel uses spent for each second of speech."""
        return self.occupied * self.condition.rate


def summarise(rows: Sequence[Row], seed: int = 0) -> list[Summary]:
    """Put clips together, by each metric's own way, in the order in which systems and conditions appear."""
    groups: dict[tuple[str, Condition], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.system, row.condition), []).append(row)
    return [
        Summary(system, condition, {name: _estimate(name, group, seed) for name in columns_of(group)})
        for (system, condition), group in groups.items()
    ]


def write_summary(path: Path, summaries: Iterable[Summary]) -> None:
    """Write one line a measure."""
    lines = [
        {
            "system": summary.system,
            **keys_of(summary.condition),
            "measure": name,
            "value": cell(value.value),
            "low": cell(value.low),
            "high": cell(value.high),
            "clips": str(value.clips),
        }
        for summary in summaries
        for name, value in summary.estimates.items()
    ]
    write_table(path, COLUMNS, lines)


def read_summary(path: Path) -> list[Summary]:
    """What :func:`write_summary` wrote.

    Raises:
        AetherError: it cannot be read, or is empty.
    """
    groups: dict[tuple[str, Condition], dict[str, Estimate]] = {}
    for line in read_table(path):
        value, low, high = (number_in(line[name]) for name in ("value", "low", "high"))
        estimates = groups.setdefault((line["system"], condition_in(line)), {})
        estimates[line["measure"]] = Estimate(value, low, high, int(line["clips"]))
    return [Summary(system, condition, estimates) for (system, condition), estimates in groups.items()]


def _estimate(name: str, rows: Sequence[Row], seed: int) -> Estimate:
    values = [row.record.get(name, math.nan) for row in rows]
    if name in TOTALS:
        return Estimate(math.fsum(values), math.nan, math.nan, len(values))
    pooling = METRICS[name].pooling if name in METRICS else Pooling.MEAN
    if pooling is Pooling.FRAMES:
        return estimate(values, [row.record["frames"] for row in rows], seed=seed)
    return estimate(values, median=pooling is Pooling.MEDIAN, seed=seed)
