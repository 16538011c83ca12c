"""Losses of vocoded audio by discriminators, the balance of their gradient, and continuity after known samples.

With D the scores of one discriminator, means over patches and items, and means over discriminators, the least squares
of FARGAN (X. Mao et al., ICCV 2017)::

    discriminators minimise  0.5 [mean D(fake)^2 + mean (1 - D(real))^2],  the vocoder  mean (1 - D(fake))^2

Items weigh alike whatever the batch of a rank: each loss reduces the number of items as
:mod:`aether_lite.losses.reduction` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.losses.reduction import Reduce, alone, joined_mean
from aether_lite.losses.registry import GAN, GanInputs
from aether_lite.vocoder.discriminators import DiscriminatorOutput

Outputs = Sequence[DiscriminatorOutput]
FEATURE_MATCHING_SCALE = 4.0  # Opus, FARGAN stage 2: each map weighs 4 / (discriminators * layers)
CONTINUED = 160  # samples (10 ms) that are compared after known ones


def discriminator_loss(real: Outputs, fake: Outputs, reduce: Reduce = alone) -> Tensor:
    """What the discriminators minimise: a scalar, at least 0.

    Args:
        real: outputs for speech, one per discriminator.
        fake: outputs for the vocoder's audio, detached from the vocoder.
        reduce: sum over ranks; called once.
    """
    _check(real, fake)
    terms = [
        0.5 * (_item_mean(f.score.square()) + _item_mean((1 - r.score).square()))
        for r, f in zip(real, fake, strict=True)
    ]
    return joined_mean(torch.stack(terms).mean(0), reduce=reduce)


def generator_loss(fake: Outputs, reduce: Reduce = alone) -> Tensor:
    """What the vocoder minimises, from the outputs for its audio: a scalar, at least 0; ``reduce`` is called once."""
    if not fake:
        raise ValueError("there must be at least one discriminator")
    return joined_mean(torch.stack([_item_mean((1 - f.score).square()) for f in fake]).mean(0), reduce=reduce)


def feature_matching_loss(real: Outputs, fake: Outputs, reduce: Reduce = alone) -> Tensor:
    """``sum over maps of 4 / (discriminators * layers) mean |fake - real|``: a scalar, at least 0.

    Args:
        real: outputs for the aligned speech; no gradient flows to them. Take them before the discriminators learn.
        fake: outputs for the vocoder's audio.
        reduce: sum over ranks; called once.
    """
    _check(real, fake)
    terms = []
    for r, f in zip(real, fake, strict=True):
        maps = [_item_mean((a - b.detach()).abs()) for a, b in zip(f.hidden, r.hidden, strict=True)]
        terms.append(torch.stack(maps).mean(0))
    return FEATURE_MATCHING_SCALE * joined_mean(torch.stack(terms).mean(0), reduce=reduce)


def gradient_balance(reconstruction: Tensor, adversarial: Tensor, ratio: float, reduce: Reduce = alone) -> Tensor:
    """Factor in 0..1 that brings the adversarial gradient down to ``ratio`` times the reconstruction gradient.

    ``min(1, ratio |g_rec| / |g_adv|)``, with Euclidean norms over all ranks (cf. the loss balancer of EnCodec,
    A. Defossez et al., 2022). 0 where there is no reconstruction gradient, 1 where there is no adversarial one.

    Args:
        reconstruction, adversarial: gradients of the two losses with respect to the same tensor, such as the vocoder's
            output ``[B, N]``, on this rank.
        ratio: largest share, at least 0.
        reduce: sum over ranks; called once.

    Raises:
        ValueError: shapes that differ, or a negative ratio.
    """
    if reconstruction.shape != adversarial.shape or ratio < 0:
        raise ValueError(
            f"gradients must agree and the ratio not be negative, not {tuple(reconstruction.shape)}, "
            f"{tuple(adversarial.shape)} and {ratio}"
        )
    dtype = torch.promote_types(reconstruction.dtype, torch.float32)
    norms = [torch.linalg.vector_norm(g.detach(), dtype=dtype).square() for g in (reconstruction, adversarial)]
    allowed, found = reduce(torch.stack(norms)).sqrt().unbind()
    return torch.where(found > ratio * allowed, ratio * allowed / torch.where(found > 0, found, 1), 1)


def balanced_gradient(
    reconstruction: Tensor, adversarial: Tensor, at: Tensor, ratio: float, reduce: Reduce = alone
) -> tuple[Tensor, Tensor]:
    """Gradient of ``reconstruction + s adversarial`` with respect to ``at``, and s of :func:`gradient_balance`.

    The graph from ``at`` back to the parameters is kept and not entered: go on with ``at.backward(gradient)``, or with
    the backward pass of ``(at * gradient).sum()`` as part of a loss. The discriminators' parameters get no gradient.

    Args:
        reconstruction, adversarial: scalar losses that depend on ``at``.
        at: an intermediate tensor, such as the vocoder's output ``[B, N]``.
        ratio: largest share of the adversarial gradient.
        reduce: sum over ranks; called once.
    """
    own = torch.autograd.grad(reconstruction, at, retain_graph=True)[0]
    other = torch.autograd.grad(adversarial, at, retain_graph=True)[0]
    scale = gradient_balance(own, other, ratio, reduce)
    return own + scale.to(other.dtype) * other, scale


def continuation_loss(made: Tensor, original: Tensor, reduce: Reduce = alone) -> Tensor:
    """``1 - cosine similarity`` of the first 10 ms after known samples, mean over items: a scalar in 0..2.

    The waveform that a vocoder makes need not be the original's, but right after known samples, which fix the phase of
    every harmonic, it must be. Opus, FARGAN stage 1.

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


@GAN.term("adversarial", 1.0)
def _adversarial_term(given: GanInputs) -> Tensor:
    return generator_loss(given.made, given.reduce)


@GAN.term("feature_matching", 1.0)
def _matching_term(given: GanInputs) -> Tensor:
    return feature_matching_loss(given.real, given.made, given.reduce)


def _item_mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)


def _check(real: Outputs, fake: Outputs) -> None:
    if len(real) != len(fake) or not real:
        raise ValueError(f"one output per discriminator on each side, not {len(real)} and {len(fake)}")
