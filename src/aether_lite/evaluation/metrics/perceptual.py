"""Perceived quality of decoded audio beside the original: PESQ."""

from __future__ import annotations

from torch import Tensor

from aether_lite.evaluation.metrics.clips import Float32, each_clip, silent
from aether_lite.evaluation.metrics.packages import require
from aether_lite.features.layout import SAMPLE_RATE

PESQ_PACKAGES = ("pesq",)


def pesq_wb(decoded: Tensor, original: Tensor) -> Tensor:
    """Wide-band PESQ (MOS-LQO) of each clip.

    ITU-T P.862 with the mapping of P.862.2, computed by the package ``pesq``, which published numbers nearly always
    use. It is **not** P.862.2 Corrigendum 2 (package ``pesqc2``), whose scores are several tenths higher. PESQ aligns
    the two in time itself. It was made for waveform codecs: a vocoder scores low at equal quality.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz; the scale does not matter, PESQ sets the level of each.
        original: ``[..., N]`` samples.

    Returns:
        ``[...] float32`` on the CPU, 1.0 to 4.64, higher is better; NaN where ``pesq`` finds no utterance, for clips
        under 0.25 s and where either is digital silence.

    Raises:
        AetherError: ``pesq`` is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    require("PESQ", PESQ_PACKAGES)
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    def score(degraded: Float32, reference: Float32) -> float:
        if silent(degraded) or silent(reference):
            return float("nan")
        try:
            return float(pesq(SAMPLE_RATE, reference, degraded, "wb"))
        except (BufferTooShortError, NoUtterancesError):
            return float("nan")

    return each_clip(score, decoded, original)
