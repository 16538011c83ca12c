"""The demo's table: for the terminal, as Markdown and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite.cli import files
from aether_lite.cli.console import number
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from aether_lite.codec import Codec
    from aether_lite.link.demonstration import Clip

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
NO_ESTOI = "ESTOI needs pystoi: pip install aether-lite[eval]"


def cells(row: dict[str, Any]) -> list[str]:
    """A row as text; its first column names the system where nothing was sent."""
    values = [row.get(key) for _, _, key, _, _ in COLUMNS]
    shown = [
        number(None if value is None else value * factor, digits)
        for value, (_, _, _, factor, digits) in zip(values, COLUMNS, strict=True)
    ]
    return [row["system"], *shown[1:]] if row.get("rate") is None else shown


def with_limits(rows: Sequence[dict[str, Any]], top: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the conditions, then of the vocoder alone and of the original speech."""
    original = {"system": "original", "estoi": None if top["estoi"] is None else 1.0}
    return [*rows, top, original]


def notes(codec: Codec, clips: Sequence[Clip], channel: str, seconds: float | None) -> list[str]:
    """What has to be known to read the table."""
    from aether_lite import __version__
    from aether_lite.metrics import available

    spoken = f"the first {seconds:g} s of each" if seconds else "whole"
    said = [
        f"Channel {channel}. {len(clips)} clips ({spoken}): {', '.join(clip.name for clip in clips)}. "
        "Median over clips of F0 correlation, mean of the others.",
        "One use is one complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000). Latency is algorithmic. "
        "ESTOI is against the original; "
        "'vocoder only' is its ceiling: the features as they were sent.",
        "Real-time factor (RTF): computing time of features, codec and vocoder over playing time; the vocoder speaks "
        "several clips at once, which is faster than one alone.",
        f"aether-lite {__version__}, codec of {sum(p.numel() for p in codec.model.parameters()):,} parameters.",
    ]
    return said if available("estoi") else [*said, NO_ESTOI]


def write_tables(folder: Path, rows: Sequence[dict[str, Any]], top: dict[str, Any], said: Sequence[str]) -> None:
    """``table.md`` and ``table.json``."""
    everything = with_limits(rows, top)
    lines = [f"| {' | '.join(heading for heading, *_ in COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in everything]
    with atomic_path(folder / "table.md") as partial:
        partial.write_text("\n".join([*lines, "", *(f"{note}  " for note in said), ""]), encoding="utf-8")
    files.write_json(str(folder / "table.json"), {"rows": everything, "notes": list(said)})


def print_table(out: Console, rows: Sequence[dict[str, Any]], top: dict[str, Any], said: Sequence[str]) -> None:
    """The table and its notes, on the terminal."""
    from rich import box
    from rich.table import Table

    table = Table(
        title="Speech through a noisy channel", title_style="bold", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for index, (_, heading, *_) in enumerate(COLUMNS):
        table.add_column(heading, justify="right", no_wrap=index > 0, min_width=8 if index == 0 else None)
    everything = with_limits(rows, top)
    for row, following in zip(everything, [*everything[1:], None], strict=True):
        ends = following is not None and row.get("rate") != following.get("rate")
        table.add_row(*cells(row), end_section=ends)
    out.print(table)
    for note in said:
        out.print(note, style="dim")
