"""A gated recurrent unit that trains fast on a CPU.

``torch.nn.GRU`` unrolls on a CPU: its backward pass makes two small products a step and adds each to the gradient of
the weights. Here that gradient is one product over all steps, and what depends on no later step is done for all steps
at once. With r, z, n the gates and the candidate, g = W_hn h + b_hn its recurrent part, and d the gradient of h_t::

    h_t  = (1 - z) n + z h_{t-1},   n = tanh(W_in x + b_in + r g)
    d_n  = d (1 - z) (1 - n^2)      before the tanh
    d_g  = d_n r
    d_r  = d_n g r (1 - r)          before the sigmoid
    d_z  = d (h_{t-1} - n) z (1 - z)
    d_{t-1} = d z + (d_r, d_z, d_g) W_h

Per step only the last line and the products of d with known factors remain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Gru(nn.GRU):
    """One layer of ``torch.nn.GRU`` over ``[B, K, width]``, batch first: the same weights, names and results.

    With gradients on a CPU it runs as this file says, otherwise (and under autocast) as the parent does.

    Args:
        width: of inputs and outputs.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width, batch_first=True)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """``x [B, K, width]`` -> same shape, and the state after it ``[1, B, width]``; ``state`` None is zeros."""
        if not torch.is_grad_enabled() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            made: tuple[Tensor, Tensor] = super().forward(x, state)
            return made
        first = x.new_zeros(x.shape[0], self.hidden_size) if state is None else state[0]
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        outputs: Tensor = _Recurrence.apply(x.transpose(0, 1), first, *weights)  # type: ignore[no-untyped-call]
        return outputs.transpose(0, 1), outputs[-1:]


class _Recurrence(torch.autograd.Function):
    """``x [K, B, width]`` and the first state ``[B, width]`` to all states after it ``[K, B, width]``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        width = first.shape[1]
        x = x.contiguous()
        gates = x @ w_ih.T + b_ih  # reset, update, candidate: [K, B, 3 width]
        recurrent = torch.empty_like(gates)  # W_h h + b_h
        states = x.new_empty(len(x) + 1, *first.shape)
        states[0] = first
        both, candidates = gates[..., : 2 * width], gates[..., 2 * width :]
        turned = w_hh.T.contiguous()
        steps = zip(both, candidates, recurrent, states[:-1], states[1:], strict=True)
        for gate, candidate, said, before, after in steps:
            torch.addmm(b_hh, before, turned, out=said)
            gate.add_(said[:, : 2 * width]).sigmoid_()
            candidate.addcmul_(gate[:, :width], said[:, 2 * width :]).tanh_()
            torch.lerp(candidate, before, gate[:, width:], out=after)
        ctx.save_for_backward(x, states, gates, recurrent[..., 2 * width :], w_ih, w_hh)
        return states[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        x, states, gates, said, w_ih, w_hh = ctx.saved_tensors
        reset, update, candidate = gates.chunk(3, dim=-1)
        before = states[:-1]
        of_candidate = (1 - update) * (1 - candidate.square())
        factors = torch.stack(
            (
                of_candidate * said * reset * (1 - reset),
                (before - candidate) * update * (1 - update),
                of_candidate * reset,
            ),
            dim=2,
        )  # what d is multiplied by for the gates and g: [K, B, 3, width]
        arriving = torch.empty_like(update)  # d of every step
        inner = torch.empty_like(factors)
        carried = torch.zeros_like(states[0])
        for t in range(len(x) - 1, -1, -1):
            now = torch.add(gradient[t], carried, out=arriving[t])
            torch.mul(factors[t], now[:, None], out=inner[t])
            carried = torch.addmm(now * update[t], inner[t].flatten(1), w_hh)
        outer = torch.cat((inner[:, :, :2].flatten(2), arriving * of_candidate), dim=-1).flatten(0, 1)
        rows = inner.flatten(2).flatten(0, 1)
        return (
            (outer @ w_ih).view_as(x),
            carried,
            outer.T @ x.flatten(0, 1),
            rows.T @ before.flatten(0, 1),
            outer.sum(0),
            rows.sum(0),
        )
