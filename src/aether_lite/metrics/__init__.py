"""Objective measures of decoded speech: plain functions, and a registry that says what each of them is.

Functions are batch first and give one number for each clip, NaN where it is not defined (no voiced frame, say):
``[..., F, 20]`` features or ``[..., N]`` audio -> ``[...]``. :data:`METRICS` holds each with its unit, range and
source; calling a :class:`Metric` is calling its function. :class:`MetricAverage` is the class form: one for any metric,
with ``update``, ``compute`` and ``reset`` over batches of clips.
"""

from __future__ import annotations

from aether_lite.metrics.active import (
    active_frames,
    band_levels,
    check_features,
    frame_levels,
    frame_mean,
    frame_quantile,
)
from aether_lite.metrics.features import (
    cepstral_rmse,
    clip_feature_loss,
    loss_of_cepstrum,
    loss_of_correlation,
    loss_of_pitch,
    lsd_active,
)
from aether_lite.metrics.intelligibility import estoi, estoi_4k, estoi_available
from aether_lite.metrics.metric import Metric, MetricAverage, Needs, Pooling
from aether_lite.metrics.mos import Dnsmos, dnsmos, dnsmos_bak, dnsmos_ovrl, dnsmos_p808, dnsmos_sig
from aether_lite.metrics.perceptual import pesq_nb, pesq_wb
from aether_lite.metrics.pitch import (
    f0_correlation,
    f0_hz,
    f0_spread_ratio,
    gross_pitch_error,
    pitch_fine_rms_cents,
    pitch_median_cents,
    vuv_error,
)
from aether_lite.metrics.recognition import character_error_rate, plain_words, word_error_rate
from aether_lite.metrics.registry import (
    AUDIO_METRICS,
    FEATURE_METRICS,
    METRICS,
    SYMBOL_METRICS,
    available,
    evaluate_audio,
    missing_line,
)
from aether_lite.metrics.speaker import speaker_similarity
from aether_lite.metrics.spectral import log_mel_distance, log_spectral_distance, multi_resolution_stft
from aether_lite.metrics.symbols import clip_papr_db, per_second, symbol_power

__all__ = [
    "AUDIO_METRICS",
    "FEATURE_METRICS",
    "METRICS",
    "SYMBOL_METRICS",
    "Dnsmos",
    "Metric",
    "MetricAverage",
    "Needs",
    "Pooling",
    "active_frames",
    "available",
    "band_levels",
    "cepstral_rmse",
    "character_error_rate",
    "check_features",
    "clip_feature_loss",
    "clip_papr_db",
    "dnsmos",
    "dnsmos_bak",
    "dnsmos_ovrl",
    "dnsmos_p808",
    "dnsmos_sig",
    "estoi",
    "estoi_4k",
    "estoi_available",
    "evaluate_audio",
    "f0_correlation",
    "f0_hz",
    "f0_spread_ratio",
    "frame_levels",
    "frame_mean",
    "frame_quantile",
    "gross_pitch_error",
    "log_mel_distance",
    "log_spectral_distance",
    "loss_of_cepstrum",
    "loss_of_correlation",
    "loss_of_pitch",
    "lsd_active",
    "missing_line",
    "multi_resolution_stft",
    "per_second",
    "pesq_nb",
    "pesq_wb",
    "pitch_fine_rms_cents",
    "pitch_median_cents",
    "plain_words",
    "speaker_similarity",
    "symbol_power",
    "vuv_error",
    "word_error_rate",
]
