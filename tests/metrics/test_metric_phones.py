"""Phones that change: the rate itself with a stand-in for the recogniser, and the recogniser where it is installed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aether_lite.metrics import METRICS, available, phone_change
from aether_lite.metrics import recognition as module


@pytest.fixture
def stand_in(monkeypatch):
    """A recogniser that reads off the first sample of a clip which phones it holds."""
    said = {0.1: "a b c d", 0.2: "a x c d e", 0.3: "", 0.4: "q r s t u v w x y z"}

    def transcribe(audio: np.ndarray, rate: int) -> SimpleNamespace:
        assert rate == 16_000
        assert np.abs(audio).max() <= 1
        return SimpleNamespace(phonemes=said[round(float(audio[0]), 1)].split())

    pytest.importorskip("jiwer")
    monkeypatch.setattr("aether_lite.optional.missing_packages", lambda modules: [])
    monkeypatch.setattr(module, "_recogniser", lambda: SimpleNamespace(transcribe_waveform=transcribe))
    monkeypatch.setattr(module, "_phones", module._recognised)


def clips(*first: float) -> torch.Tensor:
    rows = torch.rand(len(first), 4000) + 0.5
    rows[:, 0] = torch.tensor(first)
    return rows


def test_edits_over_the_phones_of_the_original(stand_in):
    changed = phone_change(clips(0.1, 0.2, 0.3, 0.4, 0.1), clips(0.1, 0.1, 0.1, 0.1, 0.3)).tolist()
    assert changed[:4] == pytest.approx([0.0, 0.5, 1.0, 1.0])  # capped at 1
    assert math.isnan(changed[4])


def test_it_is_registered_as_an_error_of_any_language():
    metric = METRICS["phone_change"]
    assert metric.higher_is_better is False
    assert (metric.low, metric.high) == (0, 1)
    assert metric.speaks("ko")


@pytest.mark.slow
@pytest.mark.skipif(not available("phone_change"), reason="hama is not installed")
def test_noise_changes_phones_and_silence_has_none(speech):
    original = torch.from_numpy(speech[:1])
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(0)) * original.std()
    quiet, loud = (float(phone_change(original + gain * noise, original)) for gain in (0.01, 3.0))
    assert quiet < 0.2 < loud
    assert float(phone_change(original, original)) == 0
    assert phone_change(original, torch.zeros_like(original)).isnan().all()
