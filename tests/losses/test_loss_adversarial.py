"""Adversarial losses with known scores, their gradients, and the balance."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aether_lite.losses.adversarial import (
    balanced_gradient,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    gradient_balance,
)
from aether_lite.vocoder.discriminators import DiscriminatorOutput, SpectrogramDiscriminators


def outputs(*scores: float, level: float = 0.0) -> list[DiscriminatorOutput]:
    """One discriminator a score, each with two maps of one level."""
    return [
        DiscriminatorOutput(
            torch.full((2, 1, 3, 4), score), (torch.full((2, 5, 3, 4), level), torch.full((2, 7, 3, 2), level))
        )
        for score in scores
    ]


def test_least_squares_of_known_scores() -> None:
    assert discriminator_loss(outputs(1.0, 1.0), outputs(0.0, 0.0)) == 0
    assert discriminator_loss(outputs(0.5, 1.0), outputs(0.5, 1.0)).item() == pytest.approx((0.25 + 0.5) / 2)
    assert generator_loss(outputs(0.5, 1.0)).item() == pytest.approx(0.125)


def test_feature_matching_weighs_every_map_alike() -> None:
    real, fake = outputs(0.0, 0.0, 0.0, level=1.0), outputs(0.0, 0.0, 0.0, level=1.25)
    assert feature_matching_loss(real, fake).item() == pytest.approx(4 * 0.25)
    fake[0] = DiscriminatorOutput(fake[0].score, (real[0].hidden[0], real[0].hidden[1] + 3.0))
    assert feature_matching_loss(real, fake).item() == pytest.approx(4 / (3 * 2) * (3.0 + 4 * 0.25))


def test_gradients_reach_whom_they_should() -> None:
    torch.manual_seed(0)
    judge = SpectrogramDiscriminators((64, 2048))
    speech = 0.1 * torch.randn(2, 1600)
    output = (0.1 * torch.randn(2, 1600)).requires_grad_()

    discriminator_loss(judge(speech), judge(output.detach())).backward()
    assert output.grad is None
    for name, parameter in judge.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
    for loss in (generator_loss(judge(output)), feature_matching_loss(judge(speech), judge(output))):
        gradient = torch.autograd.grad(loss, output)[0]
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.9


def test_discriminators_learn_to_tell_tone_from_noise() -> None:
    torch.manual_seed(0)
    network = SpectrogramDiscriminators((64, 128))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    time = torch.arange(1600) / 16000
    for _ in range(25):
        real = 0.3 * torch.cos(2 * math.pi * 200 * time + 6.3 * torch.rand(4, 1))
        loss = discriminator_loss(network(real), network(0.2 * torch.randn(4, 1600)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.25


def test_balance_limits_the_adversarial_gradient() -> None:
    own, other = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 100.0])
    assert gradient_balance(own, other, 0.5).item() == pytest.approx(0.025)
    assert gradient_balance(own, other / 100, 0.5) == 1
    assert gradient_balance(0 * own, other, 0.5) == 0
    assert gradient_balance(own, 0 * other, 0.5) == 1
    assert gradient_balance(own, other, 0.0) == 0
    with pytest.raises(ValueError, match="must agree"):
        gradient_balance(own, torch.zeros(3), 0.5)


def test_balanced_gradient_is_what_two_passes_would_give() -> None:
    torch.manual_seed(0)
    weight = torch.randn(50, requires_grad=True)
    output = torch.tanh(weight * torch.linspace(0.1, 1, 50))

    def losses(at: Tensor) -> tuple[Tensor, Tensor]:
        return (at - 0.3).square().sum(), 40 * at.sin().sum()

    gradient, scale = balanced_gradient(*losses(output), output, 0.7)
    assert weight.grad is None
    own, other = (torch.autograd.grad(loss, output, retain_graph=True)[0] for loss in losses(output))
    assert (scale * other).norm().item() == pytest.approx(0.7 * own.norm().item(), rel=1e-5)
    reconstruction, adversarial = losses(output)
    expected = torch.autograd.grad(reconstruction + scale * adversarial, weight, retain_graph=True)[0]
    output.backward(gradient)
    assert torch.allclose(weight.grad, expected, rtol=1e-5)


def test_as_many_outputs_on_each_side() -> None:
    with pytest.raises(ValueError, match="not 2 and 1"):
        discriminator_loss(outputs(1.0, 1.0), outputs(0.0))
    with pytest.raises(ValueError, match="at least one"):
        generator_loss([])
