"""Mean opinion scores predicted from decoded audio alone: DNSMOS.

C. K. A. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
evaluate noise suppressors", ICASSP 2022, with the model of P.808 that came before it. Computed by ``speechmos``, whose
wheel holds the networks: the mean over windows of 9.01 s, one a second; a shorter clip is repeated to that length.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.clips import ClipMemory, Float32, each_clip
from aether_lite.metrics.packages import keep_offline, require

DNSMOS_PACKAGES = ("speechmos", "librosa", "onnxruntime", "requests")


class Dnsmos(NamedTuple):
    """The four scores, each ``[...]``, about 1 to 5, higher is better.

    Attributes:
        ovrl: overall quality (P.835).
        sig: quality of the speech (P.835).
        bak: quality of the background: 5 is no noise (P.835).
        p808: overall quality as rated without a reference (P.808).
    """

    ovrl: Any
    sig: Any
    bak: Any
    p808: Any


def dnsmos(decoded: Tensor) -> Dnsmos:
    """All four scores of each clip; one pass through the networks.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz. Samples beyond full scale are clipped, as in a file or a sound card.

    Returns:
        ``[...] float32`` each, on the CPU; NaN for an empty clip.

    Raises:
        AetherError: ``speechmos`` or what it needs is not installed.
        ValueError: samples that are not finite.
    """
    return Dnsmos(dnsmos_ovrl(decoded), dnsmos_sig(decoded), dnsmos_bak(decoded), dnsmos_p808(decoded))


def dnsmos_ovrl(decoded: Tensor) -> Tensor:
    """Overall quality ``[...]`` by DNSMOS P.835, about 1 to 5; as :func:`dnsmos`."""
    return _column(decoded, 0)


def dnsmos_sig(decoded: Tensor) -> Tensor:
    """Quality of the speech ``[...]`` by DNSMOS P.835, about 1 to 5; as :func:`dnsmos`."""
    return _column(decoded, 1)


def dnsmos_bak(decoded: Tensor) -> Tensor:
    """Quality of the background ``[...]`` by DNSMOS P.835, about 1 to 5; as :func:`dnsmos`."""
    return _column(decoded, 2)


def dnsmos_p808(decoded: Tensor) -> Tensor:
    """Overall quality ``[...]`` by DNSMOS P.808, about 1 to 5; as :func:`dnsmos`."""
    return _column(decoded, 3)


def _column(decoded: Tensor, column: int) -> Tensor:
    require("DNSMOS", DNSMOS_PACKAGES)
    return each_clip(lambda audio: _scores(audio)[column], decoded)


def _score(audio: Float32) -> Dnsmos:
    if not len(audio):
        return Dnsmos(*[float("nan")] * 4)
    found = _scorer()(np.clip(audio, -1, 1), SAMPLE_RATE, False)
    return Dnsmos(*(float(found[f"{name}_mos"]) for name in Dnsmos._fields))


_scores = ClipMemory(_score)


@cache
def _scorer() -> Any:
    """The networks of speechmos on one thread, once a process."""
    keep_offline()
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
