"""Losses on the semantic read-outs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aether_lite.losses.semantic import normalised_energy, pitch_weight, semantic_loss
from aether_lite.spi import Semantics


def perfect(features: Tensor, energy: Tensor) -> Semantics:
    return Semantics(features[..., 18], 40 * (features[..., 19] - 0.1).sign(), energy)


def test_semantic_loss_of_known_errors(feature_batch: tuple[Tensor, Tensor]) -> None:
    features = feature_batch[1]
    energy = normalised_energy(features)
    right = perfect(features, energy)
    assert semantic_loss(right, features, energy).max() < 1e-9
    off = Semantics(right.pitch + 0.1, torch.zeros_like(energy), energy - 0.2)
    expected = 0.1 * pitch_weight(features).mean(-1) + math.log(2) + 0.2
    assert (semantic_loss(off, features, energy) - expected).abs().max() < 1e-9


@pytest.mark.parametrize("part", ["pitch", "voicing_logit", "energy"])
def test_every_read_out_gets_a_gradient(part: str, feature_batch: tuple[Tensor, Tensor]) -> None:
    decoded, features = feature_batch
    read = perfect(decoded, normalised_energy(decoded))
    values = {name: getattr(read, name).detach().clone() for name in ("pitch", "voicing_logit", "energy")}
    values["voicing_logit"] /= 40
    values[part].requires_grad_()
    semantic_loss(Semantics(**values), features, normalised_energy(features)).sum().backward()
    gradient = values[part].grad
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).float().mean() > 0.99
