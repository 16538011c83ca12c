"""Muon for the matrices of a network, AdamW for the rest.

Muon (K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024) steps along the nearest
orthogonal matrix to the momentum, so that rare directions are learned as fast as frequent ones. The orthogonal factor
comes from five Newton-Schulz iterations with the quintic published there. Steps are scaled by 0.2 sqrt(max(rows,
columns)), which gives them the root mean square of AdamW's (J. Liu and others, "Muon is scalable for LLM training",
2025): both share one learning rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
_STEP = 0.2  # root mean square of AdamW's steps
LEAST_SIDE = 9  # smaller matrices have few directions: AdamW


def orthogonalised(matrices: Tensor) -> Tensor:
    """Roughly the nearest (semi-)orthogonal matrices of ``[N, rows, columns]``; singular values 0.7 to 1.2."""
    a, b, c = _QUINTIC
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    made: Tensor = x.mT if tall else x
    return made


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
    ones of a GRU, as three.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float]) -> None:
        super().__init__([{"muon": False, **group} for group in groups], lr=lr, betas=betas)

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
        for value in group["params"]:
            if value.grad is None:
                continue
            state = self.state[value]
            if "momentum" not in state:
                state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(value)
            state["step"] += 1
            state["momentum"].lerp_(value.grad, 1 - _MOMENTUM)
            ahead = value.grad.lerp(state["momentum"], _MOMENTUM).flatten(1)  # Nesterov
            stacked = 3 if ahead.shape[0] == 3 * ahead.shape[1] else 1
            matrices = ahead.unflatten(0, (stacked, -1))
            scale = _STEP * max(matrices.shape[1:]) ** 0.5
            value.mul_(1 - group["lr"] * group["weight_decay"])
            value.add_(orthogonalised(matrices).reshape(value.shape), alpha=-group["lr"] * scale)
