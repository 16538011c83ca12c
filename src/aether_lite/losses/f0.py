"""F0 of speech: shape and liveliness of the decoded contour, and soft YIN, which estimates F0 of audio with gradients.

**Contours** are the pitch columns [octaves, log2 F0 up to a constant] over the frames that are voiced in the ORIGINAL,
so that what is compared does not depend on what the decoder calls voiced. With x decoded, y original, both less their
mean over the n frames of an item::

    s_x^2 = sum x^2 / n      s_y^2 = sum y^2 / n      c = sum x y / n      r = c / (max(s_x, s_min) s_y)

r is 1 for identical contours of any length. ``s_min`` only acts on a (nearly) flat decoded contour, where the
correlation is not defined; there the gradient still points along the original contour and stays finite. Items with too
few voiced frames, or whose original is flat, do not count.

**Soft YIN** works on a whole batch at once. The audio is low-passed by [1 4 6 4 1]/16 (half amplitude at 2.9 kHz), so
that dips are wide enough to be seen on whole lags. For frames of 640 samples x of it, the difference function over
W = 383 of them and its normalisation::

    d(k)  = sum_{n<W} (x[n] - x[n+k])^2 + e        e = 2 W 1e-9 + 1e-6 sum_{n<W} x[n]^2
    d'(k) = k d(k) / sum_{j<=k} d(j)

e stands for noise at -90 dBFS and at the rounding of float32: a silent frame has d' = 1, not 0/0. A parabola through
d'(k-1), d'(k), d'(k+1) gives each lag k = 32..256 a real-valued lag l_k and depth m_k (one sample downhill where it
has no minimum within a sample). The softmax over lags takes the place of YIN's search::

    w_k = softmax_k( -(m_k + b log2(k / 32)) / T )      f0 = 16000 / sum_k w_k l_k

b prefers the first of equally deep dips, as YIN's threshold does: one octave down costs b of depth. Where the pitch is
about known, the search may be restricted to half an octave on either side, and b is not needed.

A. de Cheveigne and H. Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111 (4), 2002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.features.layout import FRAME, LAG_MAX, LAG_MIN, PITCH, SAMPLE_RATE, voiced_frames
from aether_lite.features.loss import check_pair
from aether_lite.losses.reduction import Reduce, alone, joined_mean
from aether_lite.losses.registry import WAVE, WaveInputs, joined_term
from aether_lite.vocoder import deemphasize

FEWEST_VOICED = 10  # frames (100 ms) an item needs to have a contour
LEAST_SPREAD = 0.03  # octaves (36 cents): below it a contour is flat
SPREAD_KEPT = 0.9  # share of the original's spread that the decoded contour must keep
_ROUND = 1e-3  # octaves (1.2 cents): makes the spread of an exactly flat contour differentiable
FRAME_LENGTH = 640  # samples: 40 ms, as hard YIN
OVERLAP = FRAME_LENGTH - LAG_MAX - 1  # samples compared at every lag (W)
TEMPERATURE = 0.01  # T, in units of d'
OCTAVE_COST = 0.1  # b, in units of d' per octave of lag
REACH = 0.5  # octaves on either side of a known pitch
CPU_BLOCK = 300  # frames computed at a time on a CPU, so that they stay in its cache: twice as fast
_OCTAVES = math.log2(LAG_MAX / LAG_MIN)
_SMOOTHINGS = 4  # of two neighbours each, in all the low-pass
_NOISE_POWER = 1e-9  # mean square: -90 dBFS
_FLAT = 1e-5  # curvature of d' [1/sample^2] of which a parabola is sure
_ROUNDING = 1e-6  # share of a frame's energy that float32 cannot resolve


@dataclass(frozen=True)
class ContourMoments:
    """Second moments of the centred contours of each item ``[B]`` [octaves^2], and which items count ``[B] bool``."""

    decoded: Tensor
    original: Tensor
    product: Tensor
    counted: Tensor


def contour_moments(decoded: Tensor, original: Tensor) -> ContourMoments:
    """Moments over the frames voiced in the original, of features ``[B, F, 20]``; ValueError for other shapes."""
    check_pair(decoded, original, batch=True)
    voiced = voiced_frames(original)
    frames = voiced.sum(-1)
    count = frames.clamp_min(1).to(decoded.dtype)

    def centred(features: Tensor) -> Tensor:
        contour = torch.where(voiced, features[..., PITCH], 0)
        return torch.where(voiced, contour - (contour.sum(-1) / count)[:, None], 0)

    x, y = centred(decoded), centred(original)
    spread = y.square().sum(-1) / count
    counted = (frames >= FEWEST_VOICED) & (spread > LEAST_SPREAD**2)
    return ContourMoments(x.square().sum(-1) / count, spread, (x * y).sum(-1) / count, counted)


def f0_correlation(moments: ContourMoments) -> Tensor:
    """Pearson correlation r of log2 F0 of each item ``[B]``, -1..1; without meaning where an item does not count."""
    floor = LEAST_SPREAD**2
    return moments.product / (moments.decoded.clamp_min(floor) * moments.original.clamp_min(floor)).sqrt()


@joined_term("f0_contour", 0.02)
def f0_correlation_loss(
    decoded: Tensor, original: Tensor, weight: Tensor | None = None, reduce: Reduce = alone
) -> Tensor:
    """``1 - r``, mean over the counted items of the joined batch: a scalar, 0 (same contours) .. 2 (mirrored).

    Args:
        decoded, original: features ``[B, F, 20]``.
        weight: of each item ``[B]``.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.
    """
    moments = contour_moments(decoded, original)
    return joined_mean(1 - f0_correlation(moments), moments.counted, weight, reduce)


@joined_term("f0_spread", 0.05)
def f0_spread_loss(
    decoded: Tensor, original: Tensor, weight: Tensor | None = None, reduce: Reduce = alone
) -> Tensor:
    """``max(0, 0.9 s_y - s_x)`` [octaves], mean over the counted items: a scalar, 0 where the voice stays lively.

    It sees only the spread: a contour that is exactly flat gets no direction from it (the correlation loss gives one).
    Arguments as :func:`f0_correlation_loss`.
    """
    moments = contour_moments(decoded, original)
    own, wanted = ((moment + _ROUND**2).sqrt() for moment in (moments.decoded, moments.original))
    return joined_mean((SPREAD_KEPT * wanted - own).clamp_min(0), moments.counted, weight, reduce)


class SoftF0(NamedTuple):
    """Estimates of every frame, each ``[B, F]``."""

    f0: Tensor  # fundamental frequency [Hz], 62.5..500; some value in unvoiced frames too
    periodicity: Tensor  # 1 minus the depth of the dip; 0 (noise, silence) .. 1 (periodic).


def soft_yin(
    audio: Tensor, *, centre: int = 0, num_frames: int | None = None, around: Tensor | None = None
) -> SoftF0:
    """Estimate F0 frame by frame; differentiable with respect to the audio.

    Pre-emphasised audio is better de-emphasised first (:func:`aether_lite.vocoder.deemphasize`).

    Args:
        audio: ``[B, N]``, 16 kHz, scale +-1; in float32 or wider.
        centre: sample on which frame 0 is centred, 0..320; frame t is centred on ``centre + 160 t``, with zeros around
            the clip. 0 for whole clips (as feature rows); 80 for what the vocoder makes, whose frames are
            ``[160 t, 160 t + 160)`` of its output.
        num_frames: F; without it all whose centre lies within the audio or at its end, ``1 + (N - centre) // 160``.
        around: pitch feature ``[B, F]`` [octaves] to which the search is restricted, half an octave on either side.

    Raises:
        ValueError: shapes that do not fit, or a centre outside 0..320.
    """
    if audio.ndim != 2:
        raise ValueError(f"audio must be [B, N], not {tuple(audio.shape)}")
    if not 0 <= centre <= FRAME_LENGTH // 2:
        raise ValueError(f"centre must be in 0..320, not {centre}")
    count = 1 + (audio.shape[1] - centre) // FRAME if num_frames is None else num_frames
    if count < 1:
        raise ValueError(f"no frame is centred within {audio.shape[1]} samples")
    if around is not None and around.shape != (audio.shape[0], count):
        raise ValueError(f"around must be {(audio.shape[0], count)}, not {tuple(around.shape)}")
    audio = audio.to(torch.promote_types(audio.dtype, torch.float32))
    items = max(CPU_BLOCK // count, 1) if audio.device.type == "cpu" else max(len(audio), 1)
    blocks = []
    for start in range(0, max(len(audio), 1), items):
        part = slice(start, start + items)
        value = _normalised_difference(audio[part], centre, count)
        blocks.append(_estimate(value, None if around is None else around[part]))
    return SoftF0(torch.cat([block.f0 for block in blocks]), torch.cat([block.periodicity for block in blocks]))


def f0_audio_loss(
    audio: Tensor, label_pitch: Tensor, label_voiced: Tensor, reduce: Reduce = alone
) -> Tensor:
    """``|log2 f0(audio) - log2 f0(label)|`` [octaves], weighted mean over frames of the joined batch: a scalar, >= 0.

    The search is restricted to half an octave around the label, so an octave error costs at most about half an octave
    and the gradient moves the nearest dip. Frames whose 640 samples reach beyond the audio do not count.

    Args:
        audio: ``[B, N]`` de-emphasised, 16 kHz, scale +-1.
        label_pitch: pitch feature ``[B, F]`` [octaves] of the original.
        label_voiced: weight of each frame ``[B, F]``, boolean or 0..1.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    if label_pitch.ndim != 2 or label_pitch.shape != label_voiced.shape:
        raise ValueError(f"labels must be [B, F], not {tuple(label_pitch.shape)} and {tuple(label_voiced.shape)}")
    centre = FRAME // 2  # of the vocoder's frames
    found = soft_yin(audio, centre=centre, num_frames=label_pitch.shape[1], around=label_pitch)
    middle = centre + FRAME * torch.arange(label_pitch.shape[1], device=audio.device)
    inside = (middle >= FRAME_LENGTH // 2) & (middle <= audio.shape[1] - FRAME_LENGTH // 2)
    lowest = SAMPLE_RATE / LAG_MAX
    error = (torch.log2(found.f0 / lowest) - (label_pitch + 1.5)).abs()
    return joined_mean(error, label_voiced.to(error.dtype) * inside, reduce=reduce)


def _normalised_difference(audio: Tensor, centre: int, count: int) -> Tensor:
    """d' of the lags 1..257 in each frame: ``[B, F, 257]``."""
    before = FRAME_LENGTH // 2 - centre
    after = centre + FRAME * (count - 1) + FRAME_LENGTH // 2 - audio.shape[1]
    padded = F.pad(audio, (before + 2, max(after, 0) + 2))
    for _ in range(_SMOOTHINGS):
        padded = (padded[:, :-1] + padded[:, 1:]) / 2
    # running energy of W samples from each on, in double: a quiet passage may follow a loud one
    total = F.pad(padded.double().square().cumsum(1), (1, 0))
    energy = (total[:, OVERLAP:] - total[:, :-OVERLAP]).to(audio.dtype).unfold(1, LAG_MAX + 2, FRAME)[:, :count]
    frames = padded.unfold(1, FRAME_LENGTH, FRAME)[:, :count]
    head = torch.fft.rfft(frames[..., :OVERLAP], FRAME_LENGTH)  # no wrap: W + 257 = 640
    product: Tensor = torch.fft.irfft(torch.fft.rfft(frames) * head.conj(), FRAME_LENGTH)[..., 1 : LAG_MAX + 2]
    own = energy[..., :1]
    floor = own * (1 + _ROUNDING) + 2 * OVERLAP * _NOISE_POWER
    difference = energy[..., 1:] + floor - 2 * product
    lags = torch.arange(1, LAG_MAX + 2, dtype=audio.dtype, device=audio.device)
    return difference / difference.cumsum(-1) * lags


def _estimate(value: Tensor, around: Tensor | None) -> SoftF0:
    """Soft search in d' of the lags 1..257 ``[B, F, 257]``."""
    lag, depth = _refined(value)
    octaves = torch.log2(torch.arange(LAG_MIN, LAG_MAX + 1, dtype=value.dtype, device=value.device) / LAG_MIN)
    if around is None:
        score = depth + OCTAVE_COST * octaves
    else:
        label = _OCTAVES - (around.to(value.dtype) + 1.5)  # octaves above the shortest lag
        score = depth.masked_fill((octaves - label.clamp(0, _OCTAVES)[..., None]).abs() > REACH, float("inf"))
    weight = torch.softmax(score * (-1 / TEMPERATURE), dim=-1)
    return SoftF0(SAMPLE_RATE / (weight * lag).sum(-1), (1 - (weight * depth).sum(-1)).clamp(0, 1))


def _refined(value: Tensor) -> tuple[Tensor, Tensor]:
    """Real-valued lag and depth ``[..., 225]`` of the dip at each lag 32..256, from d' of the lags 1..257."""
    left, middle, right = (value[..., LAG_MIN - 2 + i : LAG_MAX - 1 + i] for i in range(3))
    slope = (right - left) / 2
    curvature = torch.maximum(left + right - 2 * middle, slope.abs()) + _FLAT
    shift = -slope / curvature
    lags = torch.arange(LAG_MIN, LAG_MAX + 1, dtype=value.dtype, device=value.device)
    return lags + shift, middle + slope * shift / 2


@WAVE.term("audio_f0", 2.0)
def _audio_f0_term(given: WaveInputs) -> Tensor:
    """On voiced frames [octaves]."""
    pitch, voiced = given.original[..., PITCH], voiced_frames(given.original)
    return f0_audio_loss(deemphasize(given.made), pitch, voiced, reduce=given.reduce)
