"""Is the voice alive? What a monotone, buzzing or hissing decoder shows, in numbers.

Measured on decoded features, and once more on features analysed from the vocoded audio: what a listener gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.codec import Codec
from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, Float32
from aether_lite.features.tensors import voiced_frames
from aether_lite.losses.silence import SILENT_BELOW, frame_level
from aether_lite.metrics import (
    available,
    clip_feature_loss,
    estoi,
    f0_correlation,
    f0_hz,
    f0_spread_ratio,
    pitch_spike,
    vuv_error,
)
from aether_lite.vocoder import FARGAN, FrameVocoder, synthesize

LIVELY_HZ = 10.0  # clips whose own F0 spread is below it do not count for the F0 correlation
QUIET_DBFS = -50.0  # what silence may be decoded to


@dataclass(frozen=True)
class Aliveness:
    """Figures over all clips.

    Attributes:
        feature_loss: mean over frames.
        pooled_spread_hz: standard deviation of F0 over all voiced frames of all clips [Hz].
        original_spread_hz: the same of the original.
        spread_ratio: median over clips of decoded spread / original spread.
        f0_correlation: median over clips whose own spread is at least 10 Hz.
        vuv_error: mean over clips, 0..1.
        pitch_spike: greatest share of a 5-cent bin relative to the original's.
        quiet_silence: share of the original's silent frames (below -60 dBFS) that are below -50 dBFS; NaN if none.
        estoi: mean over clips against the original audio; NaN without pystoi.
    """

    feature_loss: float
    pooled_spread_hz: float
    original_spread_hz: float
    spread_ratio: float
    f0_correlation: float
    vuv_error: float
    pitch_spike: float
    quiet_silence: float
    estoi: float


def pooled_spread(clips: Sequence[Tensor]) -> float:
    """Standard deviation of F0 [Hz] over the voiced frames of all clips ``[F, 20]``."""
    return float(torch.cat([f0_hz(clip)[voiced_frames(clip)] for clip in clips]).double().std())


def compare(decoded: Sequence[Tensor], original: Sequence[Tensor], intelligibility: float = float("nan")) -> Aliveness:
    """Figures of decoded against original features, each a list of clips ``[F, 20]``."""
    pairs = list(zip(decoded, original, strict=True))
    frames = torch.tensor([len(y) for _, y in pairs], dtype=torch.float64)
    losses = torch.stack([clip_feature_loss(x, y).double() for x, y in pairs])
    own = [
        float(f0_hz(y)[voiced_frames(y)].double().std()) if int(voiced_frames(y).sum()) > 1 else 0.0 for _, y in pairs
    ]
    lively = [(x, y) for (x, y), spread in zip(pairs, own, strict=True) if spread >= LIVELY_HZ]
    joined, truth = torch.cat(list(decoded)), torch.cat(list(original))
    silent = frame_level(truth) < SILENT_BELOW
    quiet = (frame_level(joined)[silent] < QUIET_DBFS).double().mean() if bool(silent.any()) else torch.tensor(np.nan)
    return Aliveness(
        feature_loss=float((losses * frames).sum() / frames.sum()),
        pooled_spread_hz=pooled_spread(decoded),
        original_spread_hz=pooled_spread(original),
        spread_ratio=float(torch.stack([f0_spread_ratio(x, y) for x, y in lively]).nanmedian()),
        f0_correlation=float(torch.stack([f0_correlation(x, y) for x, y in lively]).nanmedian()),
        vuv_error=float(torch.stack([vuv_error(x, y) for x, y in pairs]).nanmean()),
        pitch_spike=pitch_spike(joined, truth, torch.ones(len(truth), dtype=torch.bool)),
        quiet_silence=float(quiet),
        estoi=intelligibility,
    )


@torch.no_grad()
def measure(
    codec: Codec, vocoder: FARGAN | FrameVocoder, speech: Sequence[Float32], rate: int, snr_db: float, seed: int = 0
) -> tuple[Aliveness, Aliveness]:
    """Send clips over AWGN; figures of the decoded features and of the re-analysed audio.

    Args:
        speech: clips ``[N]`` at 16 kHz, full scale 1, each a second or more.
        rate: uses/s.
        snr_db: Es/N0 [dB].
        seed: of the noise; clip i has seed + i.
    """
    original, decoded, reanalysed, scores = [], [], [], []
    token = codec.token_frames
    for number, clip in enumerate(speech):
        frames = len(clip) // (token * FRAME) * token
        samples = clip[: frames * FRAME]
        rows = torch.from_numpy(extract_features(samples)[:, :NUM_FREE])
        received = awgn(codec.encode_features(rows[None], rate), snr_db, seed=seed + number)
        features = codec.decode_features(received)[0]
        audio = synthesize(features, vocoder)
        original.append(rows)
        decoded.append(features)
        reanalysed.append(torch.from_numpy(extract_features(audio.numpy())[:, :NUM_FREE]))
        if available("estoi"):
            scores.append(float(estoi(audio, torch.from_numpy(samples))))
    score = float(np.nanmean(scores)) if scores else float("nan")
    return compare(decoded, original, score), compare(reanalysed, original, score)
