"""Figures of other systems that are drawn beside ours, not run: RADE V1 as measured here, RADE V2 as published.

The tables in this folder say how they were made.
"""

from __future__ import annotations

from importlib.resources import files

from aether_lite.link import snr_3k_db

CHOSEN_BY = "feature_loss"  # lower is better
TABLES = (
    ("rade_v1_valid.tsv", 1000, "RADE V1 (measured here, symbol level, ideal sync)"),
    ("rade_v2.tsv", 700, "RADE V2 (published, real receiver, sync included, other speech)"),
)
"""Table of a system's figures by Es/N0 or by SNR in 3 kHz, payload uses/s, and label: where they are from."""


def published_curves(channel: str, metric: str) -> dict[str, list[tuple[float, float]]]:
    """Curves of other systems over a channel by label: SNR3k [dB] and value of a metric, by rising SNR.

    At each SNR the figures are those of the model, of several, that has the lower feature loss.
    """
    curves = {}
    for table, uses_per_s, label in TABLES:
        text = (files("aether_lite.baselines.published") / table).read_text()
        header, *lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
        best: dict[float, dict[str, str]] = {}
        for row in (dict(zip(header, line, strict=True)) for line in lines):
            at = float(row["snr3k_db"]) if "snr3k_db" in row else snr_3k_db(float(row["esn0_db"]), uses_per_s)
            if row["channel"] == channel and (at not in best or float(row[CHOSEN_BY]) < float(best[at][CHOSEN_BY])):
                best[at] = row
        points = [(at, float(row[metric])) for at, row in sorted(best.items()) if metric in row]
        if points:
            curves[f"{label}, {uses_per_s} uses/s"] = points
    return curves
