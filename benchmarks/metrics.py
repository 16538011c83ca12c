"""CPU seconds of each audio metric on one clip, and its values for the vocoder alone and for noise at 0 dB.

OMP_NUM_THREADS=1 python benchmarks/metrics.py [SECONDS]

The first column is the first call, with what it loads; the second a later call on new decoded audio of an original that
has been seen, as at every further condition of a benchmark. Metrics that share a network (DNSMOS, WER and CER) show its
time at the first of them.
"""

from __future__ import annotations

import sys
import time
from importlib.resources import as_file, files

import torch
from torch import Tensor

from aether_lite.audio import SAMPLE_RATE, read_audio
from aether_lite.features import extract_features
from aether_lite.metrics import AUDIO_METRICS, evaluate_audio, missing_line
from aether_lite.vocoder import load_fargan, synthesize

CLIPS = ("en_f_queue", "en_f_intro")


def speech(name: str, seconds: float) -> Tensor:
    """The start of a bundled sample ``[N] float32``."""
    with as_file(files("aether_lite") / "assets" / "samples" / f"{name}.flac") as path:
        return torch.from_numpy(read_audio(path)[: round(seconds * SAMPLE_RATE)])


def vocoded(original: Tensor) -> Tensor:
    """The clip through features and vocoder only, of the same length."""
    features = torch.from_numpy(extract_features(original.numpy()))
    return torch.nn.functional.pad(synthesize(features, load_fargan()), (0, len(original)))[: len(original)]


def timed(name: str, decoded: Tensor, original: Tensor) -> tuple[float, float]:
    """CPU time [s] and value of a metric."""
    start = time.process_time()
    value = evaluate_audio(decoded, original, [name], "en")[name]
    return time.process_time() - start, value


def main(seconds: float = 5.0) -> None:
    """Print a table."""
    torch.set_num_threads(1)
    if line := missing_line(AUDIO_METRICS):
        print(line)
    for clip in CLIPS:
        original = speech(clip, seconds)
        noise = original.square().mean().sqrt() * torch.randn(
            original.shape, generator=torch.Generator().manual_seed(0)
        )
        through = vocoded(original)
        print(
            f"{clip}, {len(original) / SAMPLE_RATE:g} s{'first [CPU s]':>24s}{'later':>8s}{'vocoder':>10s}{'0 dB':>9s}"
        )
        for name in AUDIO_METRICS:
            first, alone = timed(name, through, original)
            later, drowned = timed(name, original + noise, original)
            print(f"{name:20s}{first:22.3f}{later:8.3f}{alone:10.3f}{drowned:9.3f}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
