"""Augmentation: what it draws, what it does to samples, and that features follow the audio."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.data.augment import Augmentation, Change
from aether_lite.data.corpus import Corpus
from aether_lite.features import extract_features

ITEMS = range(6)
NOTHING = Augmentation(share=1.0, gain_db=(0.0, 0.0), faint=0.0, silent=0.0, inverted=0.0, filtered=0.0, noisy=0.0)


def test_augmented_crops_are_a_function_of_seed_step_and_item(data_root):
    corpus = Corpus([data_root], augmentation=Augmentation())
    one = corpus.batch(1, 5, ITEMS, 64)
    torch.testing.assert_close(corpus.batch(1, 5, list(reversed(ITEMS)), 64).flip(0), one, rtol=0, atol=0)
    features, _ = corpus.batch_with_audio(1, 5, ITEMS, 64)
    torch.testing.assert_close(features, one, rtol=0, atol=0)


def test_features_are_those_of_the_changed_audio(data_root):
    corpus = Corpus([data_root], augmentation=Augmentation(share=1.0, silent=0.0))
    features, audio = corpus.batch_with_audio(0, 0, ITEMS, 90)
    untouched, original = Corpus([data_root]).batch_with_audio(0, 0, ITEMS, 90)
    for rows, signal, before, old in zip(features, audio, untouched, original, strict=True):
        again = extract_features(signal.numpy())
        np.testing.assert_allclose(again[1:, :18], rows.numpy()[1:, :18], atol=1e-4)
        assert not torch.allclose(signal, old)
        # Gain and filter leave the pitch alone, where there is one that noise does not hide.
        voiced = (rows[:, 19] > 0.3) & (before[:, 19] > 0.3)
        assert ((rows[voiced, 18] - before[voiced, 18]).abs() < 0.02).float().mean() > 0.8


def test_a_change_of_nothing_gives_the_stored_features(data_root):
    stored = Corpus([data_root]).batch(0, 0, range(12), 90)
    recomputed = Corpus([data_root], augmentation=NOTHING).batch(0, 0, range(12), 90)
    torch.testing.assert_close(recomputed[..., :18], stored[..., :18], rtol=0, atol=1e-4)
    same = (recomputed[..., 18] - stored[..., 18]).abs() < 1e-3
    assert same.float().mean() > 0.99


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_share_of_changed_items(share):
    augmentation = Augmentation(share=share)
    changed = np.mean([augmentation.draw(0, step, item) is not None for step in range(40) for item in range(25)])
    assert abs(changed - share) < 0.05


@given(st.integers(0, 2**32), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_changed_speech_keeps_its_length_and_does_not_clip(seed, step):
    signal = np.random.default_rng(seed).uniform(-1, 1, 3200).astype(np.float32)
    change = Augmentation(share=1.0, noisy=0.0).draw(seed, step, 0)
    assert change is not None
    changed = change.apply(signal)
    assert changed.shape == signal.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1 + 1e-6


def test_gain_polarity_and_filter_are_exact():
    signal = np.random.default_rng(0).standard_normal(2000).astype(np.float32) / 100
    np.testing.assert_allclose(Change(-0.5, (0, 0), (0, 0), 0.0, 0).apply(signal), -0.5 * signal, rtol=1e-6)
    (b1, b2), (a1, a2) = (0.3, -0.375), (-0.375, -0.375)  # the slowest pole
    expected = np.zeros(len(signal))
    for n, x in enumerate(signal):
        past = [signal[n - 1] if n > 0 else 0, signal[n - 2] if n > 1 else 0]
        out = [expected[n - 1] if n > 0 else 0, expected[n - 2] if n > 1 else 0]
        expected[n] = x + b1 * past[0] + b2 * past[1] - a1 * out[0] - a2 * out[1]
    np.testing.assert_allclose(Change(1.0, (b1, b2), (a1, a2), 0.0, 0).apply(signal), expected, atol=1e-8)


def test_noise_has_its_level():
    changed = Change(0.0, (0, 0), (0, 0), 1e-3, 7).apply(np.ones(50_000, np.float32))
    assert changed.std() == pytest.approx(1e-3, rel=0.02)
