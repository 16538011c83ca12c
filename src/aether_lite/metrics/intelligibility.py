"""Intelligibility of decoded audio."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.active import NAN
from aether_lite.metrics.clips import NARROW_RATE, Float32, check_audio, each_clip, narrow_band, silent
from aether_lite.metrics.packages import installed, require

ESTOI_PACKAGES = ("pystoi",)
SHORTEST_SECONDS = (29 * 128 + 256) / 10_000  # 30 frames of the measure, at its 10 kHz


def estoi_available() -> bool:
    """Whether :func:`estoi` can run, that is whether ``pystoi`` is installed."""
    return installed(ESTOI_PACKAGES)


def estoi(decoded: Tensor, original: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Extended short-time objective intelligibility of each clip.

    J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", IEEE/ACM TASLP 24(11), 2016; computed by ``pystoi``. Decoded and original must be aligned.

    Args:
        decoded: ``[..., N]`` samples, any scale.
        original: ``[..., N]`` samples.
        sample_rate: [Hz]; resampled to 10 kHz inside.

    Returns:
        ``[...] float32`` on the CPU, up to 1, higher is better; about 0 where the decoded side is mute; NaN where
        the original holds less than about 0.4 s of sound, for which the measure is not defined.

    Raises:
        AetherError: ``pystoi`` is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    require("ESTOI", ESTOI_PACKAGES)
    check_audio(decoded, original)
    if decoded.shape[-1] < SHORTEST_SECONDS * sample_rate:  # pystoi fails on a clip of less than one frame
        return torch.full(decoded.shape[:-1], NAN)
    from pystoi import stoi

    def score(processed: Float32, clean: Float32) -> float:
        if silent(clean):
            return NAN
        with warnings.catch_warnings(), _same_noise():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            try:
                return float(stoi(clean.astype(float), processed.astype(float), sample_rate, extended=True))
            except RuntimeWarning:
                return NAN

    return each_clip(score, decoded, original)


def estoi_4k(decoded: Tensor, original: Tensor) -> Tensor:
    """:func:`estoi` of both sides limited to 4 kHz: coders of narrow-band speech are heard in their own band.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz.
        original: ``[..., N]`` samples.
    """
    check_audio(decoded, original)
    return estoi(narrow_band(decoded), narrow_band(original), NARROW_RATE)


@contextmanager
def _same_noise() -> Iterator[None]:
    """Fix the noise that ``pystoi`` adds from NumPy's global generator: where the decoded side is mute, it decides."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
