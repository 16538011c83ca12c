"""The vocoder within a training step, recorded once as CUDA graphs and replayed.

FARGAN makes 400 sub-frames a second one after another, each of some dozen small kernels: launching them one by one is
what takes the time. A CUDA graph launches them all at once; what is recorded keeps its shapes and addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from aether_lite.features.layout import FRAME, LAG_MIN, NUM_FREE
from aether_lite.vocoder import FARGAN
from aether_lite.vocoder.fargan import CONTEXT_ROWS
from aether_lite.vocoder.network import VocoderNetwork

Speak = Callable[..., Tensor]
"""Features ``[A, T, 20]``, periods ``[A, T] int64`` and, if any, M known samples ``[A, M]`` to the pre-emphasised audio
that follows them, ``[A, 160 (T - C) - M]`` with the vocoder's C context rows."""


class Vocode(nn.Module):
    """A vocoder, in the mode it is in, that makes all frames its rows allow; from silence without known samples.

    Only FARGAN takes periods and known samples.
    """

    def __init__(self, vocoder: VocoderNetwork) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, features: Tensor, period: Tensor, *known: Tensor) -> Tensor:
        """See :data:`Speak`."""
        if not isinstance(self.vocoder, FARGAN):
            alone: Tensor = self.vocoder(features)
            return alone
        given = sum(samples.shape[1] // FRAME for samples in known)
        made: Tensor = self.vocoder(features, period, features.shape[1] - CONTEXT_ROWS - given, *known)
        return made


def captured_vocoder(vocoder: FARGAN, items: int, rows: int, known: int = 0, *, gradient: bool = True) -> Speak:
    """The vocoder for inputs of one size, recorded on the GPU it is on.

    Record again when the vocoder is frozen or unfrozen, or changes between training and evaluation mode.

    Args:
        vocoder: on a GPU; its parameters require gradients as they will when it is used.
        items, rows, known: the sizes A, T and M of all inputs.
        gradient: whether features require gradients.

    Returns:
        A function whose output must be used in a backward pass before the next call.
    """
    device = next(vocoder.parameters()).device
    features = torch.zeros(items, rows, NUM_FREE, device=device, requires_grad=gradient)
    period = torch.full((items, rows), LAG_MIN, dtype=torch.int64, device=device)
    samples = [torch.zeros(items, known, device=device)] if known else []
    return cast(Speak, torch.cuda.make_graphed_callables(Vocode(vocoder), (features, period, *samples)))
