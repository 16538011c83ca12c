"""Metrics of decoded features: feature loss, spectral envelope, pitch and voicing.

All take ``decoded [..., F, 20]``, ``original [..., F, 20]`` and a mask ``[..., F] bool`` of the frames that belong to a
clip (None for all), and return ``[...]``, one value a clip.

A frame is *active* when its energy lies within 40 dB of the 95th percentile of its clip. The energy is that of the
original: the sum of the 18 band energies that its cepstrum stands for. A frame is *voiced* when its frame correlation
(column 19) exceeds 0.1. Pitch errors are taken on active frames that are voiced in the original; the decoded voicing
counts in the V/UV error only.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from aether_lite.features.layout import CEPSTRA, NUM_FREE, PITCH, log_bands, voiced_frames
from aether_lite.losses.feature import feature_loss, feature_loss_parts
from aether_lite.metrics.clips import NAN
from aether_lite.metrics.registry import Needs, Pooling, metric

ACTIVE_RANGE_DB = 40.0
REFERENCE_QUANTILE = 0.95
GROSS_CENTS = 316.0  # beyond it an error is gross: a factor of 1.2
CENTS_PER_OCTAVE = 1200.0
LOWEST_F0 = 62.5  # [Hz], at pitch -1.5
FEWEST_FRAMES = 2  # for a correlation or a spread
BIN_CENTS = 5.0  # of the pitch histogram
SMOOTHING_BINS = 11  # over which the original's histogram is averaged

_LOSS = "public formula of the feature loss of RADE (radio autoencoder)"
_PITCH = "pitch of FARGAN features, 1200 cents an octave"
_feature = partial(metric, needs=Needs.FEATURES)
_loss = partial(_feature, source=_LOSS, pooling=Pooling.FRAMES)


def check_features(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mask to use, ``[..., F] bool`` (all true for None); ValueError for other shapes than above."""
    if decoded.shape != original.shape or decoded.ndim < 2 or decoded.shape[-1] != NUM_FREE:
        raise ValueError(
            f"features must both be [..., F, {NUM_FREE}], not {tuple(decoded.shape)} and {tuple(original.shape)}"
        )
    if mask is None:
        return torch.ones(original.shape[:-1], dtype=torch.bool, device=original.device)
    if mask.shape != original.shape[:-1]:
        raise ValueError(f"the mask must be {tuple(original.shape[:-1])}, not {tuple(mask.shape)}")
    return mask.to(torch.bool)


def band_levels(features: Tensor) -> Tensor:
    """Band energies ``[..., 18]`` [dB, on the int16 scale] of features ``[..., >= 18]``: 10 L, L = iDCT(c)."""
    return 10 * log_bands(features)


def frame_levels(features: Tensor) -> Tensor:
    """Energy of each frame ``[...]`` [dB, on the int16 scale]: the sum over the 18 bands."""
    nepers = torch.log(torch.tensor(10.0, dtype=features.dtype)).item() / 10
    return torch.logsumexp(band_levels(features) * nepers, dim=-1) / nepers


def active_frames(original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Active frames ``[..., F] bool`` of features ``[..., F, 20]``; never those outside the mask."""
    mask = check_features(original, original, mask)
    levels = frame_levels(original)
    reference = frame_quantile(levels, mask, REFERENCE_QUANTILE)
    return mask & (levels >= reference[..., None] - ACTIVE_RANGE_DB)


def frame_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean ``[...]`` of the frames ``[..., F]`` in the mask; NaN where there are none."""
    kept = torch.where(mask, values, 0)
    return kept.sum(dim=-1) / mask.sum(dim=-1)


def frame_quantile(values: Tensor, mask: Tensor, quantile: float) -> Tensor:
    """Quantile ``[...]`` (linear between ranks) of the frames ``[..., F]`` in the mask; NaN where there are none.

    Sorts, since ``torch.quantile`` refuses more than 2^24 values (46 hours of frames).
    """
    if values.shape[-1] == 0:
        return values.new_full(values.shape[:-1], NAN)
    ordered = torch.where(mask, values, math.inf).sort(dim=-1).values
    count = mask.sum(dim=-1)
    rank = (count - 1).clamp(min=0) * quantile
    below = rank.floor().long()
    above = torch.minimum(below + 1, (count - 1).clamp(min=0))
    low, high = (ordered.gather(-1, index[..., None])[..., 0] for index in (below, above))
    share = (rank - below).to(values.dtype)
    return torch.where(count > 0, torch.lerp(low, high, share), NAN)


@_loss("feature_loss", "Feature loss")
def clip_feature_loss(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Feature loss (:mod:`aether_lite.losses.feature`), >= 0; about 0.3 is the limit of usable speech."""
    return feature_loss(decoded, original, check_features(decoded, original, mask))


def _loss_part(part: str, decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """One term of the feature loss, >= 0; the three add up to it."""
    terms = feature_loss_parts(decoded, original, check_features(decoded, original, mask))
    return {"cepstrum": terms.cepstrum, "pitch": terms.pitch, "correlation": terms.voicing}[part]


for _part in ("cepstrum", "pitch", "correlation"):
    _loss(f"loss_{_part}", f"Feature loss, {_part}")(partial(_loss_part, _part))


@_feature("ceps_rmse", "RMSE of cepstra")
def cepstral_rmse(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square error of the 18 cepstra over all frames, >= 0."""
    mask = check_features(decoded, original, mask)
    error = decoded[..., CEPSTRA] - original[..., CEPSTRA]
    return frame_mean(error.square().mean(dim=-1), mask).sqrt()


@_feature("lsd_active_db", "LSD on active frames", "dB")
def lsd_active(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Log-spectral distance [dB], >= 0: mean over active frames of the rms over the 18 Bark bands of 10 (L - L')."""
    mask = check_features(decoded, original, mask)
    difference = band_levels(decoded) - band_levels(original)
    return frame_mean(difference.square().mean(dim=-1).sqrt(), active_frames(original, mask))


@_feature("pitch_median_cents", "Pitch error, median", "cents", source=_PITCH)
def pitch_median_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Median absolute pitch error [cents] on voiced active frames, >= 0."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_quantile(cents, counted, 0.5)


@_feature("gpe", "Gross pitch errors", high=1.0, source=f"beyond 316 cents; {_PITCH}")
def gross_pitch_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of voiced active frames whose pitch is off by more than 316 cents, 0..1."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean((cents > GROSS_CENTS).to(cents.dtype), counted)


@_feature("pitch_fine_rms_cents", "Pitch error, fine rms", "cents", high=GROSS_CENTS, source=_PITCH)
def pitch_fine_rms_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square pitch error [cents] of the voiced active frames that are not gross errors."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean(cents.square(), counted & (cents <= GROSS_CENTS)).sqrt()


@_feature("vuv_error", "V/UV error", high=1.0, source="voiced: frame correlation above 0.1")
def vuv_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of active frames whose voicing decision flips, 0..1."""
    mask = check_features(decoded, original, mask)
    flipped = (voiced_frames(decoded) != voiced_frames(original)).to(original.dtype)
    return frame_mean(flipped, active_frames(original, mask))


@_feature(
    "f0_correlation", "F0 correlation", low=-1.0, high=1.0, higher_is_better=True, pooling=Pooling.MEDIAN,
    source="Pearson, log2 F0, frames voiced in both",
)  # fmt: skip
def f0_correlation(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pearson correlation of log2 F0 over the frames voiced in both, -1..1.

    NaN where fewer than two frames are voiced in both, or one of the contours is flat.
    """
    mask = check_features(decoded, original, mask) & voiced_frames(decoded) & voiced_frames(original)
    x, y = (_centred(features[..., PITCH].double(), mask) for features in (decoded, original))
    power = frame_mean(x.square(), mask) * frame_mean(y.square(), mask)
    defined = (mask.sum(dim=-1) >= FEWEST_FRAMES) & (power > 1e-24)
    correlation = frame_mean(x * y, mask) / torch.where(defined, power, 1).sqrt()
    return torch.where(defined, correlation.clamp(-1, 1), NAN).to(original.dtype)


@_feature(
    "f0_spread_ratio", "F0 spread ratio", higher_is_better=None, pooling=Pooling.MEDIAN,
    source="standard deviation of F0 in Hz over voiced frames, decoded / original; 1 is right",
)  # fmt: skip
def f0_spread_ratio(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Standard deviation of F0 [Hz] over each side's voiced frames, decoded / original, >= 0.

    Near 1 is good; towards 0 the decoded pitch is monotone ("buzz"). NaN where either has fewer than two voiced frames
    or the original is flat.
    """
    mask = check_features(decoded, original, mask)
    spreads = []
    for features in (decoded, original):
        own = mask & voiced_frames(features)
        spread = frame_mean(_centred(f0_hz(features).double(), own).square(), own).sqrt()
        spreads.append(torch.where(own.sum(dim=-1) >= FEWEST_FRAMES, spread, NAN))
    return torch.where(spreads[1] > 1e-6, spreads[0] / spreads[1], NAN).to(original.dtype)


def pitch_spike(decoded: Tensor, original: Tensor, mask: Tensor) -> float:
    """Greatest share of a 5-cent bin of the decoded pitch relative to the original's: the sign of a collapsed decoder.

    Each side ``[..., F, 20]`` counts its own voiced frames in the ``mask [..., F]``, all clips together. The original's
    histogram is averaged over 11 bins and floored at the share of a flat histogram over three octaves. 0 where a side
    has no voiced frame.
    """
    bins = round(3 * CENTS_PER_OCTAVE / BIN_CENTS)
    shares = []
    for features in (decoded, original):
        pitch = features[..., PITCH][mask & voiced_frames(features)]
        if pitch.numel() == 0:
            return 0.0
        histogram = torch.histc(pitch.float(), bins, -1.5, 1.5)
        shares.append((histogram / histogram.sum()).cpu())
    window = torch.ones(1, 1, SMOOTHING_BINS) / SMOOTHING_BINS
    smooth = torch.nn.functional.conv1d(shares[1][None, None], window, padding=SMOOTHING_BINS // 2)
    return float((shares[0] / smooth[0, 0].clamp_min(1 / bins)).max())


def f0_hz(features: Tensor) -> Tensor:
    """Fundamental frequency ``[..., F]`` [Hz] of features ``[..., F, 20]``, voiced or not."""
    return LOWEST_F0 * torch.exp2(features[..., PITCH] + 1.5)


def _pitch_errors(decoded: Tensor, original: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Absolute pitch error ``[..., F]`` [cents], and the frames on which it counts."""
    mask = check_features(decoded, original, mask)
    cents = CENTS_PER_OCTAVE * (decoded[..., PITCH] - original[..., PITCH]).abs()
    return cents, active_frames(original, mask) & voiced_frames(original)


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """``[..., F]`` less its mean over the mask; zero outside."""
    return torch.where(mask, values - frame_mean(values, mask)[..., None], 0)
