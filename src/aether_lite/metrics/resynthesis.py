"""Distance of a vocoder's output from the speech that its features were taken from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, PREEMPHASIS
from aether_lite.losses.spectral import FFT_SIZES, root_stft_loss
from aether_lite.metrics.registry import FEATURE_METRICS, evaluate_audio

SPECTRAL = "spectral"
REANALYSED = ("feature_loss", "pitch_median_cents", "f0_correlation", "vuv_error")
"""Feature metrics of the output's own features against those it was synthesised from."""


def resynthesis_measures(made: Tensor, speech: Tensor, features: Tensor, audio: Sequence[str]) -> dict[str, float]:
    """Metrics of one clip: ``spectral``, :data:`REANALYSED` and ``audio``; NaN where not defined or not installed.

    Args:
        made, speech: ``[160 F]``, the vocoder's output and what the features were taken from.
        features: ``[F, 20]``.
        audio: metrics of :data:`~aether_lite.metrics.AUDIO_METRICS` to measure.

    Raises:
        ValueError: lengths that do not fit each other.
    """
    if made.shape != speech.shape or len(made) != FRAME * len(features):
        raise ValueError(f"{len(made)} and {len(speech)} samples do not belong to {len(features)} feature rows")
    found = reanalysed(made)
    numbers = {SPECTRAL: spectral_distance(made, speech)}
    numbers |= {name: float(FEATURE_METRICS[name](found, features)) for name in REANALYSED}
    return numbers | evaluate_audio(made, speech, audio)


def reanalysed(made: Tensor) -> Tensor:
    """Features ``[F, 20]`` of a vocoder's output ``[160 F]``."""
    rows = extract_features(made.numpy())[: len(made) // FRAME, :NUM_FREE]
    return torch.from_numpy(np.ascontiguousarray(rows))


def spectral_distance(made: Tensor, speech: Tensor) -> float:
    """FARGAN's own loss of one clip ``[N]``: :func:`~aether_lite.losses.spectral.root_stft_loss` of the pre-emphasised
    samples, >= 0; NaN for clips under 100 ms."""
    frames = len(speech) // FRAME - 2  # the frames of the first and the last row stick out
    if frames * FRAME <= max(FFT_SIZES) // 2:
        return math.nan
    first = FRAME // 2  # sample of row 1's frame
    pieces = (audio[None, first - 1 : first + frames * FRAME] for audio in (made, speech))
    mine, true = (piece[:, 1:] - PREEMPHASIS * piece[:, :-1] for piece in pieces)
    return float(root_stft_loss(mine, true))
