"""Perceived quality of decoded audio beside the original: PESQ."""

from __future__ import annotations

import itertools
import math

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.active import NAN
from aether_lite.metrics.clips import NARROW_RATE, Float32, check_audio, each_clip, narrow_band, silent
from aether_lite.metrics.packages import require

PESQ_PACKAGES = ("pesq",)
LOWEST = 1.0  # foot of the scale; inaudible noise for speech scores 1.02 to 1.25
LONGEST_SECONDS = 20
"""Of a part. ``pesq`` 0.0.4 crashes beyond 50 utterances, each of which takes at least 0.4 s with its pause."""


def pesq_wb(decoded: Tensor, original: Tensor) -> Tensor:
    """Wide-band PESQ (MOS-LQO) of each clip.

    ITU-T P.862 with the mapping of P.862.2, computed by the package ``pesq``, which published numbers nearly always
    use. It is **not** P.862.2 Corrigendum 2 (package ``pesqc2``), whose scores are several tenths higher. PESQ aligns
    the two in time itself. It was made for waveform codecs: a vocoder scores low at equal quality. A clip of more than
    20 s is measured in equal parts of at most that, whose scores are averaged.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz; the scale does not matter, PESQ sets the level of each.
        original: ``[..., N]`` samples.

    Returns:
        ``[...] float32`` on the CPU, 1.0 to 4.64, higher is better; 1.0 where only the decoded side is digital silence
        (a link that fell silent does not drop out of a mean); NaN where ``pesq`` finds no utterance and for clips under
        0.25 s.

    Raises:
        AetherError: ``pesq`` is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    return _pesq(decoded, original, SAMPLE_RATE, "wb")


def pesq_nb(decoded: Tensor, original: Tensor) -> Tensor:
    """Narrow-band PESQ (MOS-LQO) of each clip: both sides limited to 4 kHz, ITU-T P.862 with the mapping of P.862.1.

    Arguments, silence, errors and parts as :func:`pesq_wb`. The scale is another one, 1.0 to 4.55; the two must not be
    compared.
    """
    check_audio(decoded, original)
    return _pesq(narrow_band(decoded), narrow_band(original), NARROW_RATE, "nb")


def _pesq(decoded: Tensor, original: Tensor, rate: int, band: str) -> Tensor:
    """PESQ ``[...]`` of clips ``[..., N]`` at ``rate`` [Hz]; ``band`` is ``wb`` or ``nb``."""
    require("PESQ", PESQ_PACKAGES)
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    def score(degraded: Float32, reference: Float32) -> float:
        if silent(reference):
            return NAN
        if silent(degraded):  # pesq fails on it
            return LOWEST
        try:
            return float(pesq(rate, reference, degraded, band))
        except (BufferTooShortError, NoUtterancesError):
            return NAN

    def mean_score(degraded: Float32, reference: Float32) -> float:
        parts = max(1, math.ceil(len(reference) / (LONGEST_SECONDS * rate)))
        pairs = zip(np.array_split(degraded, parts), np.array_split(reference, parts), strict=True)
        scores = [value for value in itertools.starmap(score, pairs) if not math.isnan(value)]
        return math.fsum(scores) / len(scores) if scores else NAN

    return each_clip(mean_score, decoded, original)
