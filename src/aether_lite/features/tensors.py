"""What feature tensors say: band energies and voicing decisions, differentiable, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.features.bark import C0_OFFSET, DCT
from aether_lite.features.layout import CEPSTRA, VOICED_ABOVE, VOICING


def log_bands(features: Tensor) -> Tensor:
    """Log10 band energies ``[..., 18]`` (int16 scale) of features ``[..., >= 18]``: the inverse DCT of the cepstrum."""
    matrix = torch.as_tensor(DCT, dtype=features.dtype, device=features.device)
    bands: Tensor = features[..., CEPSTRA] @ matrix + C0_OFFSET * matrix[0]
    return bands


def cepstra_of_bands(bands: Tensor) -> Tensor:
    """Cepstra c0..c17 ``[..., 18]`` of log10 band energies ``[..., 18]`` (int16 scale); :func:`log_bands` goes back."""
    matrix = torch.as_tensor(DCT, dtype=bands.dtype, device=bands.device)
    cepstra: Tensor = (bands - C0_OFFSET * matrix[0]) @ matrix.T
    return cepstra


def voiced_frames(features: Tensor) -> Tensor:
    """``[..., F] bool``: frames of features ``[..., F, >= 20]`` that are voiced (correlation above 0.1)."""
    return features[..., VOICING] > VOICED_ABOVE
