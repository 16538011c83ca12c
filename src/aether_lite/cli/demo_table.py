"""The demo's table: a row for each condition; on the terminal, as Markdown and as JSON.

Numbers of a condition are of its clips together: the median of F0 correlation and spread, the mean of all others.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite.cli import files
from aether_lite.cli.console import number
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from aether_lite.cli.demo import Clip, Received
    from aether_lite.codec import Codec

COLUMNS: tuple[tuple[str, str, str, float, int], ...] = (
    # heading, its short form, key, factor, digits
    ("rate [uses/s]", "rate\nuses/s", "rate", 1, 0),
    ("SNR (Es/N0) [dB]", "Es/N0\ndB", "snr_db", 1, 1),
    ("SNR3k [dB]", "SNR3k\ndB", "snr_3k_db", 1, 1),
    ("latency [ms]", "latency\nms", "latency_ms", 1, 0),
    ("feature loss", "feature\nloss", "feature_loss", 1, 3),
    ("LSD [dB]", "LSD\ndB", "lsd_active_db", 1, 2),
    ("F0 correlation", "F0\ncorr.", "f0_correlation", 1, 3),
    ("V/UV error [%]", "V/UV\nerr. %", "vuv_error", 100, 1),
    ("ESTOI", "ESTOI", "estoi", 1, 3),
    ("real-time factor", "RTF", "real_time_factor", 1, 3),
)
MEDIANS = ("f0_correlation", "f0_spread_ratio")
NO_ESTOI = "ESTOI needs pystoi: pip install aether-lite[eval]"


def table_row(codec: Codec, clips: Sequence[Clip], received: Sequence[Received]) -> dict[str, Any]:
    """Numbers of one condition over its clips."""
    results = [item.result for item in received]
    links = [result.link_metrics() for result in results]
    measured = [result.feature_metrics() for result in results]
    config = results[0].config
    seconds = sum(item.result.encode_s + item.result.decode_s + item.vocoder_s for item in received)
    return {
        "system": "Aether-lite",
        "channel": config.channel,
        "rate": config.rate,
        "snr_db": config.snr_db,
        "snr_3k_db": links[0]["snr_3k_db"],
        "latency_ms": codec.latency.milliseconds,
        **{name: over_clips(name, [values[name] for values in measured]) for name in measured[0]},
        "estoi": mean_estoi([item.speech for item in received], clips),
        "papr_db": max(numbers["papr_db"] for numbers in links),
        "real_time_factor": seconds / sum(clip.seconds for clip in clips),
    }


def over_clips(name: str, values: Sequence[float]) -> float:
    """One number for several clips: median or mean, over those for which it is defined."""
    import numpy as np

    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return math.nan
    return float(np.median(defined) if name in MEDIANS else np.mean(defined))


def mean_estoi(speech: Sequence[Any], clips: Sequence[Clip]) -> float | None:
    """Mean ESTOI of speech ``[N]`` against the original; None where it cannot be computed."""
    import torch

    from aether_lite.metrics import available, estoi

    if not available("estoi"):
        return None
    pairs = zip(speech, clips, strict=True)
    scores = [float(estoi(torch.from_numpy(samples), torch.from_numpy(clip.speech))) for samples, clip in pairs]
    return over_clips("estoi", scores)


def cells(row: dict[str, Any]) -> list[str]:
    """A row as text; its first column names the system where nothing was sent."""
    values = [row.get(key) for _, _, key, _, _ in COLUMNS]
    shown = [
        number(None if value is None else value * factor, digits)
        for value, (_, _, _, factor, digits) in zip(values, COLUMNS, strict=True)
    ]
    return [row["system"], *shown[1:]] if row.get("rate") is None else shown


def notes(codec: Codec, clips: Sequence[Clip], channel: str, seconds: float | None) -> list[str]:
    """What has to be known to read the table."""
    from aether_lite import __version__
    from aether_lite.metrics import available

    spoken = f"the first {seconds:g} s of each" if seconds else "whole"
    lines = [
        f"Channel {channel}. {len(clips)} clips ({spoken}): {', '.join(clip.name for clip in clips)}. "
        "Median over clips of F0 correlation, mean of the others.",
        "One use is one complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000). Latency is algorithmic. "
        "ESTOI is against the original; "
        "'vocoder only' is its ceiling: the features as they were sent.",
        "Real-time factor (RTF): computing time of features, codec and vocoder over playing time; the vocoder speaks "
        "several clips at once, which is faster than one alone.",
        f"aether-lite {__version__}, codec of {sum(p.numel() for p in codec.model.parameters()):,} parameters.",
    ]
    return lines if available("estoi") else [*lines, NO_ESTOI]


def write_tables(folder: Path, rows: Sequence[dict[str, Any]], remarks: Sequence[str]) -> None:
    """``table.md`` and ``table.json``."""
    lines = [f"| {' | '.join(heading for heading, *_ in COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    with atomic_path(folder / "table.md") as partial:
        partial.write_text("\n".join([*lines, "", *(f"{remark}  " for remark in remarks), ""]), encoding="utf-8")
    files.write_json(str(folder / "table.json"), {"rows": rows, "notes": remarks})


def print_table(out: Console, rows: Sequence[dict[str, Any]], remarks: Sequence[str]) -> None:
    """The table and its notes, on the terminal."""
    from rich import box
    from rich.table import Table

    table = Table(
        title="Speech through a noisy channel", title_style="bold", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for index, (_, heading, *_) in enumerate(COLUMNS):
        table.add_column(heading, justify="right", no_wrap=index > 0, min_width=8 if index == 0 else None)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is not None and row.get("rate") != following.get("rate")
        table.add_row(*cells(row), end_section=ends)
    out.print(table)
    for remark in remarks:
        out.print(remark, style="dim")
