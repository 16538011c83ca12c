"""Objective metrics of decoded speech: functions, and a registry with the unit, range and source of each.

Functions are batch first and give one number for each clip, NaN where it is not defined (no voiced frame, say):
``[..., F, 20]`` features or ``[..., N]`` audio -> ``[...]``. :data:`METRICS` holds a :class:`Metric` for each, by the
column name of results tables.

A new metric is a function under the decorator :func:`~aether_lite.metrics.registry.metric` in a new file here.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aether_lite.metrics.features import (
        active_frames,
        band_levels,
        cepstral_rmse,
        clip_feature_loss,
        f0_correlation,
        f0_hz,
        f0_spread_ratio,
        frame_levels,
        frame_mean,
        frame_quantile,
        gross_pitch_error,
        lsd_active,
        pitch_fine_rms_cents,
        pitch_median_cents,
        pitch_spike,
        vuv_error,
    )
    from aether_lite.metrics.intrusive import estoi, estoi_4k, pesq_nb, pesq_wb
    from aether_lite.metrics.perceptual import dnsmos, speaker_similarity
    from aether_lite.metrics.recognition import character_error_rate, phone_change, plain_words, word_error_rate
    from aether_lite.metrics.registry import (
        AUDIO_METRICS,
        FEATURE_METRICS,
        METRICS,
        Metric,
        Needs,
        Pooling,
        available,
        evaluate_audio,
        metric,
        missing_line,
    )
    from aether_lite.metrics.spectral import log_mel_distance, log_spectral_distance, multi_resolution_stft

_MODULES = ("features", "intrusive", "perceptual", "recognition", "registry", "spectral")
__all__ = [
    "AUDIO_METRICS", "FEATURE_METRICS", "METRICS", "Metric", "Needs", "Pooling",
    "active_frames", "available", "band_levels", "cepstral_rmse", "character_error_rate", "clip_feature_loss",
    "dnsmos", "estoi", "estoi_4k", "evaluate_audio", "f0_correlation", "f0_hz", "f0_spread_ratio",
    "frame_levels", "frame_mean", "frame_quantile", "gross_pitch_error", "log_mel_distance", "log_spectral_distance",
    "lsd_active", "metric", "missing_line", "multi_resolution_stft", "pesq_nb", "pesq_wb",
    "phone_change", "pitch_fine_rms_cents", "pitch_median_cents", "pitch_spike", "plain_words", "speaker_similarity",
    "vuv_error", "word_error_rate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """A name of the list above; every module of this package registers its metrics first."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return next(getattr(m, name) for m in map(_imported, _MODULES) if hasattr(m, name))


def _imported(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
