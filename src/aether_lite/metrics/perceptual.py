"""Perceptual metrics by networks: mean opinion scores (DNSMOS, from decoded audio alone) and speaker similarity.

C. K. A. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
evaluate noise suppressors", ICASSP 2022, with the model of P.808 that came before it. Computed by ``speechmos``, whose
wheel holds the networks: the mean over windows of 9.01 s, one a second; a shorter clip is repeated to that length.
"""

from __future__ import annotations

import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.environment import load_numba
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.clips import NAN, ClipCache, Float32, each_clip, silent
from aether_lite.metrics.registry import Needs, metric
from aether_lite.optional import disable_onnxruntime_telemetry

DNSMOS_PACKAGES = ("speechmos", "librosa", "onnxruntime", "requests")
SCORES = {
    "ovrl": ("overall", "P.835"),
    "sig": ("speech", "P.835"),
    "bak": ("background", "P.835"),
    "p808": ("P.808", "P.808"),
}
"""Score -> what it is of (5 is best; of the background, no noise) and the ITU-T test it predicts."""


def dnsmos(score: str, decoded: Tensor) -> Tensor:
    """One score (a key of :data:`SCORES`) of DNSMOS ``[...] float32``, about 1 to 5; NaN for an empty clip.

    ``decoded`` are finite samples ``[..., N]`` at 16 kHz, clipped beyond full scale, as in a file or a sound card.
    """
    return each_clip(lambda audio: _scores(audio)[score], decoded)


for _score, (_of, _test) in SCORES.items():
    metric(
        f"dnsmos_{_score}", f"DNSMOS {_of}", "MOS", needs=Needs.AUDIO, low=1.0, high=5.0, higher_is_better=True,
        reference="", source=f"{_test}: Reddy, Gopal and Cutler, ICASSP 2022; package speechmos",
        packages=DNSMOS_PACKAGES,
    )(partial(dnsmos, _score))  # fmt: skip


def _measure(audio: Float32) -> dict[str, float]:
    if not len(audio):
        return dict.fromkeys(SCORES, NAN)
    found = _scorer()(np.clip(audio, -1, 1), SAMPLE_RATE, False)
    return {score: float(found[f"{score}_mos"]) for score in SCORES}


_scores = ClipCache(_measure)


@cache
def _scorer() -> Any:
    """The networks of speechmos on one thread, once a process."""
    disable_onnxruntime_telemetry()
    load_numba()
    import onnxruntime
    from speechmos import dnsmos as package

    class OneThread(package.DNSMOS):  # type: ignore[misc]
        def __init__(self, primary: Path, p808: Path) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            run = partial(onnxruntime.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"])
            self.primary_model_path = str(primary)
            self.onnx_sess, self.p808_onnx_sess = run(str(primary)), run(str(p808))

    models = Path(package.__file__).parent / "dnsmos_models"
    return OneThread(models / "sig_bak_ovr.onnx", models / "model_v8.onnx")


@metric(
    "speaker_similarity", "Speaker similarity", needs=Needs.AUDIO, high=1.0, higher_is_better=True,
    source="cosine of embeddings (Wan et al., ICASSP 2018) by the package resemblyzer",
    packages=("resemblyzer", "librosa", "webrtcvad", "pkg_resources"),
)  # fmt: skip
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
    load_numba()
    with warnings.catch_warnings(action="ignore"):  # of its imports: pkg_resources and scipy.ndimage.morphology are old
        from resemblyzer import VoiceEncoder, preprocess_wav

    return preprocess_wav, VoiceEncoder("cpu", verbose=False)
