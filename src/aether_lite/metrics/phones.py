"""Share of phones that change, by a recogniser of another family than Whisper: a second judge of what is understood.

No network of this project is trained with it. ``hama`` (Apache-2.0) has a CTC recogniser of phones with its weights in
the wheel and an engine of its own; nothing is downloaded. The reference is its own reading of the original, so that
its errors on clean speech count on neither side.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.clips import NAN, ClipCache, Float32, each_clip, silent
from aether_lite.metrics.registry import Needs, metric

PACKAGES = ("hama", "jiwer")
HIGHEST = 1.0  # phones made up count no more than phones not heard


@metric(
    "phone_change", "Phones changed", needs=Needs.AUDIO, high=HIGHEST, packages=PACKAGES,
    reference="the recogniser's phones of the original audio", source="CTC phones of the package hama; package jiwer",
)  # fmt: skip
def phone_change(decoded: Tensor, original: Tensor) -> Tensor:
    """Phone error rate ``[...]`` of each clip: (substitutions + deletions + insertions) / phones of the original.

    Args:
        decoded, original: ``[..., N]`` samples at 16 kHz, clipped at +-1.

    Returns:
        ``[...] float32`` on the CPU, 0 to 1 (capped); NaN where no phone is recognised in the original.

    Raises:
        AetherError: ``hama`` or ``jiwer`` is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    import jiwer

    def rate(audio: Float32, reference: Float32) -> float:
        wanted = _phones(reference)
        return min(HIGHEST, float(jiwer.wer(wanted, _phones(audio)))) if wanted else NAN

    return each_clip(rate, decoded, original)


def _recognised(audio: Float32) -> str:
    """Phones of a clip ``[N] float32`` at 16 kHz, with spaces between them."""
    if silent(audio):
        return ""
    found = _recogniser().transcribe_waveform(np.clip(audio, -1, 1), SAMPLE_RATE)
    return " ".join(found.phonemes)


_phones = ClipCache(_recognised)


@cache
def _recogniser() -> Any:
    """The network, once a process."""
    from hama import ASRModel

    return ASRModel()
