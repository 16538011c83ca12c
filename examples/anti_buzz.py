"""Figures that show a monotone, buzzing or hissing decoder.

Measured on decoded features, and once more on features analysed again from the vocoded audio, which people get to hear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.codec import Codec
from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, Float32, voiced_frames
from aether_lite.losses.semantic import SILENT_BELOW, frame_level
from aether_lite.metrics import FEATURE_METRICS, available, estoi, f0_hz, pitch_spike
from aether_lite.vocoder import FARGAN, Vocoder, synthesize

LIVELY_HZ = 10.0  # clips whose own F0 spread is below it do not count for F0 spread and correlation
QUIET_DBFS = -50.0  # what silence may be decoded to
Figures = dict[str, float]


def spread_hz(features: Tensor) -> float:
    """Standard deviation of F0 [Hz] over the voiced frames of features ``[F, 20]``; 0 for fewer than two."""
    f0 = f0_hz(features)[voiced_frames(features)].double()
    return float(f0.std()) if len(f0) > 1 else 0.0


def compare(decoded: Sequence[Tensor], original: Sequence[Tensor], intelligibility: float = math.nan) -> Figures:
    """Figures of decoded against original features, each a list of clips ``[F, 20]``.

    Returns:
        ``feature_loss`` and ``vuv_error``; ``pooled_spread_hz`` and ``original_spread_hz``, the standard deviation of
        F0 over all clips; ``spread_ratio`` and ``f0_correlation``, medians over clips whose own spread is 10 Hz or
        more; ``pitch_spike``, the greatest share of a 5-cent bin relative to the original's; ``quiet_silence``, the
        share of the original's silent frames (below -60 dBFS) that are below -50 dBFS, NaN if none; ``estoi``.
    """
    pairs = list(zip(decoded, original, strict=True))
    lively = [pair for pair in pairs if spread_hz(pair[1]) >= LIVELY_HZ]
    joined, truth = torch.cat(list(decoded)), torch.cat(list(original))
    silent = frame_level(truth) < SILENT_BELOW

    def over(name: str, clips: Sequence[tuple[Tensor, Tensor]]) -> float:
        values = [float(FEATURE_METRICS[name](x, y)) for x, y in clips]
        return FEATURE_METRICS[name].over_clips(values, [float(len(y)) for _, y in clips])

    return {
        "feature_loss": over("feature_loss", pairs),
        "pooled_spread_hz": spread_hz(joined),
        "original_spread_hz": spread_hz(truth),
        "spread_ratio": over("f0_spread_ratio", lively),
        "f0_correlation": over("f0_correlation", lively),
        "vuv_error": over("vuv_error", pairs),
        "pitch_spike": pitch_spike(joined, truth, torch.ones(len(truth), dtype=torch.bool)),
        "quiet_silence": float((frame_level(joined)[silent] < QUIET_DBFS).double().mean()),
        "estoi": intelligibility,
    }


@torch.no_grad()
def measure(
    codec: Codec, vocoder: FARGAN | Vocoder, speech: Sequence[Float32], rate: int, snr_db: float, seed: int = 0
) -> tuple[Figures, Figures]:
    """Send clips over AWGN; figures of the decoded features and of the re-analysed audio.

    Args:
        codec: at both ends.
        vocoder: speaks the decoded features.
        speech: clips ``[N]`` at 16 kHz, full scale 1, each a second or more.
        rate: uses/s.
        snr_db: Es/N0 [dB].
        seed: of the noise; clip i has seed + i.
    """
    original, decoded, reanalysed, scores = [], [], [], []
    for number, clip in enumerate(speech):
        samples = clip[: len(clip) // (codec.token_frames * FRAME) * codec.token_frames * FRAME]
        rows = torch.from_numpy(extract_features(samples)[:, :NUM_FREE])
        received = awgn(codec.encode_features(rows[None], rate), snr_db, seed=seed + number)
        features = codec.decode_features(received)[0]
        audio = synthesize(features, vocoder)
        original.append(rows)
        decoded.append(features)
        reanalysed.append(torch.from_numpy(extract_features(audio.numpy())[:, :NUM_FREE]))
        if available("estoi"):
            scores.append(float(estoi(audio, torch.from_numpy(samples))))
    score = float(np.nanmean(scores)) if scores else math.nan
    return compare(decoded, original, score), compare(reanalysed, original, score)
