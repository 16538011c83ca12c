"""Targets of the vocoder: pre-emphasised speech, cut where the feature rows lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from aether_lite.vocoder.fargan import deemphasize, emphasised_frames


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1500))
def test_frames_are_cut_around_their_rows_with_silence_beyond_the_ends(row: int, frames: int, length: int) -> None:
    speech = np.random.default_rng(length).standard_normal(length)
    around = np.concatenate((np.zeros(400), speech, np.zeros(4000)))  # sample n is at 400 + n
    emphasised = np.convolve(around, [1.0, -0.85])[: len(around)]
    start = 400 + 160 * row - 80
    found = emphasised_frames(torch.from_numpy(speech), row, frames)
    np.testing.assert_allclose(found.numpy(), emphasised[start : start + 160 * frames], atol=1e-12)


def test_items_of_a_batch_are_cut_alike(speech: Tensor) -> None:
    batch = speech[:3200].reshape(2, 1600)
    found = emphasised_frames(batch, 3, 4)
    assert found.shape == (2, 640)
    assert torch.equal(found[1], emphasised_frames(batch[1], 3, 4))


def test_deemphasis_brings_the_speech_back(speech: Tensor) -> None:
    frames = emphasised_frames(speech, 10, 100)
    start = 1600 - 80
    back = deemphasize(frames[None], speech[start - 1 : start])[0]
    assert float((back - speech[start : start + 16000]).abs().max()) < 1e-6
    assert float(frames.abs().max()) > 0.05


@pytest.mark.parametrize("row", [0, 1])
def test_the_first_row_sticks_out_by_half_a_frame(row: int) -> None:
    found = emphasised_frames(torch.ones(800), row, 1)
    assert found.shape == (160,)
    silent = 80 if row == 0 else 0
    assert torch.equal(found[:silent], torch.zeros(silent))
    assert float(found[silent]) == pytest.approx(1.0 if row == 0 else 0.15)
