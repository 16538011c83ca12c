"""Errors as a speech recogniser hears them: distance of hidden states that a listener predicts from features.

The feature loss counts an error that turns one sound into another like one that nobody notices. Here both features go
through a network that has learned what the encoder of a recogniser makes of speech (:mod:`aether_lite.listener`)::

    mean over states and their dimensions of (h(x) - h(y))^2

with x decoded and y true. On speech every dimension of h has variance 1, so that two unrelated clips are about 2 apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.listener import Listener


def listening_loss(listener: Listener, decoded: Tensor, original: Tensor) -> Tensor:
    """Mean square distance of predicted hidden states of every clip ``[B]``, at least 0.

    Args:
        listener: frozen; gradients flow through it to ``decoded`` alone.
        decoded, original: features ``[B, F, 20]``, F even.

    Raises:
        ValueError: shapes that differ, or an odd number of frames.
    """
    if decoded.shape != original.shape:
        raise ValueError(f"features must have one shape, not {tuple(decoded.shape)} and {tuple(original.shape)}")
    with torch.no_grad():
        wanted = listener(original)
    distance: Tensor = (listener(decoded) - wanted).square().mean((-1, -2))
    return distance
