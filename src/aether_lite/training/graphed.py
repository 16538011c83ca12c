"""The vocoder inside another training step, recorded as CUDA graphs.

The codec's step changes its course from batch to batch (channels, rates), so it cannot be recorded as a whole as
:mod:`aether_lite.training.capture` does. Its vocoder can: crops have a fixed size. Forward and backward pass become
one launch each and stay differentiable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from aether_lite.features.layout import LAG_MIN, NUM_FREE
from aether_lite.vocoder import FARGAN
from aether_lite.vocoder.fargan import CONTEXT_ROWS

Speak = Callable[[Tensor, Tensor], Tensor]
"""Features ``[A, T, 20]`` and periods ``[A, T] int64`` to pre-emphasised audio ``[A, 160 (T - 4)]``."""


class Vocode(nn.Module):
    """A vocoder that makes all frames its rows allow, starting from silence.

    Args:
        vocoder: runs in the mode it is in.
    """

    def __init__(self, vocoder: FARGAN) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, features: Tensor, period: Tensor) -> Tensor:
        """See :data:`Speak`."""
        made: Tensor = self.vocoder(features, period, features.shape[1] - CONTEXT_ROWS)
        return made


def graphed(vocoder: FARGAN, items: int, rows: int) -> Speak:
    """The vocoder for inputs of one size, recorded on the GPU it is on.

    Record again when the vocoder is frozen or unfrozen, or changes between training and evaluation mode.

    Args:
        vocoder: on a GPU; its parameters require gradients as they will when it is used.
        items, rows: the size A and T of all inputs.

    Returns:
        A function of features that may require gradients; its output must be used in a backward pass before the
        next call.
    """
    device = next(vocoder.parameters()).device
    features = torch.zeros(items, rows, NUM_FREE, device=device, requires_grad=True)
    period = torch.full((items, rows), LAG_MIN, dtype=torch.int64, device=device)
    return cast(Speak, torch.cuda.make_graphed_callables(Vocode(vocoder), (features, period)))
