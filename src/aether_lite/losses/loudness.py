"""Errors of Bark bands that count the more, the louder the band: words live in the loud cells of the speech image.

The feature loss weighs every band of every frame alike, so that more than half of it is paid for cells that are 25 dB
and more below the loudest and hardly heard. With L the log10 energies of the bands of frame t::

    sum_tb w_tb (L'_tb - L_tb)^2 / sum_tb w_tb,   w_tb = 10^(s (L_tb - max L))

``s = 0`` is the cepstral term of the feature loss (the DCT between bands and cepstrum is orthonormal).
"""

from __future__ import annotations

from torch import Tensor

from aether_lite.features.bark import log_bands

LEVEL_SLOPE = 0.4  # s: a cell 25 dB below the loudest of its clip counts a tenth


def loudness_loss(decoded: Tensor, original: Tensor, slope: float = LEVEL_SLOPE) -> Tensor:
    """Level-weighted mean square error of the band log energies of every clip ``[...]`` [bel^2], at least 0.

    Args:
        decoded, original: features ``[..., F, 20]``; the weights are the original's and carry no gradient.
        slope: decades of weight for each decade of energy, at least 0.

    Raises:
        ValueError: shapes that differ, or a negative slope.
    """
    if decoded.shape != original.shape:
        raise ValueError(f"features must have one shape, not {tuple(decoded.shape)} and {tuple(original.shape)}")
    if slope < 0:
        raise ValueError(f"slope is at least 0, not {slope}")
    levels = log_bands(original)
    weight = (10 ** (slope * (levels - levels.amax((-1, -2), keepdim=True)))).detach()
    error = (log_bands(decoded) - levels).square()
    return (weight * error).sum((-1, -2)) / weight.sum((-1, -2))
