"""Figures of other systems that are drawn beside ours, not run: RADE V1 as measured here, RADE V2 as published.

The tables in this folder say how they were made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aether_lite.link import snr_3k_db

CHOSEN_BY = "feature_loss"  # lower is better


@dataclass(frozen=True)
class PublishedPoint:
    """One number of another system (``rade-v1``, ``rade-v2``) over one of :data:`aether_lite.channels.CHANNELS`.

    Attributes:
        esn0_db, snr3k_db: Es/N0 of payload symbols [dB], None where it was not published; SNR in 3 kHz [dB].
        metric, value: a key of :data:`aether_lite.metrics.FEATURE_METRICS`, and its value.
    """

    system: str
    model: str  # weights
    channel: str
    esn0_db: float | None
    snr3k_db: float
    uses_per_s: int  # payload channel uses per second
    metric: str
    value: float
    label: str  # for legends and tables; says where the number is from


TABLES = (
    ("rade-v1", 1000, "rade_v1_valid.tsv", "RADE V1 (measured here, symbol level, ideal sync)"),
    ("rade-v2", 700, "rade_v2.tsv", "RADE V2 (published, real receiver, sync included, other speech)"),
)
"""System, uses/s, table of its figures (by Es/N0 or by SNR in 3 kHz), label."""


@cache
def published_points() -> tuple[PublishedPoint, ...]:
    """Every number, both models of RADE V1 included."""
    points = []
    for system, uses_per_s, table, label in TABLES:
        text = (files("aether_lite.baselines.published") / table).read_text()
        header, *lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
        for line in lines:
            row = dict(zip(header, line, strict=True))
            model, channel = row.pop("model"), row.pop("channel")
            esn0_db = float(row.pop("esn0_db")) if "esn0_db" in row else None
            snr_db = float(row.pop("snr3k_db")) if esn0_db is None else snr_3k_db(esn0_db, uses_per_s)
            where = (system, model, channel, esn0_db, snr_db, uses_per_s)
            points += [PublishedPoint(*where, metric, float(value), label) for metric, value in row.items()]
    return tuple(points)


def better_model(points: Iterable[PublishedPoint]) -> list[PublishedPoint]:
    """At each system, channel and SNR the points of the model with the lower feature loss, all metrics of it."""
    points = list(points)
    best: dict[tuple[str, str, float], PublishedPoint] = {}
    for point in points:
        if point.metric == CHOSEN_BY:
            key = (point.system, point.channel, point.snr3k_db)
            if key not in best or point.value < best[key].value:
                best[key] = point
    chosen = {(*key, point.model) for key, point in best.items()}
    return [point for point in points if (point.system, point.channel, point.snr3k_db, point.model) in chosen]
