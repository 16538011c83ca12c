"""The results of a benchmark as tables of numbers: ``results.csv``, a line for each system, clip and condition."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aether_lite.baselines import Condition
from aether_lite.bench.cache import Record
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.link import snr_3k_db

RESULTS_NAME = "results.csv"
DIGITS = 7  # significant, of a number in a file
ABSENT = "-"
KEYS = ("system", "clip", "language", "channel", "options", "rate", "snr_db", "snr_3k_db", "ber")
"""Columns that say what a line is of; the others are numbers."""


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        system: name.
        clip: name.
        language: code or empty.
        condition: where it was measured; a system without a channel has one condition, without noise.
        record: its numbers by column.
    """

    system: str
    clip: str
    language: str
    condition: Condition
    record: Record


def options_text(condition: Condition) -> str:
    """The further options of a channel in one cell, such as ``state=exact``."""
    return " ".join(f"{name}={value}" for name, value in condition.options)


def condition_text(condition: Condition) -> str:
    """A condition in both SNRs, or its bit error rate, for titles."""
    noise = "no noise"
    if condition.error_rate is not None:
        noise = f"bit error rate {condition.error_rate:g}"
    if condition.snr_db is not None:
        low = snr_3k_db(condition.snr_db, condition.rate)
        noise = f"Es/N0 {condition.snr_db:g} dB (SNR3k {low:.1f} dB)"
    channel = " ".join([condition.channel, options_text(condition)]).strip()
    return f"{condition.rate} {rate_unit(condition)}, {channel}, {noise}"


def rate_unit(condition: Condition) -> str:
    """Of its rate."""
    return "uses/s" if condition.takes_symbols else "bit/s"


def keys_of(condition: Condition) -> dict[str, str]:
    """The columns that name a condition."""
    snr = condition.snr_db
    return {
        "channel": condition.channel,
        "options": options_text(condition),
        "rate": str(condition.rate),
        "snr_db": ABSENT if snr is None else f"{snr:g}",
        "snr_3k_db": ABSENT if snr is None else f"{snr_3k_db(snr, condition.rate):.2f}",
        "ber": ABSENT if condition.error_rate is None else f"{condition.error_rate:g}",
    }


def condition_in(line: Mapping[str, str]) -> Condition:
    """The condition that :func:`keys_of` wrote."""
    options = tuple(tuple(part.split("=", 1)) for part in line["options"].split())
    snr, error_rate = (None if line[name] == ABSENT else float(line[name]) for name in ("snr_db", "ber"))
    return Condition(line["channel"], snr, int(line["rate"]), options, error_rate)  # type: ignore[arg-type]


def cell(value: float | None) -> str:
    """A number in a file; ``-`` where it is not defined."""
    return ABSENT if value is None or not math.isfinite(value) else f"{value:.{DIGITS}g}"


def number_in(text: str) -> float:
    """The number of a cell; NaN for ``-``."""
    return math.nan if text in (ABSENT, "") else float(text)


def columns_of(rows: Iterable[Row], wanted: Sequence[str] = ()) -> list[str]:
    """Names of the numbers: those wanted first, then others in the order of their appearance."""
    return list(dict.fromkeys([*wanted, *(name for row in rows for name in row.record)]))


def write_results(path: Path, rows: Sequence[Row], wanted: Sequence[str] = ()) -> None:
    """Write the rows; a wanted column that nothing has is full of ``-``."""
    columns = columns_of(rows, wanted)
    twice = sorted({*KEYS} & {*columns})
    if twice:
        raise ValueError(f"measured under the name of a column of conditions: {', '.join(twice)}")
    lines = [
        {
            "system": row.system,
            "clip": row.clip,
            "language": row.language,
            **keys_of(row.condition),
            **{name: cell(row.record.get(name)) for name in columns},
        }
        for row in rows
    ]
    write_table(path, [*KEYS, *columns], lines)


def read_results(path: Path) -> list[Row]:
    """What :func:`write_results` wrote, numbers with its digits; a number that is not there is not in the record.

    Raises:
        AetherError: it cannot be read, is empty, or holds something else.
    """
    lines = read_table(path)
    try:
        return [
            Row(
                line["system"],
                line["clip"],
                line["language"],
                condition_in(line),
                {name: float(text) for name, text in line.items() if name not in KEYS and text != ABSENT},
            )
            for line in lines
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise AetherError(f"{path}: is not the results of a benchmark ({error})") from error


def write_table(path: Path, columns: Sequence[str], lines: Iterable[dict[str, str]]) -> None:
    """A CSV file, whole or not at all."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def read_table(path: Path) -> list[dict[str, str]]:
    """Lines of a CSV file of this package.

    Raises:
        AetherError: it cannot be read, or is empty.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise AetherError(f"{path}: cannot be read ({error})") from error
    if not lines:
        raise AetherError(f"{path}: holds no results; run `aether-lite bench` again")
    return lines


def write_json(path: Path, record: dict[str, Any]) -> None:
    """A JSON file, whole or not at all."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        AetherError: it cannot be read, or is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AetherError(f"{path}: cannot be read ({error})") from error
    if not isinstance(record, dict):
        raise AetherError(f"{path}: is not a JSON object")
    return record
