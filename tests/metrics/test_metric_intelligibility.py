"""Intelligibility: range, order, and what happens without the optional package."""

import importlib.util

import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.metrics import available, estoi

needs_pystoi = pytest.mark.skipif(not available("estoi"), reason="pystoi is not installed")


def babble(seconds: float) -> torch.Tensor:
    """``[2, N]``: noise whose level rises and falls some four times a second."""
    time = torch.arange(round(16_000 * seconds)) / 16_000
    noise = torch.randn(2, len(time), generator=torch.Generator().manual_seed(0))
    return 0.1 * noise * (1.1 + torch.sin(2 * torch.pi * 4 * time))


@needs_pystoi
def test_estoi_is_one_for_the_same_and_falls_with_noise():
    original = babble(1.5)
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    scores = [estoi(original + level * noise, original) for level in (0.0, 0.05, 0.5)]
    assert scores[0].shape == (2,)
    torch.testing.assert_close(scores[0], torch.ones(2), atol=1e-4, rtol=0)
    assert (scores[0] > scores[1]).all()
    assert (scores[1] > scores[2]).all()
    assert estoi(original[0], original[0]).shape == ()


@needs_pystoi
def test_estoi_of_a_clip_too_short_is_nan():
    assert estoi(babble(0.2), babble(0.2)).isnan().all()
    assert estoi(torch.zeros(1, 100), torch.zeros(1, 100)).isnan().all()


@needs_pystoi
def test_estoi_is_what_the_package_says():
    from pystoi import stoi

    original = babble(1.5)
    decoded = original + 0.05 * torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    wanted = [
        stoi(o.double().numpy(), d.double().numpy(), 16_000, extended=True)
        for o, d in zip(original, decoded, strict=True)
    ]
    assert estoi(decoded, original).tolist() == pytest.approx(wanted, abs=1e-6)


@needs_pystoi
def test_estoi_of_a_mute_link_is_low_and_the_same_each_time():
    original = babble(1.5)
    scores = [estoi(torch.zeros_like(original), original) for _ in range(2)]
    assert scores[0].equal(scores[1])
    assert (scores[0].abs() < 0.1).all()
    assert estoi(original, torch.zeros_like(original)).isnan().all()


@needs_pystoi
def test_estoi_needs_aligned_signals():
    with pytest.raises(ValueError, match=r"\(2, 8000\) and \(2, 16000\)"):
        estoi(babble(0.5), babble(1.0))


def test_estoi_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not available("estoi")
    with pytest.raises(AetherError, match=r"pip install '\.\[eval\]'"):
        estoi(babble(1.0), babble(1.0))
