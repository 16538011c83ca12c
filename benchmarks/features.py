"""Real-time factor of feature extraction on one core, by part and as a whole.

OMP_NUM_THREADS=1 python benchmarks/features.py [SECONDS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import soundfile

from aether_lite.bench.speed import best_time
from aether_lite.features import StreamingExtractor, analysis, layout, pitch, yin
from aether_lite.features.layout import FRAME, SAMPLE_RATE

REPEATS = 3  # of which the shortest counts


def speech(seconds: float) -> np.ndarray:
    """Bundled speech, repeated: ``[N] float64`` on the int16 scale."""
    with (files("aether_lite") / "assets" / "samples" / "en_f_queue.flac").open("rb") as file:
        clip, _ = soundfile.read(file, dtype="int16")
    return np.resize(clip, int(seconds * SAMPLE_RATE) // FRAME * FRAME)


def main(seconds: float = 60.0) -> None:
    """Print seconds of speech handled per second, for each part."""
    pcm = speech(seconds)
    block = pcm[: analysis.BLOCK_FRAMES * FRAME].astype(np.float64)
    frames = block.reshape(-1, FRAME)
    windows = np.concatenate([np.vstack([np.zeros((1, FRAME)), frames[:-1]]), frames], axis=1)
    cepstra = layout.cepstra_of_windows(windows)
    coefficients = layout.lpc_from_cepstrum(cepstra)
    errors = pitch.residual(windows, coefficients)
    _, pieces = analysis.FrameAnalyser().analyse(block)
    scores = pitch.lag_scores(pieces)
    gains = pitch.state_gains(scores)
    states = np.zeros(len(gains), dtype=np.int64)

    def track() -> None:
        tracker = pitch.PitchTracker()
        for row in gains:
            tracker.step(row)

    def stream() -> None:
        extractor = StreamingExtractor()
        for start in range(0, len(block), FRAME):
            extractor.push(block[start : start + FRAME] / 32_768)

    parts: dict[str, Callable[[], object]] = {
        "cepstra": lambda: layout.cepstra_of_windows(windows),
        "LPC": lambda: layout.lpc_from_cepstrum(cepstra),
        "residual": lambda: pitch.residual(windows, coefficients),
        "low-pass": lambda: pitch.lowpass(errors, errors),
        "lag scores": lambda: pitch.lag_scores(pieces),
        "state gains": lambda: pitch.state_gains(scores),
        "tracker": track,
        "refinement": lambda: pitch.refine_period(scores, states),
        "frame correlation": lambda: pitch.frame_correlation(pieces, np.zeros(len(pieces))),
        "streaming, 10 ms at a time": stream,
    }
    block_seconds = len(block) / SAMPLE_RATE
    for name, run in parts.items():
        print(f"{name:28s} {block_seconds / best_time(run, REPEATS):9.0f} x real time")
    whole: dict[str, Callable[[], object]] = {
        "hard YIN": lambda: yin(pcm),
        "whole extractor": lambda: analysis.extract_features(pcm),
    }
    for name, run in whole.items():
        print(f"{name:28s} {seconds / best_time(run, REPEATS):9.0f} x real time")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
