"""Voicing: the decision that the decoded frame correlation stands for.

The correlation v lives in [-0.5, 0.5] and a frame is voiced when v > 0.1. It is not a probability: as log-odds of
the decision serve 10 (v - 0.1).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from aether_lite.features.bark import voiced_frames
from aether_lite.features.layout import VOICED_ABOVE, VOICING

VOICING_SLOPE = 10.0  # log-odds per unit of correlation, for decoded correlation taken as a decision


def voicing_loss(decoded: Tensor, features: Tensor) -> Tensor:
    """Cross-entropy [nats] of the decision v > 0.1 that the decoded correlation stands for, mean of each item ``[B]``.

    The public feature loss barely sees voicing; this is what a listener hears of it. At least 0; ln 2 where the
    decoded correlation lies on the border.

    Args:
        decoded, features: ``[B, F, 20]``.
    """
    voiced = voiced_frames(features).to(decoded.dtype)
    logit = VOICING_SLOPE * (decoded[..., VOICING] - VOICED_ABOVE)
    return F.binary_cross_entropy_with_logits(logit, voiced, reduction="none").mean(-1)
