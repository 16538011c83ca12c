"""What codecs sound like, each with its own vocoder: speech sent at one rate and Es/N0, against the original.

    python benchmarks/codec_audio.py FOLDER --manifest FOLDER/manifest.tsv --clips 24 \\
        --codec start=small --codec stages=RUN/codec_small.safetensors,RUN/vocoder.safetensors

Prints the mean of every metric over the clips (evenly chosen in name order) and the differences to the first codec,
clip by clip, with 95 % bootstrap intervals; of F0 correlation and spread, which the benchmark reports as medians, the
medians too. F0 and V/UV of ``audio`` are of features taken again from the decoded
speech, those of ``decoded`` of the decoder's features. WER is over English clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aether_lite.baselines import Clip
from aether_lite.bench.bootstrap import estimate
from aether_lite.bench.dataset import load_clip, open_dataset
from aether_lite.channels import apply_channel
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.metrics import FEATURE_METRICS, evaluate_audio, missing_line
from aether_lite.metrics.resynthesis import reanalysed

AUDIO = ("estoi", "pesq_wb", "dnsmos_ovrl", "dnsmos_p808", "wer", "log_mel")
FEATURES = ("feature_loss", "f0_correlation", "f0_spread_ratio", "vuv_error")
MEDIANS = ("f0_correlation", "f0_spread_ratio")


@dataclass(frozen=True)
class Contender:
    """A codec file, or the name of released weights, and the vocoder that belongs to it (None: the released one)."""

    name: str
    codec: str
    vocoder: str | None


def contender(text: str) -> Contender:
    """``NAME=CODEC`` or ``NAME=CODEC,VOCODER``."""
    name, _, files = text.partition("=")
    codec, _, vocoder = files.partition(",")
    if not name or not codec:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CODEC or NAME=CODEC,VOCODER")
    return Contender(name, codec, vocoder or None)


def measured(codec: Codec, clip: Clip, options: argparse.Namespace) -> dict[str, float]:
    """Every metric of one clip."""
    speech = clip.speech.numpy()
    symbols = codec.encode(speech, options.rate)
    received = apply_channel(options.channel, symbols, options.snr, seed=options.seed)
    frames = len(clip.features)
    rows = codec.decode_features(received)
    decoded = rows[0, :frames]
    made = codec.speak(rows)[0, : frames * FRAME]
    again = reanalysed(made)
    numbers = {f"decoded {name}": float(FEATURE_METRICS[name](decoded, clip.features)) for name in FEATURES}
    numbers |= {f"audio {name}": float(FEATURE_METRICS[name](again, clip.features)) for name in FEATURES}
    return numbers | evaluate_audio(made, clip.speech, AUDIO, clip.language)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--codec", type=contender, action="append", required=True, metavar="NAME=CODEC[,VOCODER]")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--snr", type=float, default=6.0)
    parser.add_argument("--channel", default="awgn")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    lacking = missing_line(AUDIO)
    if lacking:
        print(lacking, file=sys.stderr)
    try:
        clips = [
            load_clip(source) for source in open_dataset(options.folder, options.manifest).chosen(options.clips).sources
        ]
        codecs = {each.name: load(each.codec, each.vocoder) for each in options.codec}
        values = {name: [measured(codec, clip, options) for clip in clips] for name, codec in codecs.items()}
    except AetherError as error:
        sys.exit(f"codec_audio: {error}")
    names = list(values)
    print(f"{len(clips)} clips, {options.rate} uses/s, {options.channel}, {options.snr:g} dB\n")
    print(f"| | {' | '.join(names)} |{''.join(f' {name} - {names[0]} |' for name in names[1:])}")
    print("|---" * (2 * len(names)) + "|")
    for metric in values[names[0]][0]:
        columns = {name: [row[metric] for row in rows] for name, rows in values.items()}
        for median in (False, True) if metric.endswith(MEDIANS) else (False,):
            cells = [f"{estimate(columns[name], median=median).value:.3f}" for name in names]
            for name in names[1:]:
                differences = [one - first for one, first in zip(columns[name], columns[names[0]], strict=True)]
                gain = estimate(differences, median=median)
                cells.append(f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
            print(f"| {metric}{', median' if median else ''} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
