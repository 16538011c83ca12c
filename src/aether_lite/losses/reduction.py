"""Batch ratios and masked means that do not depend on how the batch is spread over ranks.

On R ranks, a loss of the joined batch is ``L = sum_r N_r / sum_r D_r``, with ``N_r`` the numerator over the items of
rank r (differentiable) and ``D_r`` its denominator (frames counted, energy of the target: no gradient). Data-parallel
training averages gradients over ranks, so each rank contributes::

    L_r = N_r / ((1/R) sum_q D_q),    (1/R) sum_r L_r = L,    (1/R) sum_r grad L_r = grad L

Only the denominators cross ranks. They do so through ``reduce``: a function that returns the sum over all ranks of a
small tensor, without gradient and leaving its argument unchanged (an all-reduce of a clone); :func:`alone`, the
identity, is one rank. Every rank calls it the same number of times in the same order, whatever its data. A rank's own
``L_r`` is not the loss of its items; only the mean over ranks means something.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]


def alone(total: Tensor) -> Tensor:
    """The sum over ranks where there is one rank."""
    return total


def joined_ratio(numerator: Tensor, denominator: Tensor, reduce: Reduce = alone) -> Tensor:
    """This rank's share of ratios over the joined batch ``[...]``; 0, with a zero gradient, where a denominator is 0.

    Args:
        numerator: ``[...]``, sums over this rank's items; differentiable.
        denominator: ``[...]``, at least 0, of the same shape; used without gradient.
        reduce: sum over ranks; called once.
    """
    if numerator.shape != denominator.shape:
        raise ValueError(f"numerator {tuple(numerator.shape)} and denominator {tuple(denominator.shape)} must agree")
    dtype = torch.promote_types(numerator.dtype, torch.float32)
    own = denominator.detach().to(dtype).reshape(-1)
    joined = reduce(torch.cat((own, own.new_ones(1))))
    mean = (joined[:-1] / joined[-1]).reshape(numerator.shape)
    counts = mean > 0
    return torch.where(counts, numerator, 0) / torch.where(counts, mean, 1)


def joined_mean(
    values: Tensor, counted: Tensor | None = None, weight: Tensor | None = None, reduce: Reduce = alone
) -> Tensor:
    """This rank's share of ``sum_i weight_i counted_i values_i / sum_i counted_i`` over the joined batch, a scalar.

    Args:
        values: ``[B]`` or ``[B, F]``.
        counted: of the same shape, boolean or 0..1; None counts all. Entries with 0 may hold anything.
        weight: of each item ``[B]``; None is 1. Weights scale entries, they do not normalise.
        reduce: sum over ranks; called once.
    """
    counted = torch.ones_like(values) if counted is None else counted.to(values.dtype)
    kept = torch.where(counted > 0, values, 0) * counted
    if weight is not None:
        kept = kept * weight.reshape(-1, *[1] * (values.ndim - 1))
    return joined_ratio(kept.sum(), counted.sum(), reduce)
