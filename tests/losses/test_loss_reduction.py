"""Losses of the joined batch, however it is spread over ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from aether_lite.losses.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    gradient_balance,
)
from aether_lite.losses.f0 import f0_audio_loss, f0_correlation_loss, f0_spread_loss
from aether_lite.losses.reduction import Reduce, alone, joined_mean, joined_ratio
from aether_lite.losses.semantic import silence_loss
from aether_lite.losses.spectral import log_mel_loss, stft_losses
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators

SPLITS = [(2, 2), (1, 1, 1, 1), (1, 3)]
SIZES = (1280, 160)
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 1.5], dtype=torch.float64)

OverRanks = Callable[..., tuple[Tensor, Tensor]]


def assert_same_on_ranks(
    over_ranks: OverRanks, loss: Callable[[Sequence[Tensor], Reduce], Tensor], inputs: Sequence[Tensor]
) -> None:
    value, gradient = over_ranks(loss, inputs, (len(inputs[0]),))
    assert gradient.abs().sum() > 0
    for split in SPLITS:
        split_value, split_gradient = over_ranks(loss, inputs, split)
        assert (split_value - value).abs() < 1e-10
        assert (split_gradient - gradient).abs().max() < 1e-10, split


def flatten_pitch(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The decoded contour at a third of its spread, so that the spread loss acts."""
    decoded = pair[0].clone()
    decoded[..., 18] /= 3
    return decoded, pair[1]


FEATURE_LOSSES = {
    "correlation": lambda p, r: f0_correlation_loss(p[0], p[1], p[2], r),
    "spread": lambda p, r: f0_spread_loss(p[0], p[1], p[2], r),
    "silence": lambda p, r: silence_loss(p[0], p[1], p[2], reduce=r),
}
AUDIO_LOSSES = {
    "stft root": lambda p, r: stft_losses(p[0], p[1], SIZES, r).root,
    "stft log": lambda p, r: stft_losses(p[0], p[1], SIZES, r).log,
    "stft convergence": lambda p, r: stft_losses(p[0], p[1], SIZES, r).convergence,
    "log mel": lambda p, r: log_mel_loss(p[0], p[1], r),
}


@pytest.mark.parametrize("name", FEATURE_LOSSES)
def test_feature_losses_do_not_depend_on_ranks(
    name: str, feature_batch: tuple[Tensor, Tensor], over_ranks: OverRanks
) -> None:
    assert_same_on_ranks(over_ranks, FEATURE_LOSSES[name], (*flatten_pitch(feature_batch), WEIGHT))


@pytest.mark.parametrize("name", AUDIO_LOSSES)
def test_audio_losses_do_not_depend_on_ranks(
    name: str, audio_batch: tuple[Tensor, Tensor], over_ranks: OverRanks
) -> None:
    assert_same_on_ranks(over_ranks, AUDIO_LOSSES[name], audio_batch)


def test_audio_f0_loss_does_not_depend_on_ranks(audio_batch: tuple[Tensor, Tensor], over_ranks: OverRanks) -> None:
    pitch = torch.full((4, 20), -0.2, dtype=torch.float64)
    voiced = torch.rand(4, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64) > 0.5
    inputs = (audio_batch[0], pitch, voiced)
    assert_same_on_ranks(over_ranks, lambda p, r: f0_audio_loss(p[0], p[1], p[2], reduce=r), inputs)


def test_adversarial_losses_do_not_depend_on_ranks(
    audio_batch: tuple[Tensor, Tensor], over_ranks: OverRanks
) -> None:
    torch.manual_seed(0)
    judge = SpectrogramDiscriminators((64, 256)).double()
    inputs = tuple(audio[:, :800] for audio in audio_batch)
    losses = [
        lambda p, r: generator_loss(judge(p[0]), r),
        lambda p, r: discriminator_loss(judge(p[1]), judge(p[0]), r),
        lambda p, r: feature_matching_loss(judge(p[1]), judge(p[0]), r),
    ]
    for loss in losses:
        assert_same_on_ranks(over_ranks, loss, inputs)


@pytest.mark.parametrize("split", SPLITS)
def test_gradient_balance_does_not_depend_on_ranks(split: tuple[int, ...]) -> None:
    own, other = torch.randn(2, 4, 100, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    other = 7 * other
    expected = gradient_balance(own, other, 0.5)
    assert 0 < expected < 1
    parts = list(zip(own.split(split), other.split(split), strict=True))
    sent: list[Tensor] = []
    for a, b in parts:
        gradient_balance(a, b, 0.5, lambda t: sent.append(t) or t)  # type: ignore[func-returns-value]
    for a, b in parts:
        assert (gradient_balance(a, b, 0.5, lambda _: torch.stack(sent).sum(0)) - expected).abs() < 1e-12


def test_mean_counts_what_is_counted() -> None:
    values = torch.tensor([[1.0, float("nan")], [3.0, 5.0]], requires_grad=True)
    counted = torch.tensor([[True, False], [True, True]])
    mean = joined_mean(values, counted, torch.tensor([1.0, 2.0]))
    assert mean == (1 + 2 * (3 + 5)) / 3
    mean.backward()
    assert torch.equal(values.grad, torch.tensor([[1.0, 0.0], [2.0, 2.0]]) / 3)


def test_nothing_counted_gives_zero_with_a_graph() -> None:
    values = torch.ones(3, requires_grad=True)
    mean = joined_mean(values, torch.zeros(3))
    assert mean == 0
    mean.backward()
    assert torch.equal(values.grad, torch.zeros(3))


def test_ratio_wants_matching_shapes() -> None:
    assert torch.equal(joined_ratio(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 0.0]), alone), torch.tensor([0.5, 0]))
    with pytest.raises(ValueError, match="must agree"):
        joined_ratio(torch.ones(2), torch.ones(3))
