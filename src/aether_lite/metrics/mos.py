"""Mean opinion scores predicted from decoded audio alone (non-intrusive): DNSMOS.

C. K. A. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
evaluate noise suppressors", ICASSP 2022, with the model of P.808 that came before it. Computed by ``speechmos``, whose
wheel holds the networks: the mean over windows of 9.01 s, one a second; a shorter clip is repeated to that length.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.clips import NAN, ClipCache, Float32, each_clip
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
    import onnxruntime
    from speechmos import dnsmos as package

    class OneThread(package.DNSMOS):  # type: ignore[misc]
        def __init__(self, primary: Path, p808: Path) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            sessions = [
                onnxruntime.InferenceSession(str(p), options, ["CPUExecutionProvider"]) for p in (primary, p808)
            ]
            self.primary_model_path = str(primary)
            self.onnx_sess, self.p808_onnx_sess = sessions

    models = Path(package.__file__).parent / "dnsmos_models"
    return OneThread(models / "sig_bak_ovr.onnx", models / "model_v8.onnx")
