"""Objective quality of vocoders on clips of a speech data set: features in, speech out, measured against the original.

    python benchmarks/vocoder_quality.py FOLDER --manifest FOLDER/manifest.tsv --split test --per-speaker 12 \\
        --vocoder start=start.pth --vocoder trained=runs/vocoder/vocoder.pth --out OUT [--jobs 2]

Writes OUT/results.csv (a line a clip and vocoder), OUT/table.md (means, 95 % intervals, paired differences to the first
vocoder, the clips) and OUT/trade_off.png (DNSMOS against PESQ). What OUT/results.jsonl holds is not computed again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aether_lite.bench.vocoders.clips import choose
from aether_lite.bench.vocoders.compare import AUDIO, Contender, compare
from aether_lite.bench.vocoders.report import write_comparison
from aether_lite.errors import AetherError
from aether_lite.metrics import missing_line


def contender(text: str) -> Contender:
    """``NAME=FILE``."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return Contender(name, Path(path))


def measure(options: argparse.Namespace) -> str:
    """Choose clips, compare and write; returns the table."""
    clips = choose(options.folder, options.manifest, options.split, options.per_speaker)
    lacking = missing_line(AUDIO)
    if lacking:
        print(lacking, file=sys.stderr)

    def say(done: int, whole: int) -> None:
        print(f"\r{done}/{whole}", end="\n" if done == whole else "", file=sys.stderr, flush=True)

    results = compare(options.folder, clips, options.vocoder, options.out, options.jobs, say)
    speakers = len({clip.speaker for clip in clips})
    return write_comparison(options.out, results, f"Split {options.split}, {len(clips)} clips of {speakers} speakers")


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--per-speaker", type=int, default=12)
    parser.add_argument("--vocoder", type=contender, action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(argv)
    try:
        print(measure(options))
    except AetherError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
