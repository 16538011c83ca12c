"""Losses on the semantic read-outs (pitch, voicing, energy), and on decoded energy where the original is silent.

The level of a frame comes from its cepstrum. With X the spectrum of the windowed, pre-emphasised frame divided by
its length 320, and the window's energy 160, the mean square of the pre-emphasised signal is ``4 sum_k |X_k|^2`` over
the bins 0..159. Each band is divided by the mean gain ``|1 - 0.85 e^(-jw)|^2`` of the pre-emphasis over its triangle::

    level = 10 log10( 4 / 32768^2  sum_b  E_b u_b )  [dBFS],  E_b = 10^(L_b)

with ``u_b`` the mean of the inverse gain, half of it in the bands 0 and 17, whose energy counts twice.
0 dBFS is a mean square of 1 with samples in +-1; a full-scale sine has -3.01 dBFS.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aether_lite.features import layout
from aether_lite.features.loss import check_pair
from aether_lite.losses.reduction import Reduce, alone, joined_mean
from aether_lite.losses.registry import SPI, SpiInputs, joined_term
from aether_lite.spi import Semantics

SILENT_BELOW = -60.0  # dBFS, level of a frame of the original
_ENERGY_SCALE = 4.0  # mean square of a pre-emphasised frame / sum of its bins


def pitch_weight(features: Tensor) -> Tensor:
    """Weight of the pitch in the public feature loss: (v + 0.5)^2, 0 unvoiced .. 1; ``[..., F]``."""
    return (features[..., layout.VOICING] + 0.5).clamp_min(0).square()


def semantic_loss(read: Semantics, features: Tensor, energy: Tensor) -> Tensor:
    """Weighted L1 of pitch [octaves] + cross-entropy of voicing [nats] + L1 of energy, mean of each item ``[B]``.

    Args:
        read: read-outs ``[B, F]``.
        features: true features ``[B, F, 20]``.
        energy: true normalised energy ``[B, F]``.
    """
    pitch = (read.pitch - features[..., layout.PITCH]).abs() * pitch_weight(features)
    voiced = layout.voiced_frames(features).to(read.voicing_logit.dtype)
    voicing = F.binary_cross_entropy_with_logits(read.voicing_logit, voiced, reduction="none")
    return (pitch + voicing + (read.energy - energy).abs()).mean(-1)


def normalised_energy(image: Tensor) -> Tensor:
    """Mean of the 18 band rows of a normalised speech image ``[B, F, 20]``: ``[B, F]``."""
    return torch.mean(image[..., :layout.NUM_BANDS], dim=-1)


def frame_level(features: Tensor) -> Tensor:
    """Level ``[...]`` [dBFS] of the speech (not pre-emphasised) in each frame of features ``[..., >= 18]``.

    The extractor adds 0.01 to every band, so digital silence has -83 dBFS.
    """
    gain = torch.as_tensor(_ENERGY_SCALE / layout.INT16_SCALE**2 * _INVERSE_GAIN).to(features)
    exponents = layout.log_bands(features) * math.log(10) + gain.log()
    return torch.logsumexp(exponents, dim=-1) * (10 / math.log(10))


@joined_term("silence", 0.02)
def silence_loss(
    decoded: Tensor, original: Tensor, weight: Tensor | None = None, reduce: Reduce = alone
) -> Tensor:
    """``mean_b max(0, L_b decoded - L_b original)^2`` [bel^2], mean over the original's silent frames: a scalar.

    1 where every band is 10 dB too loud; 0 where none is, or where the joined batch holds no silent frame.

    Args:
        decoded, original: features ``[B, F, 20]``.
        weight: of each item ``[B]``.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    check_pair(decoded, original, batch=True)
    silent = frame_level(original) < SILENT_BELOW
    excess = (layout.log_bands(decoded) - layout.log_bands(original)).clamp_min(0).square().mean(-1)
    return joined_mean(excess, silent, weight, reduce)


def _inverse_gain() -> layout.Float64:
    """``[18]``: mean inverse gain of the pre-emphasis in each band; half in the bands that are counted twice."""
    omega = 2 * np.pi * np.arange(layout.NUM_BINS) / layout.WINDOW_LENGTH
    inverse = 1 / np.abs(1 - layout.PREEMPHASIS * np.exp(-1j * omega)) ** 2
    total, width = np.zeros(layout.NUM_BANDS), np.zeros(layout.NUM_BANDS)
    for values, target in ((inverse, total), (np.ones(layout.NUM_BINS), width)):
        target[:-1] += np.add.reduceat(values * layout.FALLING, layout.BAND_BINS[:-1])
        target[1:] += np.add.reduceat(values * layout.RISING, layout.BAND_BINS[:-1])
    mean = total / width
    mean[[0, -1]] *= 0.5
    return np.asarray(mean, dtype=np.float64)


_INVERSE_GAIN = _inverse_gain()


@SPI.term("semantic", 0.02)
def _semantic_term(given: SpiInputs) -> Tensor:
    """On the encoder's and the decoder's read-outs."""
    sent, energy = given.sent, normalised_energy(given.sent.target_image)
    read = (sent.encoder_semantics, sent.decoder_semantics)
    encoder, decoder = (semantic_loss(each, given.original, energy) for each in read)
    return given.mean(encoder + decoder)
