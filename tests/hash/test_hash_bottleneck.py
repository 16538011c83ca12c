"""Thresholds at zero and the gradients through them."""

from __future__ import annotations

import math

import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.hash import KINDS, HashBottleneck, checked_kind, sharpness_at
from aether_lite.hash.bottleneck import LAST_SHARPNESS, on_sphere

every_kind = pytest.mark.parametrize("kind", KINDS)


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@every_kind
def test_bits_in_evaluation_are_signs_whatever_the_kind(kind: str) -> None:
    z = latents(2, 3, 8)
    z[0, 0, :3] = torch.tensor([0.0, -0.0, -1e-30])
    bits = HashBottleneck(kind).eval()(z)
    assert set(bits.unique().tolist()) == {-1.0, 1.0}
    assert bits[0, 0, :3].tolist() == [1.0, 1.0, -1.0]
    assert torch.equal(bits, torch.where(z >= 0, 1.0, -1.0).double())


@every_kind
@pytest.mark.parametrize("training", [False, True])
def test_nothing_but_the_token_itself_enters_its_bits(kind: str, training: bool) -> None:
    """Fixed thresholds: an offset or a scale of the other tokens changes nothing, and no state is kept."""
    bottleneck = HashBottleneck(kind).train(training)
    z = latents(4, 5, 8)
    whole = bottleneck(z)
    assert torch.equal(bottleneck(z[1:2, 2:3]), whole[1:2, 2:3])
    assert torch.equal(bottleneck(torch.cat((z[1:2], 100 + 9 * z[2:])))[0], whole[1])
    assert not list(bottleneck.state_dict())


def gradient(kind: str, z: torch.Tensor, sharpness: float = LAST_SHARPNESS) -> tuple[torch.Tensor, torch.Tensor]:
    """Values, and the gradient of a fixed combination of them."""
    bottleneck = HashBottleneck(kind).train()
    bottleneck.sharpness = sharpness
    z = z.clone().requires_grad_()
    values = bottleneck(z)
    weight = torch.arange(1.0, z.shape[-1] + 1, dtype=z.dtype)
    (found,) = torch.autograd.grad((weight * values).sum(), z)
    return values.detach(), found


def test_sign_passes_the_gradient_through_a_saturating_curve() -> None:
    z = latents(2, 3, 6)
    values, found = gradient("sign", z)
    assert torch.allclose(values, torch.where(z >= 0, 1.0, -1.0).double(), atol=1e-12)
    assert torch.allclose(found, torch.arange(1.0, 7.0).double() * (1 - torch.tanh(z).square()))


def test_spherical_passes_the_gradient_straight_through() -> None:
    z = latents(2, 3, 6)
    values, found = gradient("spherical", z)
    assert torch.allclose(values, torch.where(z >= 0, 1.0, -1.0).double(), atol=1e-12)
    assert torch.equal(found, torch.arange(1.0, 7.0).double().expand(2, 3, 6))


def test_scaled_latents_have_unit_power_and_a_free_length() -> None:
    z = latents(2, 3, 6).requires_grad_()
    u = on_sphere(z)
    assert torch.allclose(u.square().mean(-1), torch.ones(2, 3).double())
    assert torch.equal(u >= 0, z >= 0)
    (found,) = torch.autograd.grad((torch.arange(1.0, 7.0) * u).sum(), z)
    assert torch.allclose((found * z).sum(-1), torch.zeros(2, 3).double(), atol=1e-12)
    assert torch.equal(on_sphere(torch.zeros(2, 4)), torch.zeros(2, 4))


def test_tanh_passes_its_own_gradient_and_becomes_the_sign() -> None:
    z = latents(2, 3, 6)
    values, found = gradient("tanh", z, 1.5)
    assert torch.allclose(values, torch.tanh(1.5 * z))
    assert torch.allclose(found, torch.arange(1.0, 7.0).double() * 1.5 * (1 - values.square()))
    late, _ = gradient("tanh", z, 1e4)
    assert torch.allclose(late, torch.where(z >= 0, 1.0, -1.0).double(), atol=1e-6)


def test_sharpness_rises_by_step_and_stays() -> None:
    found = [sharpness_at(step, 100) for step in (0, 50, 100, 1000)]
    assert found == pytest.approx([1.0, math.sqrt(10), 10.0, 10.0])
    assert sharpness_at(0, 0) == 10.0


def test_an_unknown_kind_is_a_stated_error() -> None:
    with pytest.raises(AetherError, match="sign, tanh, spherical"):
        checked_kind("median")
