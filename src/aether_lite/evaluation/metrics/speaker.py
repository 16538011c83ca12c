"""Whether the decoded voice is still that of the speaker."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.evaluation.metrics.clips import ClipMemory, Float32, each_clip, silent
from aether_lite.evaluation.metrics.packages import require

SPEAKER_PACKAGES = ("resemblyzer", "librosa", "webrtcvad", "pkg_resources")


def speaker_similarity(decoded: Tensor, original: Tensor) -> Tensor:
    """Cosine of the speaker embeddings of decoded and original of each clip.

    The embedding is that of L. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, by the
    package ``resemblyzer``, after its own levelling and cutting of long pauses. For orientation: different speakers lie
    near 0.6, two clips of one speaker near 0.8, halves of one clip near 0.95.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz on the scale +-1; those beyond it are clipped.
        original: ``[..., N]`` samples.

    Returns:
        ``[...] float32`` on the CPU, 0 to 1 (embeddings have no negative entries), higher is better; NaN where the
        voice activity detection of the package finds no speech in one of them.

    Raises:
        AetherError: ``resemblyzer`` or what it needs is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    require("Speaker similarity", SPEAKER_PACKAGES)

    def cosine(audio: Float32, reference: Float32) -> float:
        first, second = _embedding(audio), _embedding(reference)
        return float("nan") if first is None or second is None else float(first @ second)

    return each_clip(cosine, decoded, original)


def _embed(audio: Float32) -> Float32 | None:
    """Embedding ``[256]`` of unit length; None where there is no speech."""
    if silent(audio):
        return None
    with _quiet():
        from resemblyzer import preprocess_wav

        spoken = preprocess_wav(np.clip(audio, -1, 1))
        if not len(spoken):
            return None
        embedding: Float32 = _encoder().embed_utterance(spoken)
        return embedding


_embedding = ClipMemory(_embed)


@cache
def _encoder() -> Any:
    """The network, on the CPU, once a process."""
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def _quiet() -> warnings.catch_warnings[None]:
    """No warnings of the package about its own old imports."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)
