"""Muon for the matrices of a network, AdamW for the rest, and the course of the learning rate.

Muon (K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024) steps along the nearest
orthogonal matrix to the momentum, so that rare directions are learned as fast as frequent ones. The orthogonal factor
comes from five Newton-Schulz iterations with the quintic published there. Steps are scaled by 0.2 sqrt(max(rows,
columns)), which gives them the root mean square of AdamW's (J. Liu and others, "Muon is scalable for LLM training",
2025): both share one learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from aether_lite.training.distributed import DistributedContext
from aether_lite.training.options import RunConfig

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_LONG = 2  # columns over rows from which iterating on the Gram matrix is less work
_MOMENTUM = 0.95
_STEP = 0.2  # root mean square of AdamW's steps
LEAST_SIDE = 9  # smaller matrices have few directions: AdamW
ADAMW_BETAS = (0.9, 0.98)
GAN_BETAS = (0.8, 0.99)  # of AdamW over discriminators; Opus, FARGAN stage 2


def orthogonalised(matrices: Tensor) -> Tensor:
    """Roughly the nearest (semi-)orthogonal matrices of ``[N, rows, columns]``; singular values 0.7 to 1.2."""
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    made = _iterated_long(x) if x.shape[2] >= _LONG * x.shape[1] else _iterated(x)
    return made.mT if tall else made


def _iterated(x: Tensor) -> Tensor:
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def _iterated_long(x: Tensor) -> Tensor:
    """The same for few rows and many columns: the iterations act on the Gram matrix, which is small.

    With Q = a + b G + c G^2 a step takes X to Q X and G = X X^T to Q G Q, where Q and G commute.
    """
    a, b, c = _QUINTIC
    gram = x @ x.mT
    unit = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    product = unit
    for iteration in range(_ITERATIONS):
        factor = a * unit + b * gram + c * gram @ gram
        product = factor @ product
        if iteration < _ITERATIONS - 1:
            gram = factor @ gram @ factor
    return product @ x


def is_matrix(name: str, value: Tensor) -> bool:
    """Whether Muon trains a weight: matrices and kernels, but not the small networks of the conditions (FiLM)."""
    return value.ndim >= 2 and min(value.flatten(1).shape) >= LEAST_SIDE and ".film" not in f".{name}"


def matrices_and_rest(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """A module's weights for Muon, and its others."""
    named = list(module.named_parameters())
    return [p for n, p in named if is_matrix(n, p)], [p for n, p in named if not is_matrix(n, p)]


class Muon(torch.optim.AdamW):
    """Groups with ``muon=True`` are trained by Muon, others by AdamW.

    Kernels are taken as ``[outputs, inputs]``; matrices with three times as many rows as columns, such as the stacked
    ones of a GRU, as three. Matrices of one shape are made orthogonal together, and where several processes train
    together (``context``; gradients are the same in all of them), each does its share.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = ADAMW_BETAS,
        context: DistributedContext | None = None,
    ) -> None:
        super().__init__([{"muon": False, **group} for group in groups], lr=lr, betas=betas)
        self._context = context

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of all groups from their gradients."""
        groups = self.param_groups
        for group in groups:
            if group["muon"]:
                self._step_matrices(group)
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step(closure)
        finally:
            self.param_groups = groups

    def _step_matrices(self, group: dict[str, Any]) -> None:
        values = [value for value in group["params"] if value.grad is not None]
        directions = self._orthogonal([self._ahead(value) for value in values])
        for value, direction in zip(values, directions, strict=True):
            scale = _STEP * max(direction.shape[1:]) ** 0.5
            value.mul_(1 - group["lr"] * group["weight_decay"])
            value.add_(direction.reshape(value.shape), alpha=-group["lr"] * scale)

    def _ahead(self, value: nn.Parameter) -> Tensor:
        """Nesterov momentum of a weight as matrices ``[N, rows, columns]``."""
        assert value.grad is not None
        state = self.state[value]
        if "momentum" not in state:
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(value)
        state["step"] += 1
        state["momentum"].lerp_(value.grad, 1 - _MOMENTUM)
        ahead = value.grad.lerp(state["momentum"], _MOMENTUM).flatten(1)
        stacked = 3 if ahead.shape[0] == 3 * ahead.shape[1] else 1
        return torch.unflatten(ahead, 0, (stacked, -1))

    def _orthogonal(self, given: list[Tensor]) -> list[Tensor]:
        """Each of the ``[N, rows, columns]`` made orthogonal, those of one shape together."""
        rank, size = (0, 1) if self._context is None else (self._context.rank, self._context.size)
        places: dict[torch.Size, list[int]] = {}
        for place, matrices in enumerate(given):
            places.setdefault(matrices.shape[1:], []).append(place)
        made = list(given)
        for alike in places.values():
            joined = torch.cat([given[place] for place in alike])
            share = slice(rank, None, size)
            result = torch.zeros_like(joined)
            result[share] = orthogonalised(joined[share])
            parts = torch.split(result, [len(given[place]) for place in alike])
            for place, part in zip(alike, parts, strict=True):
                made[place] = part
        if self._context is None or size == 1 or not made:
            return made
        together = self._context.total(torch.cat([matrices.flatten() for matrices in made]))
        pieces = torch.split(together, [matrices.numel() for matrices in made])
        return [piece.view_as(matrices) for piece, matrices in zip(pieces, made, strict=True)]


def muon_groups(module: nn.Module, config: RunConfig) -> list[dict[str, Any]]:
    """Parameter groups of a network for :class:`Muon`; vectors and biases are not decayed."""
    matrices, rest = matrices_and_rest(module)
    return [
        {"params": matrices, "weight_decay": config.weight_decay, "peak": config.learning_rate, "muon": True},
        {"params": rest, "weight_decay": 0.0, "peak": config.learning_rate},
    ]


def rate_factor(step: int, steps: int, warmup: int, final_rate: float) -> float:
    """Share of the peak learning rate at a step of ``steps``: linear rise, then a cosine to ``final_rate``."""
    rise = min(1.0, (step + 1) / max(warmup, 1))
    progress = min(step / max(steps, 1), 1.0)
    return rise * (final_rate + (1 - final_rate) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's peak learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def descend(
    optimiser: torch.optim.Optimizer, loss: Tensor, most: float, context: DistributedContext | None = None
) -> Tensor:
    """One step down a loss, its gradient scaled down to the norm ``most``; returns the norm before that.

    Gradients are averaged over the processes of ``context``; None where a wrapped network has done so.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    if context is not None:
        context.average_gradients(trained)
    norm = torch.nn.utils.clip_grad_norm_(trained, most)
    optimiser.step()
    return norm


def restore(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take over a saved state; rates, and how steps are made (recorded or not), stay as in this run.

    Raises:
        ValueError: it is the state of other parameters.
    """
    kept = ("lr", "peak", "capturable")
    own = [{name: group[name] for name in kept if name in group} for group in optimiser.param_groups]
    if len(own) != len(saved["param_groups"]):
        raise ValueError("another number of parameter groups")
    groups = [{**group, **mine} for group, mine in zip(saved["param_groups"], own, strict=True)]
    optimiser.load_state_dict({**saved, "param_groups": groups})
