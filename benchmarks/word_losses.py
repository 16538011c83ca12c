"""Which part of the decoded features costs words: speech of features that are decoded in one part, true in the rest.

    python benchmarks/word_losses.py FOLDER --manifest FOLDER/manifest.tsv --codec base --rate 1000 --snr 6

Prints for every part the mean word error rate over the English clips and the difference to the vocoder alone, clip by
clip, with 95 % bootstrap intervals, and the mean square error of loud and other cells. A cell is a Bark band of a
frame; it is loud where the original's log energy is at most 25 dB below the 97th percentile of the clip's cells.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from aether_lite.bench.bootstrap import estimate
from aether_lite.bench.dataset import load_clip, open_dataset
from aether_lite.channels import apply_channel
from aether_lite.codec import load
from aether_lite.errors import AetherError
from aether_lite.features.layout import CEPSTRA, FRAME
from aether_lite.features.tensors import cepstra_of_bands, log_bands
from aether_lite.metrics.recognition import word_error_rate

LOUD_RANGE = 2.5  # bel below the level of loud cells
LOUD_QUANTILE = 0.97
LOW = slice(0, 6)  # cepstra of the coarse spectrum

Mix = Callable[[Tensor, Tensor], Tensor]
"""Features ``[F, 20]`` of decoded and true ones."""


def columns(part: slice) -> Mix:
    """Decoded in these columns, true in the others."""

    def mixed(decoded: Tensor, true: Tensor) -> Tensor:
        made = true.clone()
        made[:, part] = decoded[:, part]
        return made

    return mixed


def loud_cells(true: Tensor) -> Tensor:
    """``[F, 18] bool`` of a clip's features."""
    levels = log_bands(true)
    return levels > torch.quantile(levels, LOUD_QUANTILE) - LOUD_RANGE


def cells(loud: bool) -> Mix:
    """Decoded in the loud cells or in all others, true in the rest."""

    def mixed(decoded: Tensor, true: Tensor) -> Tensor:
        made = true.clone()
        made[:, CEPSTRA] = cepstra_of_bands(torch.where(loud_cells(true) == loud, log_bands(decoded), log_bands(true)))
        return made

    return mixed


PARTS: dict[str, Mix] = {
    "nothing (vocoder alone)": columns(slice(0, 0)),
    "all features": columns(slice(None)),
    "cepstra": columns(CEPSTRA),
    "pitch and correlation": columns(slice(CEPSTRA.stop, None)),
    "c0 (level)": columns(slice(0, 1)),
    "c0 to c5": columns(LOW),
    "c6 to c17": columns(slice(LOW.stop, CEPSTRA.stop)),
    "loud cells": cells(loud=True),
    "other cells": cells(loud=False),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="tells which clips are English")
    parser.add_argument("--clips", type=int, default=0, help="English ones among so many, evenly chosen; 0: all")
    parser.add_argument("--codec", default="base")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--snr", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        chosen = open_dataset(options.folder, options.manifest).chosen(options.clips or None).sources
        clips = [clip for clip in map(load_clip, chosen) if clip.language.startswith("en")]
        if not clips:
            raise AetherError(f"{options.folder}: no English clip in {options.manifest}")
        codec = load(options.codec)
        values: dict[str, list[float]] = {name: [] for name in PARTS}
        errors: dict[bool, list[Tensor]] = {True: [], False: []}
        for clip in clips:
            symbols = codec.encode(clip.speech.numpy(), options.rate)
            received = apply_channel("awgn", symbols, options.snr, seed=options.seed)
            decoded = codec.decode_features(received)[0, : len(clip.features)]
            error = (log_bands(decoded) - log_bands(clip.features)).square()
            for loud, kept in errors.items():
                kept.append(error[loud_cells(clip.features) == loud])
            for name, mix in PARTS.items():
                made = codec.speak(mix(decoded, clip.features)[None])[0, : len(decoded) * FRAME]
                values[name].append(float(word_error_rate(made, clip.speech[: len(made)])))
    except AetherError as error:
        sys.exit(f"word_losses: {error}")
    print(f"{len(clips)} clips, {options.codec}, {options.rate} uses/s, AWGN, {options.snr:g} dB\n")
    print("| decoded, the rest true | WER | more than the vocoder alone |\n|---|---|---|")
    alone = next(iter(values.values()))
    for name, row in values.items():
        heard = [rate for rate in row if rate == rate]
        more = estimate([one - other for one, other in zip(row, alone, strict=True) if one == one])
        print(f"| {name} | {sum(heard) / len(heard):.3f} | {more.value:+.3f} [{more.low:+.3f}, {more.high:+.3f}] |")
    loud_error, other_error = (torch.cat(errors[loud]) for loud in (True, False))
    share = len(loud_error) / (len(loud_error) + len(other_error))
    print(
        f"\nmean square error of band log energies: loud cells ({share:.0%} of all) {loud_error.mean():.4f}, "
        f"others {other_error.mean():.4f} bel^2"
    )


if __name__ == "__main__":
    main()
