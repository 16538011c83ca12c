"""RADE V1 as measured by this project, and RADE V2 as published; the files beside this one say how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aether_lite.link import snr_3k_db

V1_USES_PER_S = 1000
V2_USES_PER_S = 700
V1_LABEL = "RADE V1 (measured here, symbol level, ideal sync)"
V2_LABEL = "RADE V2 (published, real receiver, sync included, other speech)"
CHOSEN_BY = "feature_loss"  # lower is better


@dataclass(frozen=True)
class PublishedPoint:
    """One number of another system.

    Attributes:
        system: ``rade-v1`` or ``rade-v2``.
        model: weights.
        channel: a name in :data:`aether_lite.channels.CHANNELS`.
        esn0_db: Es/N0 of payload symbols [dB]; None where it was not published.
        snr3k_db: SNR in 3 kHz [dB].
        uses_per_s: payload channel uses per second.
        metric: a key of :data:`aether_lite.metrics.FEATURE_METRICS`.
        value: of the metric.
        label: for legends and tables; says where the number is from.
    """

    system: str
    model: str
    channel: str
    esn0_db: float | None
    snr3k_db: float
    uses_per_s: int
    metric: str
    value: float
    label: str


@cache
def published_points() -> tuple[PublishedPoint, ...]:
    """Every number, both models of RADE V1 included."""
    points = []
    for row in _rows("rade_v1_valid.tsv"):
        model, channel, esn0_db = row.pop("model"), row.pop("channel"), float(row.pop("esn0_db"))
        snr = snr_3k_db(esn0_db, V1_USES_PER_S)
        points += [
            PublishedPoint("rade-v1", model, channel, esn0_db, snr, V1_USES_PER_S, metric, float(value), V1_LABEL)
            for metric, value in row.items()
        ]
    for row in _rows("rade_v2.tsv"):
        model, channel, snr = row.pop("model"), row.pop("channel"), float(row.pop("snr3k_db"))
        points += [
            PublishedPoint("rade-v2", model, channel, None, snr, V2_USES_PER_S, metric, float(value), V2_LABEL)
            for metric, value in row.items()
        ]
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
    return [
        point
        for point in points
        if (point.system, point.channel, point.snr3k_db) in best
        and best[point.system, point.channel, point.snr3k_db].model == point.model
    ]


def _rows(name: str) -> list[dict[str, str]]:
    """Lines of a table of this folder by column, comments left out."""
    text = (files("aether_lite.baselines.published") / name).read_text()
    header, *lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [dict(zip(header, line, strict=True)) for line in lines]
