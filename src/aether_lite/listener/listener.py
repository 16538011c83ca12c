"""An ear and a recogniser's encoder: features in, what the recogniser makes of them out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.listener.ear import Ear
from aether_lite.listener.recogniser import RecogniserEncoder


class Listener(nn.Module):
    """Features ``[B, F, 20]``, F even and at most 3000, to states ``[B, F / 2, width]``.

    Args:
        ear: learned for this recogniser.
        encoder: the recogniser's.
    """

    def __init__(self, ear: Ear, encoder: RecogniserEncoder) -> None:
        super().__init__()
        self.ear, self.encoder = ear, encoder
        self.spread: Tensor
        self.register_buffer("spread", torch.ones(encoder.sizes.width))  # of the states on speech

    def heard(self, spectra: Tensor) -> Tensor:
        """States of log-mel spectra ``[B, F, 80]``, each dimension with variance 1 on speech."""
        states: Tensor = self.encoder(spectra) / self.spread
        return states

    def forward(self, features: Tensor) -> Tensor:
        return self.heard(self.ear(features))
