"""Objective measures of decoded speech, as plain functions.

Those of :data:`FEATURE_METRICS` share one signature, ``metric(decoded [..., F, 20], original [..., F, 20],
mask [..., F] or None) -> [...]``: one number for each clip, NaN where it is not defined (no voiced frame, say).
How clips are put together (mean, median) is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from aether_lite.evaluation.metrics.active import (
    active_frames,
    band_levels,
    check_features,
    frame_levels,
    frame_mean,
    frame_quantile,
)
from aether_lite.evaluation.metrics.audio import estoi, estoi_available
from aether_lite.evaluation.metrics.features import cepstral_rmse, clip_feature_loss, lsd_active
from aether_lite.evaluation.metrics.pitch import (
    f0_correlation,
    f0_hz,
    f0_spread_ratio,
    gross_pitch_error,
    pitch_fine_rms_cents,
    pitch_median_cents,
    vuv_error,
)

FEATURE_METRICS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "feature_loss": clip_feature_loss,
    "ceps_rmse": cepstral_rmse,
    "lsd_active_db": lsd_active,
    "pitch_median_cents": pitch_median_cents,
    "gpe": gross_pitch_error,
    "pitch_fine_rms_cents": pitch_fine_rms_cents,
    "vuv_error": vuv_error,
    "f0_correlation": f0_correlation,
    "f0_spread_ratio": f0_spread_ratio,
}
"""Column name of a results table -> metric."""

__all__ = [
    "FEATURE_METRICS",
    "active_frames",
    "band_levels",
    "cepstral_rmse",
    "check_features",
    "clip_feature_loss",
    "estoi",
    "estoi_available",
    "f0_correlation",
    "f0_hz",
    "f0_spread_ratio",
    "frame_levels",
    "frame_mean",
    "frame_quantile",
    "gross_pitch_error",
    "lsd_active",
    "pitch_fine_rms_cents",
    "pitch_median_cents",
    "vuv_error",
]
