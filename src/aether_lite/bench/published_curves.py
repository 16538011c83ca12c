"""Curves of other systems as they were published or measured elsewhere, and what the calibration found, in words."""

from __future__ import annotations

from dataclasses import dataclass

from aether_lite.baselines.digital.missing import MissingToolError
from aether_lite.baselines.published import better_model, published_points

READING = (
    "Dashed: other systems, drawn where their SNR3k lies, without running them here. RADE V1: better of two models on "
    "the project's 190 validation clips (754 s, joined), phase of fading known, 1.00 s per s, about 180 ms end to end "
    "on air. RADE V2: its authors' speech and receiver, synchronisation included, frames of about 40 ms."
)
"""What has to be known of these curves where they are drawn (data, channel state, latency)."""


@dataclass(frozen=True)
class Curve:
    """Points of one system on one channel; of several models the better at each SNR.

    Attributes:
        label: name of the system and where the figures are from.
        channel: as in :data:`aether_lite.channels.CHANNELS`.
        rate: [uses/s].
        measure: column.
        points: (SNR3k [dB], value), rising.
    """

    label: str
    channel: str
    rate: int
    measure: str
    points: tuple[tuple[float, float], ...]


def published_curves() -> list[Curve]:
    """Every curve that the project keeps."""
    groups: dict[tuple[str, str, int, str], list[tuple[float, float]]] = {}
    for point in better_model(published_points()):
        where = (point.label, point.channel, point.uses_per_s, point.metric)
        groups.setdefault(where, []).append((point.snr3k_db, point.value))
    return [Curve(*where, tuple(sorted(points))) for where, points in groups.items()]


def calibration_lines() -> tuple[str, ...]:
    """Checks of channels and codes against theory, one line each; what is missing where they cannot be run."""
    from aether_lite.baselines.digital.calibration import calibration

    try:
        rows = calibration()
    except MissingToolError as error:
        return (f"not run: {error}",)
    return tuple(
        f"{row.what}, Es/N0 {row.esn0_db:.2f} dB: measured {row.measured:.4g} of {row.trials}, expected "
        f"{row.expected:.4g} ({row.source}), 99.9 % interval {max(row.low, 0):.4g} to {row.high:.4g}: "
        f"{'inside' if row.inside else 'OUTSIDE'}"
        for row in rows
    )
