"""Distances of decoded from true FARGAN features: feature loss, its delta form, voicing, loudness and envelope.

**Feature loss**: :mod:`aether_lite.features.loss`.

**Delta loss**: the same on first differences over time, ``d[t] = e[t] - e[t-1]`` of the errors e::

    mean_i (dc_i)^2  +  3 (10/18) |2 dp| max(min(vy[t], vy[t-1]) + 0.5, 0)^2  +  (1/18) dv^2

It does not see a constant offset and punishes jitter: frame errors independent of each other cost twice their feature
loss in the squared terms.

**Loudness loss**, with L the log10 energies of the Bark bands of frame t::

    sum_tb w_tb (L'_tb - L_tb)^2 / sum_tb w_tb,   w_tb = 10^(s (L_tb - max L))

Words are in the loud cells of the speech image, but the feature loss weighs all alike, so that more than half of it is
paid for cells that are 25 dB and more below the loudest. ``s = 0`` is its cepstral term (the DCT is orthonormal).

**Envelope loss**: one minus the extended STOI of J. Jensen and C. H. Taal, "An algorithm for predicting the
intelligibility of speech masked by modulated noise maskers", IEEE/ACM TASLP 24 (11), 2016, of the Bark bands up to
4.8 kHz instead of third octaves. The amplitudes of about 0.4 s are freed of the mean and scaled to norm 1, those of
every band, then those of every frame, and correlated. Gains of bands and levels of frames do not matter, patterns over
time and frequency do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.features.layout import VOICED_ABOVE, VOICING, log_bands, voiced_frames
from aether_lite.features.loss import check_pair, feature_loss_parts, parts_of
from aether_lite.losses.registry import SPI, SpiInputs, feature_term

VOICING_SLOPE = 10.0  # log-odds per unit of correlation, for decoded correlation taken as a decision
LEVEL_SLOPE = 0.4  # s: a cell 25 dB below the loudest of its clip counts a tenth
BANDS = 15  # the Bark bands below 4.8 kHz
SEGMENT = 38  # frames of 10 ms; ESTOI has 384 ms
HOP = 4  # frames between segments
RANGE = 4.0  # bel below its loudest frame at which a frame is silence and left out, as ESTOI leaves out 40 dB
_LEAST = 1e-4  # of a norm, relative to amplitudes of 1 at the loudest frame of a clip


@feature_term("feature", 1.0)
def feature_loss(decoded: Tensor, original: Tensor, weight: Tensor | None = None) -> Tensor:
    """Feature loss of every clip ``[...]``, at least 0; lower is better. Arguments as :func:`feature_loss_parts`."""
    return feature_loss_parts(decoded, original, weight).total


@feature_term("delta", 0.05)
def delta_feature_loss(decoded: Tensor, original: Tensor) -> Tensor:
    """Delta loss of every clip ``[...]``, at least 0, mean over the F - 1 steps between frames, F at least 2."""
    check_pair(decoded, original, least=2)
    voicing = original[..., VOICING]
    return parts_of((decoded - original).diff(dim=-2), torch.minimum(voicing[..., 1:], voicing[..., :-1]), None).total


@feature_term("voicing", "lambda_voicing")
def voicing_loss(decoded: Tensor, original: Tensor) -> Tensor:
    """Cross-entropy [nats] of voicing decisions, mean of each item ``[B]``, of features ``[B, F, 20]``; at least 0.

    A frame is voiced when its correlation v, in [-0.5, 0.5], is above 0.1. It is not a probability: as log-odds of the
    decision serve 10 (v - 0.1). ln 2 where the decoded correlation lies on the border.
    """
    voiced = voiced_frames(original).to(decoded.dtype)
    logit = VOICING_SLOPE * (decoded[..., VOICING] - VOICED_ABOVE)
    return F.binary_cross_entropy_with_logits(logit, voiced, reduction="none").mean(-1)


@feature_term("loudness", "lambda_loudness")
def loudness_loss(decoded: Tensor, original: Tensor) -> Tensor:
    """Level-weighted mean square error of the band log energies of every clip ``[...]`` [bel^2], at least 0.

    Of features ``[..., F, 20]``; the weights are the original's and carry no gradient. ValueError for other shapes.
    """
    check_pair(decoded, original)
    levels = log_bands(original)
    weight = (10 ** (LEVEL_SLOPE * (levels - levels.amax((-1, -2), keepdim=True)))).detach()
    error = (log_bands(decoded) - levels).square()
    return (weight * error).sum((-1, -2)) / weight.sum((-1, -2))


@feature_term("envelope", "lambda_envelope", optional=True)
def envelope_loss(decoded: Tensor, original: Tensor) -> Tensor:
    """One minus the mean correlation of the normalised segments of every clip ``[...]``, 0 to 2.

    Args:
        decoded, original: features ``[..., F, 20]``, F at least 38.

    Raises:
        ValueError: shapes that differ, or too few frames.
    """
    check_pair(decoded, original, least=SEGMENT)
    levels = log_bands(original)[..., :BANDS]
    frames = torch.logsumexp(levels * math.log(10), dim=-1) / math.log(10)
    loudest = frames.amax(-1, keepdim=True)
    speech = (frames > loudest - RANGE).to(levels.dtype)
    segments, wanted = (
        _segments(10 ** ((each - loudest[..., None]) / 2)) for each in (log_bands(decoded)[..., :BANDS], levels)
    )
    correlation = (segments * wanted).sum((-1, -2)) / SEGMENT
    share = speech.unfold(-1, SEGMENT, HOP).mean(-1)
    weight = share * (share > 0.5)  # segments that are mostly silence have no pattern
    return ((1 - correlation) * weight).sum(-1) / weight.sum(-1).clamp_min(_LEAST)


def _segments(amplitudes: Tensor) -> Tensor:
    """Normalised segments ``[..., S, BANDS, SEGMENT]`` of amplitudes ``[..., F, BANDS]``."""
    return _normalised(_normalised(amplitudes.unfold(-2, SEGMENT, HOP), -1), -2)


def _normalised(values: Tensor, axis: int) -> Tensor:
    centred = values - values.mean(axis, keepdim=True)
    return centred / (centred.square().sum(axis, keepdim=True) + _LEAST**2).sqrt()


@SPI.term("pitch", "lambda_pitch")
def _pitch_term(given: SpiInputs) -> Tensor:
    """The pitch's part of the feature loss, counted once more."""
    return given.mean(feature_loss_parts(given.sent.features, given.original).pitch)


@SPI.term("image", 0.1)
def _image_term(given: SpiInputs) -> Tensor:
    """L1 of the normalised speech images."""
    return given.mean((given.sent.image - given.sent.target_image).abs().mean((-1, -2)))
