"""Spectral distances of decoded and original audio, and of a vocoder's output from the speech of its features.

Metrics take aligned samples ``[..., N]`` on the scale +-1 and return ``[...]``, >= 0, lower is better; NaN for clips of
up to half an FFT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, PREEMPHASIS
from aether_lite.losses import spectral
from aether_lite.losses.spectral import FFT_SIZES, LOG_FLOOR, MEL_SIZE, log_mel_loss, magnitudes, stft_losses
from aether_lite.metrics.clips import NAN, check_audio, flat
from aether_lite.metrics.features import ACTIVE_RANGE_DB, REFERENCE_QUANTILE, frame_mean, frame_quantile
from aether_lite.metrics.registry import FEATURE_METRICS, Needs, evaluate_audio, metric

LSD_SIZE = 512  # samples (32 ms) of window and FFT of the log-spectral distance
LSD_HOP = 128  # samples (8 ms)

_distance = partial(metric, needs=Needs.AUDIO)
SPECTRAL = "spectral"
REANALYSED = ("feature_loss", "pitch_median_cents", "f0_correlation", "vuv_error")
"""Feature metrics of the output's own features against those it was synthesised from."""


@_distance(
    "log_mel", "Log-mel distance", "nepers", source="mean absolute difference, 80 bands (Kong et al., NeurIPS 2020)"
)
def log_mel_distance(decoded: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of log mel magnitudes [nepers]: 80 bands, FFT 1024, hop 256.

    :func:`aether_lite.losses.spectral.log_mel_loss` of each clip alone (J. Kong et al., "HiFi-GAN", NeurIPS 2020).
    Twice the amplitude everywhere costs ln 2 = 0.693.
    """
    return _each(log_mel_loss, MEL_SIZE, decoded, original)


@_distance(
    "mr_stft", "Multi-resolution STFT distance",
    source="spectral convergence + log magnitude (Yamamoto, Song and Kim, ICASSP 2020), FFT 80 to 2560",
)  # fmt: skip
def multi_resolution_stft(decoded: Tensor, original: Tensor) -> Tensor:
    """Multi-resolution STFT distance: spectral convergence plus mean absolute difference of log magnitudes [nepers].

    Averaged over FFT sizes 80 to 2560 (hop a quarter): the terms of :class:`aether_lite.losses.spectral.StftLosses`
    (R. Yamamoto, E. Song and J.-M. Kim, "Parallel WaveGAN", ICASSP 2020, with other sizes).
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        losses = stft_losses(x, y)
        return losses.convergence + losses.log

    return _each(distance, max(FFT_SIZES), decoded, original)


@_distance(
    "lsd_audio_db", "Log-spectral distance of audio", "dB", source="Gray and Markel, TASSP 1976; FFT 512, active frames"
)
def log_spectral_distance(decoded: Tensor, original: Tensor) -> Tensor:
    """Log-spectral distance of audio [dB]: mean over active frames of the rms over bins.

    Per frame (Hann 512, hop 128), the root mean square over the 257 bins of ``20 log10 |X| / |Y|``, magnitudes floored
    at 1e-4 (A. Gray and J. Markel, "Distance measures for speech processing", IEEE TASSP 24(5), 1976). Active frames
    lie within 40 dB of the 95th percentile of the original's frame energy. A gain costs its decibels.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        sent = magnitudes(y, LSD_SIZE, LSD_HOP)
        difference = 20 * (magnitudes(x, LSD_SIZE, LSD_HOP).clamp_min(LOG_FLOOR) / sent.clamp_min(LOG_FLOOR)).log10()
        levels = 10 * sent.square().sum(1).log10()
        every = torch.ones_like(levels, dtype=torch.bool)
        active = levels >= frame_quantile(levels, every, REFERENCE_QUANTILE)[:, None] - ACTIVE_RANGE_DB
        return frame_mean(difference.square().mean(1).sqrt(), active)[0]

    return _each(distance, LSD_SIZE, decoded, original)


def _each(distance: Callable[[Tensor, Tensor], Tensor], size: int, decoded: Tensor, original: Tensor) -> Tensor:
    """A distance of batches ``[1, N]`` for every clip; NaN where a clip is too short for an FFT of ``size``."""
    check_audio(decoded, original)
    shape = decoded.shape
    if shape[-1] <= size // 2:
        return decoded.new_full(shape[:-1], NAN)
    values = [distance(x[None], y[None]) for x, y in zip(flat(decoded), flat(original), strict=True)]
    return torch.stack(values).reshape(shape[:-1]) if values else decoded.new_zeros(shape[:-1])


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
    numbers = {name: float(FEATURE_METRICS[name](found, features)) for name in REANALYSED}
    return {SPECTRAL: spectral_distance(made, speech), **numbers, **evaluate_audio(made, speech, audio)}


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
    return float(spectral.root_stft_loss(mine, true))
