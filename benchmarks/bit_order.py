"""What bit errors cost a hash codec at each bit rate, and in which positions of a token pitch, voicing and energy live.

    python benchmarks/bit_order.py SPEECH [--manifest TSV] [--model hash_small] [--clips 24] [--group 8] [--rate 2400]
        [--out FOLDER]

SPEECH is a folder as ``aether-lite bench`` takes it (audio, or features); without it the bundled speech is sent. Prints
two Markdown tables; with --out also writes bit_order.png and bit_order.md there. Errors at random: over a binary
symmetric channel, whose error rate the receiver estimates. By position: the same positions of every token are wrong and
the receiver trusts them, the worst that they can do. Measures: aether_lite.bench.bit_order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from aether_lite.bench.bit_order import METRICS, Cost, Sender, error_costs, position_costs
from aether_lite.bench.dataset import bundled, load_clip, open_dataset
from aether_lite.bench.tables import markdown
from aether_lite.codec import load_hash
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES

ERROR_RATES = (0.0, 0.01, 0.05)
DRAWN = ("feature_loss", "f0_correlation", "vuv_error", "level_error_db")
DIGITS = {"level_error_db": 2}


def cells(cost: Cost) -> list[str]:
    """The measures of a line."""
    return [f"{cost.values[metric.name]:.{DIGITS.get(metric.name, 4)}f}" for metric in METRICS]


def error_table(costs: Sequence[Cost]) -> str:
    """Random errors, each with what they add to the feature loss without any."""
    clean = {cost.rate: cost.values["feature_loss"] for cost in costs if cost.error_rate == 0}
    lines = [
        [
            str(cost.rate),
            f"{100 * (cost.error_rate or 0):g} %",
            f"{100 * (cost.values['feature_loss'] / clean[cost.rate] - 1):+.1f} %",
            *cells(cost),
        ]
        for cost in costs
    ]
    head = ["bit/s", "bit errors", "loss against none", *(metric.heading() for metric in METRICS)]
    return markdown(head, lines)


def position_table(costs: Sequence[Cost]) -> str:
    """Turned positions; the first line is without errors."""
    names = ["none" if cost.positions is None else f"{cost.positions[0]}-{cost.positions[1]}" for cost in costs]
    lines = [[name, *cells(cost)] for name, cost in zip(names, costs, strict=True)]
    return markdown(["positions turned", *(metric.heading() for metric in METRICS)], lines)


def draw(path: Path, costs: Sequence[Cost], title: str) -> None:
    """A bar for each group of positions, one panel a measure, a line at the value without errors."""
    from matplotlib.figure import Figure

    clean, *turned = costs
    shown = [(metric, [cost.values[metric.name] for cost in turned]) for metric in METRICS if metric.name in DRAWN]
    starts = [cost.positions[0] for cost in turned if cost.positions]
    width = [cost.positions[1] - cost.positions[0] + 1 for cost in turned if cost.positions]
    figure = Figure(figsize=(10, 9), dpi=120, layout="constrained")
    figure.suptitle(title)
    for index, (metric, values) in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, index + 1)
        axes.bar(starts, np.array(values), width=width, align="edge", color="#0072B2", edgecolor="white", lw=0.5)
        axes.axhline(clean.values[metric.name], color="#D55E00", ls="--", lw=1.4, label="no errors")
        axes.set_title(metric.heading(), fontsize=10, loc="left")
        axes.set_xticks(sorted({0, *(rate * 8 // 100 for rate in BIT_RATES if rate <= clean.rate)}))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[-1].set_xlabel(
        "position in the token that is always wrong; ticks: where 300, 600, 1200 and 2400 bit/s end"
    )
    figure.savefig(path)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, nargs="?", help="folder; by default the bundled speech")
    parser.add_argument("--manifest", type=Path, help="columns path and language of the clips")
    parser.add_argument("--model", default="hash_small", help="released hash codec or file")
    parser.add_argument("--clips", type=int, default=24, help="spread evenly; 0 for all")
    parser.add_argument("--seconds", type=float, help="only so much of each clip")
    parser.add_argument("--group", type=int, default=8, help="positions turned together")
    parser.add_argument("--rate", type=int, default=max(BIT_RATES), choices=BIT_RATES, help="bit/s of the positions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)

    dataset = (bundled() if chosen.speech is None else open_dataset(chosen.speech, chosen.manifest)).chosen(
        chosen.clips or None
    )
    clips = [load_clip(source, chosen.seconds).features for source in dataset.sources]
    sender = Sender(load_hash(chosen.model), clips)
    seconds = sum(len(clip) for clip in clips) / 100
    said = f"{Path(chosen.model).stem}, {dataset.title}: {len(clips)} clips, {seconds:.0f} s"
    errors = error_table(list(error_costs(sender, ERROR_RATES, chosen.seed)))
    positions = list(position_costs(sender, chosen.rate, chosen.group))
    text = f"{said}\n\n{errors}\n\nPositions at {chosen.rate} bit/s\n\n{position_table(positions)}\n"
    print(text, end="")
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "bit_order.md").write_text(text, encoding="utf-8")
        draw(chosen.out / "bit_order.png", positions, f"Bits by importance at {chosen.rate} bit/s; {said}")


if __name__ == "__main__":
    try:
        main()
    except AetherError as error:
        sys.exit(f"bit_order: {error}")
