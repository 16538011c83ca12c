"""Adversarial losses, and the balance that keeps them from taking over.

With D the scores of one discriminator, means over patches and items, and means over discriminators:

=============  ===================================================  ======================
kind           discriminators minimise                              the vocoder minimises
=============  ===================================================  ======================
least squares  ``0.5 [mean D(fake)^2 + mean (1-D(real))^2]``        ``mean (1-D(fake))^2``
hinge          ``mean max(0, 1+D(fake)) + mean max(0, 1-D(real))``  ``-mean D(fake)``
=============  ===================================================  ======================

Least squares are FARGAN's (X. Mao et al., ICCV 2017); the hinge (J. H. Lim and J. C. Ye, "Geometric GAN", 2017) wants
discriminators whose scores are not bounded by a sigmoid. Items weigh alike whatever the batch of a rank: each loss
reduces the number of items as :mod:`aether_lite.losses.reduction` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import torch
from torch import Tensor

from aether_lite.losses.reduction import Reduce, alone, joined_mean
from aether_lite.vocoder.discriminators import DiscriminatorOutput

Outputs = Sequence[DiscriminatorOutput]
FEATURE_MATCHING_SCALE = 4.0  # Opus, FARGAN stage 2: each map weighs 4 / (discriminators * layers)


class GanLoss(StrEnum):
    """Kinds of adversarial loss."""

    LEAST_SQUARES = "least-squares"
    HINGE = "hinge"


def discriminator_loss(
    real: Outputs, fake: Outputs, kind: GanLoss = GanLoss.LEAST_SQUARES, reduce: Reduce = alone
) -> Tensor:
    """What the discriminators minimise: a scalar, at least 0.

    Args:
        real: outputs for speech, one per discriminator.
        fake: outputs for the vocoder's audio, detached from the vocoder.
        kind: of loss.
        reduce: sum over ranks; called once.
    """
    _check(real, fake)
    if kind is GanLoss.HINGE:
        terms = [_item_mean((1 + f.score).relu()) + _item_mean((1 - r.score).relu()) for r, f in _pairs(real, fake)]
    else:
        terms = [
            0.5 * (_item_mean(f.score.square()) + _item_mean((1 - r.score).square())) for r, f in _pairs(real, fake)
        ]
    return joined_mean(torch.stack(terms).mean(0), reduce=reduce)


def generator_loss(fake: Outputs, kind: GanLoss = GanLoss.LEAST_SQUARES, reduce: Reduce = alone) -> Tensor:
    """What the vocoder minimises: a scalar; at least 0 with least squares, unbounded with the hinge.

    Args:
        fake: outputs for the vocoder's audio, one per discriminator.
        kind: of loss.
        reduce: sum over ranks; called once.
    """
    if not fake:
        raise ValueError("there must be at least one discriminator")
    error: Callable[[Tensor], Tensor] = torch.neg if kind is GanLoss.HINGE else lambda score: (1 - score).square()
    return joined_mean(torch.stack([_item_mean(error(f.score)) for f in fake]).mean(0), reduce=reduce)


def feature_matching_loss(real: Outputs, fake: Outputs, reduce: Reduce = alone) -> Tensor:
    """``sum over maps of 4 / (discriminators * layers) mean |fake - real|``: a scalar, at least 0.

    Args:
        real: outputs for the aligned speech; no gradient flows to them. Take them before the discriminators learn.
        fake: outputs for the vocoder's audio.
        reduce: sum over ranks; called once.
    """
    _check(real, fake)
    terms = []
    for r, f in _pairs(real, fake):
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


def _item_mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)


def _check(real: Outputs, fake: Outputs) -> None:
    if len(real) != len(fake) or not real:
        raise ValueError(f"one verdict per discriminator on each side, not {len(real)} and {len(fake)}")


def _pairs(real: Outputs, fake: Outputs) -> zip[tuple[DiscriminatorOutput, DiscriminatorOutput]]:
    return zip(real, fake, strict=True)
