"""Distances between the spectral envelopes of decoded and original features."""

from __future__ import annotations

from torch import Tensor

from aether_lite.features.layout import CEPSTRA
from aether_lite.losses.feature import feature_loss, feature_loss_parts
from aether_lite.metrics.active import active_frames, band_levels, check_features, frame_mean


def clip_feature_loss(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Feature loss ``[...]`` of each clip, >= 0, lower is better; about 0.3 is the limit of usable speech.

    Args:
        decoded: ``[..., F, 20]``.
        original: ``[..., F, 20]``.
        mask: ``[..., F] bool``, frames that belong to the clip.
    """
    return feature_loss(decoded, original, check_features(decoded, original, mask))


def cepstral_rmse(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square error ``[...]`` of the 18 cepstra over all frames, >= 0, lower is better.

    Shapes as in :func:`clip_feature_loss`.
    """
    mask = check_features(decoded, original, mask)
    error = decoded[..., CEPSTRA] - original[..., CEPSTRA]
    return frame_mean(error.square().mean(dim=-1), mask).sqrt()


def lsd_active(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Log spectral distance ``[...]`` [dB], >= 0, lower is better: mean over active frames of the rms over bands.

    Per frame, the root mean square over the 18 Bark bands of 10 (L - L'), L the log10 band energy. Shapes as in
    :func:`clip_feature_loss`.
    """
    mask = check_features(decoded, original, mask)
    difference = band_levels(decoded) - band_levels(original)
    return frame_mean(difference.square().mean(dim=-1).sqrt(), active_frames(original, mask))


def loss_of_cepstrum(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cepstral part ``[...]`` of the feature loss, >= 0: mean square error of the 18 cepstra.

    Arguments as :func:`clip_feature_loss`; the three parts add up to it.
    """
    return feature_loss_parts(decoded, original, check_features(decoded, original, mask)).cepstrum


def loss_of_pitch(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pitch part ``[...]`` of the feature loss, >= 0; as :func:`loss_of_cepstrum`."""
    return feature_loss_parts(decoded, original, check_features(decoded, original, mask)).pitch


def loss_of_correlation(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Part ``[...]`` of the feature loss that the frame correlation costs, >= 0; as :func:`loss_of_cepstrum`."""
    return feature_loss_parts(decoded, original, check_features(decoded, original, mask)).voicing
