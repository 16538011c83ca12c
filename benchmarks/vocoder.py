"""Speed of the vocoder: real-time factors of one stream, of streaming row by row, and of batches.

Run: ``python benchmarks/vocoder.py [--seconds 5] [--batches 1 8 64] [--vocoder NAME|FILE]``

The real-time factor is computing time over playing time of all streams together (below 1 is faster than real
time); the best of ``--repeats`` runs counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from importlib.resources import as_file, files

import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.bench.speed import best_time
from aether_lite.features import extract_features
from aether_lite.vocoder import StreamingVocoder, Vocoder, load_vocoder, synthesize

FRAMES_PER_SECOND = 100
CLIP = "assets/samples/en_f_intro.flac"


def stream(features: Tensor, vocoder: Vocoder) -> None:
    """Push ``features [F, 36]`` one row at a time."""
    streaming = StreamingVocoder(vocoder)
    for row in torch.split(features, 1):
        streaming.push(row)
    streaming.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of speech in each stream")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--vocoder", help="released name or file; fargan without it")
    options = parser.parse_args(argv)

    vocoder = load_vocoder(options.vocoder)
    with as_file(files("aether_lite").joinpath(CLIP)) as path:
        clip = torch.from_numpy(extract_features(read_audio(path)))
    count = round(options.seconds * FRAMES_PER_SECOND)
    features = clip.repeat(-(-count // len(clip)), 1)[:count]
    seconds = count / FRAMES_PER_SECOND

    print(f"{'':>16} {'real-time factor':>17} {'times real time':>16}")
    factor = best_time(lambda: stream(features, vocoder), options.repeats) / seconds
    print(f"{'row by row':>16} {factor:17.4f} {1 / factor:16.1f}")
    for batch in options.batches:
        work = partial(synthesize, features.expand(batch, -1, -1), vocoder)
        factor = best_time(work, options.repeats) / seconds / batch
        print(f"{f'batch of {batch}':>16} {factor:17.4f} {1 / factor:16.1f}")


if __name__ == "__main__":
    main()
