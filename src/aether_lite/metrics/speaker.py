"""Speaker similarity of decoded and original audio."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.metrics.clips import NAN, ClipCache, Float32, each_clip, silent
from aether_lite.metrics.registry import Needs, metric


@metric(
    "speaker_similarity",
    "Speaker similarity",
    needs=Needs.AUDIO,
    high=1.0,
    higher_is_better=True,
    source="cosine of embeddings (Wan et al., ICASSP 2018) by the package resemblyzer",
    packages=("resemblyzer", "librosa", "webrtcvad", "pkg_resources"),
)
def speaker_similarity(decoded: Tensor, original: Tensor) -> Tensor:
    """Cosine similarity of the speaker embeddings of decoded and original ``[..., N]`` at 16 kHz, clipped at +-1.

    The embedding is that of L. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, by the
    package ``resemblyzer``, after its own levelling and cutting of long pauses. For orientation: different speakers lie
    near 0.6, two clips of one speaker near 0.8, halves of one clip near 0.95.

    ``[...] float32`` on the CPU, 0 to 1 (embeddings have no negative entries); where the voice activity detection
    of the package finds no speech, NaN if in the original and 0 if only in the decoded side.
    """

    def cosine(audio: Float32, reference: Float32) -> float:
        wanted, found = _embedding(reference), _embedding(audio)
        if wanted is None:
            return NAN
        return 0.0 if found is None else float(np.clip(found @ wanted, 0, 1))

    return each_clip(cosine, decoded, original)


def _embed(audio: Float32) -> Float32 | None:
    """Embedding ``[256]`` of unit length; None where there is no speech."""
    if silent(audio):
        return None
    preprocess, encoder = _package()
    spoken = preprocess(np.clip(audio, -1, 1))
    if not len(spoken):
        return None
    embedding: Float32 = encoder.embed_utterance(spoken)
    return embedding


_embedding = ClipCache(_embed)


@cache
def _package() -> tuple[Any, Any]:
    """Preprocessing of a clip, and the network on the CPU, once a process."""
    with warnings.catch_warnings(action="ignore"):  # of its imports: pkg_resources and scipy.ndimage.morphology are old
        from resemblyzer import VoiceEncoder, preprocess_wav

    return preprocess_wav, VoiceEncoder("cpu", verbose=False)
