"""Speed of soft YIN on a batch, against a loop of librosa's hard YIN over its items.

Run: ``OMP_NUM_THREADS=1 python benchmarks/soft_yin.py [--batch 32] [--seconds 1.0] [--repeats 5]``

Times are the best of ``--repeats`` runs. Where there is a GPU its time is printed too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files

import librosa
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.features.yin import YIN_FMAX, YIN_FMIN, YIN_FRAME_LENGTH
from aether_lite.losses.f0 import soft_yin

CLIP = "assets/samples/en_f_queue.flac"


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Shortest time of ``work`` [s], after one run that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def with_gradient(audio: Tensor) -> None:
    """Forward and backward pass on ``audio [B, N]``."""
    audio = audio.detach().requires_grad_()
    torch.log2(soft_yin(audio).f0).sum().backward()


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.0, help="of speech in each item")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(argv)

    with as_file(files("aether_lite").joinpath(CLIP)) as path:
        clip = torch.as_tensor(read_audio(path), dtype=torch.float32)
    length = round(options.seconds * SAMPLE_RATE)
    total = options.batch * length
    audio = clip.repeat(-(-total // len(clip)))[:total].reshape(options.batch, length)
    items = list(audio.numpy())

    def loop() -> None:
        for item in items:
            librosa.yin(
                item, fmin=YIN_FMIN, fmax=YIN_FMAX, sr=SAMPLE_RATE, frame_length=YIN_FRAME_LENGTH, hop_length=FRAME
            )

    @torch.no_grad()
    def forward(batch: Tensor) -> None:
        soft_yin(batch)

    rows = {
        "librosa.yin, looped": loop,
        "soft YIN, CPU": lambda: forward(audio),
        "soft YIN with gradient, CPU": lambda: with_gradient(audio),
    }
    if torch.cuda.is_available():
        there = audio.cuda()
        rows["soft YIN, GPU"] = lambda: forward(there)
        rows["soft YIN with gradient, GPU"] = lambda: with_gradient(there)
    print(f"{options.batch} x {options.seconds:g} s, {torch.get_num_threads()} CPU thread(s)")
    for name, work in rows.items():
        seconds = best_time(work, options.repeats)
        print(f"{name:>28} {1e3 * seconds:9.2f} ms {options.batch * options.seconds / seconds:10.0f} x real time")


if __name__ == "__main__":
    main()
