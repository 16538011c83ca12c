"""Discriminators: sizes of the specification, shapes, and independence of items."""

from __future__ import annotations

import pytest
import torch

from aether_lite.vocoder.discriminators import (
    SPECTROGRAM_SIZES,
    NormedConv2d,
    SpectrogramDiscriminator,
    SpectrogramDiscriminators,
)

PARAMETERS = (11_124, 35_588, 102_308, 252_900, 404_068, 404_068)
BINS = (30, 60, 119, 237, 474, 948)
CHANNELS = (
    (16, 16, 16, 16, 16),
    (16, 32, 32, 32, 32),
    (16, 32, 64, 64, 64),
    (16, 32, 64, 128, 128),
    (16, 32, 64, 128, 256),
    (16, 32, 64, 128, 256),
)


def test_spectrogram_discriminators_have_the_specified_sizes() -> None:
    networks = SpectrogramDiscriminators()
    counts = tuple(sum(p.numel() for p in network.parameters()) for network in networks.discriminators)
    assert counts == PARAMETERS
    assert sum(counts) == 1_210_056
    for network, verdict, bins, channels in zip(
        networks.discriminators, networks(0.1 * torch.randn(2, 2048)), BINS, CHANNELS, strict=True
    ):
        assert network.bins == bins
        assert tuple(hidden.shape[1] for hidden in verdict.hidden) == channels
        assert verdict.score.shape == (2, 1, 30, 1 + 2048 // (network.size // 4))
        assert 0 <= verdict.score.min() <= verdict.score.max() <= 1


def test_parameters_are_named_as_in_public_checkpoints() -> None:
    names = set(SpectrogramDiscriminators().state_dict())
    assert names == {
        f"discriminators.{i}.layers.{j}.1.{part}"
        for i in range(6)
        for j in range(6)
        for part in ("weight_g", "weight_v", "bias")
    }


@pytest.mark.parametrize("size", [64, 2048])
def test_receptive_field_is_13_frames(size: int) -> None:
    network = SpectrogramDiscriminator(size)
    plane = torch.randn(1, 1, network.bins, 41, requires_grad=True)
    x = plane
    for layer in network.layers:
        x = layer(x)  # without ReLU: what could be seen
    x[..., 20].sum().backward()
    seen = plane.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (seen.min(), seen.max()) == (14, 26)


def test_items_are_judged_alone() -> None:
    networks = SpectrogramDiscriminators(SPECTROGRAM_SIZES[:4])
    audio = torch.randn(3, 1600) * torch.tensor([[1.0], [1e-4], [0.1]])
    for together, alone in zip(networks(audio), networks(audio[1:2]), strict=True):
        assert (together.score[1] - alone.score[0]).abs().max() < 1e-4


def test_spectrogram_is_in_decibels_with_a_range_of_80() -> None:
    network = SpectrogramDiscriminator(512)
    tone = torch.cos(2 * torch.pi * 1000 * torch.arange(4000) / 16000)[None]
    level = network.spectrogram(tone)
    assert level.amax().item() == pytest.approx(20 * torch.log10(torch.tensor(128.0)).item(), abs=0.1)
    assert level.amax() - level.amin() == pytest.approx(80, abs=1e-3)
    assert network.spectrogram(torch.zeros(1, 4000)).unique().tolist() == [-100.0]


def test_weight_norm_fixes_the_length_of_each_output() -> None:
    conv = NormedConv2d(3, 4, (3, 3), (1, 1), (1, 1))
    x = torch.randn(1, 3, 8, 8)
    before = conv(x)
    with torch.no_grad():
        conv.weight_v *= 5
    assert torch.allclose(conv(x), before, atol=1e-5)
    with torch.no_grad():
        conv.weight_g *= 2
        conv.bias *= 2
    assert torch.allclose(conv(x), 2 * before, atol=1e-5)


def test_unknown_size_is_refused() -> None:
    with pytest.raises(ValueError, match="100"):
        SpectrogramDiscriminator(100)
