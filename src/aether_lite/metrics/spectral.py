"""Distances between the spectra of decoded and original audio. Both must be aligned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aether_lite.losses.spectral import FFT_SIZES, LOG_FLOOR, MEL_SIZE, log_mel_loss, magnitudes, stft_losses
from aether_lite.metrics.active import ACTIVE_RANGE_DB, NAN, REFERENCE_QUANTILE, frame_mean, frame_quantile
from aether_lite.metrics.clips import check_audio, flat

LSD_SIZE = 512  # samples (32 ms) of window and FFT of the log-spectral distance
LSD_HOP = 128  # samples (8 ms)


def log_mel_distance(decoded: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference ``[...]`` of log mel magnitudes [nepers], >= 0, lower is better.

    80 bands, FFT 1024, hop 256: :func:`aether_lite.losses.spectral.log_mel_loss` of each clip alone (J. Kong et al.,
    "HiFi-GAN", NeurIPS 2020). Twice the amplitude everywhere costs ln 2 = 0.693.

    Args:
        decoded: ``[..., N]`` samples on the scale +-1.
        original: ``[..., N]`` samples.

    Raises:
        ValueError: the shapes differ, or samples that are not finite.
    """
    return _alone(log_mel_loss, MEL_SIZE, decoded, original)


def multi_resolution_stft(decoded: Tensor, original: Tensor) -> Tensor:
    """Multi-resolution STFT distance ``[...]`` of each clip, >= 0, lower is better.

    Spectral convergence plus mean absolute difference of log magnitudes [nepers], averaged over FFT sizes 80 to 2560
    (hop a quarter): the terms of :class:`aether_lite.losses.spectral.StftLosses` (R. Yamamoto, E. Song and J.-M. Kim,
    "Parallel WaveGAN", ICASSP 2020, with other sizes). NaN for clips of up to 1280 samples. Arguments as
    :func:`log_mel_distance`.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        losses = stft_losses(x, y)
        return losses.convergence + losses.log

    return _alone(distance, max(FFT_SIZES), decoded, original)


def log_spectral_distance(decoded: Tensor, original: Tensor) -> Tensor:
    """Log-spectral distance of audio ``[...]`` [dB], >= 0, lower is better: mean over active frames of the rms of bins.

    Per frame (Hann 512, hop 128), the root mean square over the 257 bins of ``20 log10 |X| / |Y|``, magnitudes floored
    at 1e-4 (A. Gray and J. Markel, "Distance measures for speech processing", IEEE TASSP 24(5), 1976). Active frames
    lie within 40 dB of the 95th percentile of the original's frame energy. A gain costs its decibels. NaN for clips of
    up to 256 samples. Arguments as :func:`log_mel_distance`.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        sent = magnitudes(y, LSD_SIZE, LSD_HOP)
        difference = 20 * (magnitudes(x, LSD_SIZE, LSD_HOP).clamp_min(LOG_FLOOR) / sent.clamp_min(LOG_FLOOR)).log10()
        levels = 10 * sent.square().sum(1).log10()
        every = torch.ones_like(levels, dtype=torch.bool)
        active = levels >= frame_quantile(levels, every, REFERENCE_QUANTILE)[:, None] - ACTIVE_RANGE_DB
        return frame_mean(difference.square().mean(1).sqrt(), active)[0]

    return _alone(distance, LSD_SIZE, decoded, original)


def _alone(distance: Callable[[Tensor, Tensor], Tensor], size: int, decoded: Tensor, original: Tensor) -> Tensor:
    """A distance of batches ``[1, N]`` of every clip; NaN where a clip is too short for an FFT of ``size``."""
    check_audio(decoded, original)
    shape = decoded.shape
    if shape[-1] <= size // 2:
        return decoded.new_full(shape[:-1], NAN)
    values = [distance(x[None], y[None]) for x, y in zip(flat(decoded), flat(original), strict=True)]
    return torch.stack(values).reshape(shape[:-1]) if values else decoded.new_zeros(shape[:-1])
