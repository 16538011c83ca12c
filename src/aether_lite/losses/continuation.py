"""How well the vocoder carries on from known samples.

The waveform that a vocoder makes need not be the original's, but right after known samples it must be: the known ones
fix the phase of every harmonic. Opus, FARGAN stage 1.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from aether_lite.losses.reduction import Reduce, alone, joined_mean

CONTINUED = 160  # samples (10 ms) that are compared


def continuation_loss(made: Tensor, original: Tensor, reduce: Reduce = alone) -> Tensor:
    """``1 - cosine similarity`` of the first 10 ms after the known samples, mean over items: a scalar in 0..2.

    Args:
        made: ``[B, N]``, N >= 160, begins right after the known samples.
        original: ``[B, N]``, aligned.
        reduce: sum over ranks; called once.

    Raises:
        ValueError: shapes that differ, or less than 10 ms.
    """
    if made.shape != original.shape or made.ndim != 2 or made.shape[1] < CONTINUED:
        raise ValueError(f"audio must both be [B, >= 160], not {tuple(made.shape)} and {tuple(original.shape)}")
    similarity = F.cosine_similarity(made[:, :CONTINUED], original[:, :CONTINUED], dim=1)
    return joined_mean(1 - similarity, reduce=reduce)
