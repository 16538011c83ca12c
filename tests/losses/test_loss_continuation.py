"""The continuation loss on signals with a known answer and on speech."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from aether_lite.losses.adversarial import CONTINUED, continuation_loss


def test_equal_turned_and_orthogonal_signals_cost_0_2_and_1() -> None:
    time = torch.arange(CONTINUED) / 16000
    sine, cosine = (f(2 * math.pi * 500 * time)[None] for f in (torch.sin, torch.cos))
    assert float(continuation_loss(sine, 0.3 * sine)) == pytest.approx(0, abs=1e-6)
    assert float(continuation_loss(sine, -sine)) == pytest.approx(2, abs=1e-6)
    assert float(continuation_loss(sine, cosine)) == pytest.approx(1, abs=1e-5)
    assert float(continuation_loss(torch.cat((sine, -sine)), torch.cat((sine, sine)))) == pytest.approx(1, abs=1e-6)


def test_only_the_first_10_ms_count(speech: Tensor) -> None:
    original = speech[16000:16800].reshape(1, -1)
    made = original.clone()
    made[:, CONTINUED:] = torch.randn(1, 640, generator=torch.Generator().manual_seed(0))
    assert float(continuation_loss(made, original)) == pytest.approx(0, abs=1e-6)
    made[:, CONTINUED - 1] += 1
    assert float(continuation_loss(made, original)) > 0.1


def test_the_gradient_turns_towards_the_original(speech: Tensor) -> None:
    original = speech[16000:16160].reshape(1, -1)
    made = (0.1 * torch.randn(1, 160, generator=torch.Generator().manual_seed(0))).requires_grad_()
    before = continuation_loss(made, original)
    (gradient,) = torch.autograd.grad(before, made)
    after = continuation_loss(made - 0.01 * gradient / gradient.norm(), original)
    assert float(after.detach()) < float(before.detach())


def test_silence_has_a_finite_gradient() -> None:
    made = torch.zeros(2, 160, requires_grad=True)
    loss = continuation_loss(made, torch.zeros(2, 160))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1)
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_ranks_average_to_the_joined_batch(speech: Tensor) -> None:
    original = speech[: 4 * 800].reshape(4, -1) + 1e-3
    made = original.roll(3, 1)
    sums: list[Tensor] = []

    def recorded(value: Tensor) -> Tensor:
        sums.append(value)
        return value

    whole = continuation_loss(made, original)
    parts: Sequence[slice] = (slice(0, 1), slice(1, 4))
    for part in parts:
        continuation_loss(made[part], original[part], recorded)
    total = sums[0] + sums[1]
    joined: Callable[[Tensor], Tensor] = lambda _: total  # noqa: E731
    mean = sum(float(continuation_loss(made[part], original[part], joined)) for part in parts) / 2
    assert mean == pytest.approx(float(whole), abs=1e-6)


@pytest.mark.parametrize(("made", "original"), [((1, 159), (1, 159)), ((160,), (160,)), ((1, 160), (2, 160))])
def test_wrong_shapes_are_refused(made: tuple[int, ...], original: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="audio must both be"):
        continuation_loss(torch.zeros(made), torch.zeros(original))
