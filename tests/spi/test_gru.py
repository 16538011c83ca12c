"""The GRU that trains fast is PyTorch's, in results and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from aether_lite.spi import Gru

WIDTH = 6


def twins() -> tuple[Gru, nn.GRU]:
    torch.manual_seed(0)
    ours, theirs = Gru(WIDTH).double(), nn.GRU(WIDTH, WIDTH, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def passed(layer: nn.GRU, x: Tensor, state: Tensor | None) -> list[Tensor]:
    """Outputs, last state, and the gradients of a mixture of both: of input, state and weights."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    state = None if state is None else state.clone().requires_grad_()
    outputs, last = layer(x, state)
    ((outputs * torch.randn_like(outputs)).sum() + (last * torch.randn_like(last)).sum()).backward()
    given = [x] if state is None else [x, state]
    gradients = [value.grad for value in (*given, *layer.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [outputs, last, *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("steps", [1, 9])
@pytest.mark.parametrize("with_state", [False, True])
def test_results_and_gradients_are_those_of_pytorch(steps: int, with_state: bool) -> None:
    x = torch.randn(3, steps, WIDTH, dtype=torch.float64)
    state = torch.randn(1, 3, WIDTH, dtype=torch.float64) if with_state else None
    for ours, theirs in zip(*(passed(layer, x, state) for layer in twins()), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradient_of_the_last_state_alone() -> None:
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    found = []
    for layer in twins():
        layer(x)[1].sum().backward()
        found.append([value.grad for value in layer.parameters()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_without_gradients_it_is_the_parent_to_the_bit() -> None:
    ours, theirs = twins()
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(ours(x)[0], theirs(x)[0])


def test_a_sequence_in_pieces_equals_the_whole() -> None:
    ours, _ = twins()
    x = torch.randn(2, 7, WIDTH, dtype=torch.float64)
    whole, last = ours(x)
    first, state = ours(x[:, :3])
    second, end = ours(x[:, 3:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole)
    torch.testing.assert_close(end, last)
