"""Errors as a speech recogniser hears them: distance of what a listener makes of decoded and of true features.

The feature loss counts an error that turns one sound into another like one that nobody notices. Here both features go
through the encoder of a recogniser (:mod:`aether_lite.listener`)::

    mean over states and their dimensions of (h(x) - h(y))^2

with x decoded and y true. On speech every dimension of h has variance 1, so that two unrelated clips are about 2 apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.listener import Listener


def listening_loss(listener: Listener, decoded: Tensor, original: Tensor) -> Tensor:
    """Mean square distance of a listener's states of every clip ``[B]``, at least 0.

    Args:
        listener: frozen; gradients flow through it to ``decoded`` alone.
        decoded, original: features ``[B, F, 20]``, F even and at most 3000.

    Raises:
        ValueError: shapes that differ, or a number of frames that cannot be heard.
    """
    if decoded.shape != original.shape:
        raise ValueError(f"features must have one shape, not {tuple(decoded.shape)} and {tuple(original.shape)}")
    with torch.no_grad():
        wanted = listener(original)
    distance: Tensor = (listener(decoded) - wanted).square().mean((-1, -2))
    return distance
