"""Intelligibility of decoded audio."""

from __future__ import annotations

import importlib.util
import warnings

import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.features.layout import SAMPLE_RATE

SHORTEST_SECONDS = (29 * 128 + 256) / 10_000  # 30 frames of the measure, at its 10 kHz


def estoi_available() -> bool:
    """Whether :func:`estoi` can run, that is whether ``pystoi`` is installed."""
    return importlib.util.find_spec("pystoi") is not None


def estoi(decoded: Tensor, original: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Extended short-time objective intelligibility of each clip.

    J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", IEEE/ACM TASLP 24(11), 2016; computed by ``pystoi``. Decoded and original must be aligned.

    Args:
        decoded: ``[..., N]`` samples, any scale.
        original: ``[..., N]`` samples.
        sample_rate: [Hz]; resampled to 10 kHz inside.

    Returns:
        ``[...] float32`` on the CPU, up to 1, higher is better; NaN where a clip holds less than about 0.4 s of
        sound, for which the measure is not defined.

    Raises:
        AetherError: ``pystoi`` is not installed.
        ValueError: the shapes differ.
    """
    if not estoi_available():
        raise AetherError("ESTOI needs the package pystoi, which is not installed: pip install aether-lite[eval]")
    if decoded.shape != original.shape or decoded.ndim < 1:
        raise ValueError(f"audio must both be [..., N], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    if decoded.shape[-1] < SHORTEST_SECONDS * sample_rate:  # pystoi fails on a clip of less than one frame
        return torch.full(decoded.shape[:-1], float("nan"))
    from pystoi import stoi

    pairs = [signal.detach().double().cpu().reshape(-1, signal.shape[-1]).numpy() for signal in (original, decoded)]
    scores = []
    for clean, processed in zip(*pairs, strict=True):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            try:
                scores.append(float(stoi(clean, processed, sample_rate, extended=True)))
            except RuntimeWarning:
                scores.append(float("nan"))
    return torch.tensor(scores).reshape(decoded.shape[:-1])
