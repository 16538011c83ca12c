"""Validation at fixed rates and SNRs, through the same channels users get."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.codec import SpiJscc
from aether_lite.losses.feature import feature_loss
from aether_lite.training.data import Corpus, read_frames

VALIDATION_POINTS = ((1000, 10.0), (1000, 0.0), (300, 6.0))
"""(uses/s, Es/N0 dB) at which a run is watched."""
SEGMENT_FRAMES = 800


def validation_features(corpus: Corpus) -> Tensor:
    """All clips in a row, cut to segments: ``[S, 800, 20]``; the last part of a segment is dropped."""
    joined = np.concatenate([read_frames(clip, 0, clip.frames) for clip in corpus.clips])
    length = min(SEGMENT_FRAMES, len(joined) // 8 * 8)
    count = len(joined) // length
    return torch.from_numpy(joined[: count * length].reshape(count, length, -1))


@torch.no_grad()
def validate(
    model: SpiJscc, features: Tensor, points: Sequence[tuple[int, float]] = VALIDATION_POINTS, seed: int = 0
) -> dict[str, float]:
    """Mean feature loss over AWGN at each point, keyed ``"1000@10dB"``."""
    model.eval()
    result = {}
    for rate, snr_db in points:
        symbols, _ = model.encode(features, rate)
        decoded, _ = model.decode(awgn(symbols, snr_db, seed=seed))
        result[f"{rate}@{snr_db:g}dB"] = float(feature_loss(decoded, features).mean())
    model.train()
    return result
