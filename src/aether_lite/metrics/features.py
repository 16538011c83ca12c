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
from typing import TYPE_CHECKING, Any

import numpy as np

from aether_lite.features.layout import CEPSTRA, NUM_FREE, PITCH, log_bands, voiced_frames
from aether_lite.features.loss import feature_loss_parts
from aether_lite.metrics.clips import NAN
from aether_lite.metrics.registry import FEATURE_METRICS, Needs, Pooling, metric
from aether_lite.payload import cast, namespace

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FEATURE_METRICS"]  # complete once this module is imported
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
        return namespace(original).ones_like(original[..., 0]) != 0  # type: ignore[no-any-return]
    if mask.shape != original.shape[:-1]:
        raise ValueError(f"the mask must be {tuple(original.shape[:-1])}, not {tuple(mask.shape)}")
    return mask != 0


def band_levels(features: Tensor) -> Tensor:
    """Band energies ``[..., 18]`` [dB, on the int16 scale] of features ``[..., >= 18]``: 10 L, L = iDCT(c)."""
    return 10 * log_bands(features)


def frame_levels(features: Tensor) -> Tensor:
    """Energy of each frame ``[...]`` [dB, on the int16 scale]: the sum over the 18 bands."""
    nepers, levels, xp = math.log(10) / 10, band_levels(features), namespace(features)
    loudest = xp.amax(levels, -1)
    return loudest + xp.log(xp.exp((levels - loudest[..., None]) * nepers).sum(-1)) / nepers  # type: ignore[no-any-return]


def active_frames(original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Active frames ``[..., F] bool`` of features ``[..., F, 20]``; never those outside the mask."""
    mask = check_features(original, original, mask)
    levels = frame_levels(original)
    reference = frame_quantile(levels, mask, REFERENCE_QUANTILE)
    return mask & (levels >= reference[..., None] - ACTIVE_RANGE_DB)


def frame_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean ``[...]`` of the frames ``[..., F]`` in the mask; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        mean: Tensor = _kept(values, mask).sum(-1) / mask.sum(-1)
    return cast(mean, values.dtype)


def frame_quantile(values: Tensor, mask: Tensor, quantile: float) -> Tensor:
    """Quantile ``[...]`` (linear between ranks) of the frames ``[..., F]`` in the mask; NaN where there are none.

    Sorts, since ``torch.quantile`` refuses more than 2^24 values (46 hours of frames), and numpy's knows no mask.
    """
    xp: Any = namespace(values)
    if values.shape[-1] == 0:
        return xp.full_like(values.sum(-1), NAN)  # type: ignore[no-any-return]
    given = xp.where(mask, values, math.inf)
    is_array = isinstance(given, np.ndarray)
    ordered: Any = np.sort(given, -1) if is_array else given.sort(-1).values
    count = mask.sum(-1)
    last = xp.clip(count - 1, 0, None)
    rank = last * quantile
    below = cast(xp.floor(rank), xp.int64)
    places: Any = (below[..., None], xp.minimum(below + 1, last)[..., None])
    low, high = ((np.take_along_axis(ordered, p, -1) if is_array else ordered.gather(-1, p))[..., 0] for p in places)
    share = cast(rank - below, values.dtype)
    with np.errstate(invalid="ignore"):
        between = low + share * (high - low)
    return xp.where(count > 0, between, NAN)  # type: ignore[no-any-return]


@_loss("feature_loss", "Feature loss")
def clip_feature_loss(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Feature loss (:mod:`aether_lite.losses.feature`), >= 0; about 0.3 is the limit of usable speech."""
    return feature_loss_parts(decoded, original, check_features(decoded, original, mask)).total


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
    return frame_mean((error**2).mean(-1), mask) ** 0.5


@_feature("lsd_active_db", "LSD on active frames", "dB")
def lsd_active(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Log-spectral distance [dB], >= 0: mean over active frames of the rms over the 18 Bark bands of 10 (L - L')."""
    mask = check_features(decoded, original, mask)
    difference = band_levels(decoded) - band_levels(original)
    return frame_mean((difference**2).mean(-1) ** 0.5, active_frames(original, mask))


@_feature("pitch_median_cents", "Pitch error, median", "cents", source=_PITCH)
def pitch_median_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Median absolute pitch error [cents] on voiced active frames, >= 0."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_quantile(cents, counted, 0.5)


@_feature("gpe", "Gross pitch errors", high=1.0, source=f"beyond 316 cents; {_PITCH}")
def gross_pitch_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of voiced active frames whose pitch is off by more than 316 cents, 0..1."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean(cast(cents > GROSS_CENTS, cents.dtype), counted)


@_feature("pitch_fine_rms_cents", "Pitch error, fine rms", "cents", high=GROSS_CENTS, source=_PITCH)
def pitch_fine_rms_cents(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square pitch error [cents] of the voiced active frames that are not gross errors."""
    cents, counted = _pitch_errors(decoded, original, mask)
    return frame_mean(cents**2, counted & (cents <= GROSS_CENTS)) ** 0.5


@_feature("vuv_error", "V/UV error", high=1.0, source="voiced: frame correlation above 0.1")
def vuv_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of active frames whose voicing decision flips, 0..1."""
    mask = check_features(decoded, original, mask)
    flipped = voiced_frames(decoded) != voiced_frames(original)
    return frame_mean(cast(flipped, original.dtype), active_frames(original, mask))


@_feature(
    "f0_correlation", "F0 correlation", low=-1.0, high=1.0, higher_is_better=True, pooling=Pooling.MEDIAN,
    source="Pearson, log2 F0, frames voiced in both",
)  # fmt: skip
def f0_correlation(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pearson correlation of log2 F0 over the frames voiced in both, -1..1.

    NaN where fewer than two frames are voiced in both, or one of the contours is flat.
    """
    mask = check_features(decoded, original, mask) & voiced_frames(decoded) & voiced_frames(original)
    xp: Any = namespace(original)
    x, y = (_centred(cast(features[..., PITCH], xp.float64), mask) for features in (decoded, original))
    power = frame_mean(x**2, mask) * frame_mean(y**2, mask)
    defined = (mask.sum(-1) >= FEWEST_FRAMES) & (power > 1e-24)
    correlation = frame_mean(x * y, mask) / xp.where(defined, power, 1.0) ** 0.5
    return cast(xp.where(defined, xp.clip(correlation, -1, 1), NAN), original.dtype)


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
    spreads, xp = [], namespace(original)
    for features in (decoded, original):
        own = mask & voiced_frames(features)
        spread = frame_mean(_centred(cast(f0_hz(features), xp.float64), own) ** 2, own) ** 0.5
        spreads.append(xp.where(own.sum(-1) >= FEWEST_FRAMES, spread, NAN))
    defined = spreads[1] > 1e-6
    return cast(xp.where(defined, spreads[0] / xp.where(defined, spreads[1], 1.0), NAN), original.dtype)


def pitch_spike(decoded: Tensor, original: Tensor, mask: Tensor) -> float:
    """Greatest share of a 5-cent bin of the decoded pitch relative to the original's: the sign of a collapsed decoder.

    Each side ``[..., F, 20]`` counts its own voiced frames in the ``mask [..., F]``, all clips together. The original's
    histogram is averaged over 11 bins and floored at the share of a flat histogram over three octaves. 0 where a side
    has no voiced frame.
    """
    import torch

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
    return LOWEST_F0 * namespace(features).exp2(features[..., PITCH] + 1.5)  # type: ignore[no-any-return]


def _pitch_errors(decoded: Tensor, original: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Absolute pitch error ``[..., F]`` [cents], and the frames on which it counts."""
    mask = check_features(decoded, original, mask)
    cents = CENTS_PER_OCTAVE * abs(decoded[..., PITCH] - original[..., PITCH])
    return cents, active_frames(original, mask) & voiced_frames(original)


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """``[..., F]`` less its mean over the mask; zero outside."""
    return _kept(values - frame_mean(values, mask)[..., None], mask)


def _kept(values: Tensor, mask: Tensor) -> Tensor:
    xp = namespace(values)
    return xp.where(mask, values, xp.zeros_like(values))  # type: ignore[no-any-return]
