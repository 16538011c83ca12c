"""Native features: those of Python, the same bits with every set of kernels, as a stream."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aether_lite.audio import read_audio
from aether_lite.core.library import Features, Library, Model
from aether_lite.errors import AetherError
from aether_lite.features import PITCH, VOICING, condition, extract_features

CLIPS = sorted(Path(str(resources.files("aether_lite") / "assets" / "samples")).glob("*.flac"))
TOLERANCE = 1e-5
MOST_OFF = 0.001  # share of frames that choose another pitch where two are equal to rounding; unvoiced ones


def _rows(model: Model, samples: np.ndarray, conditioned: bool) -> np.ndarray:
    features = Features(model, conditioned)
    return np.concatenate([features.push(samples), features.flush()])


@pytest.mark.parametrize("conditioned", [False, True])
def test_rows_are_those_of_python(vocoder_model: Model, conditioned: bool) -> None:
    found, expected = [], []
    for clip in CLIPS:
        samples = read_audio(clip)
        found.append(_rows(vocoder_model, samples, conditioned))
        expected.append(extract_features(condition(samples) if conditioned else samples))
        assert found[-1].shape == expected[-1].shape
    ours, theirs = np.concatenate(found), np.concatenate(expected)
    difference = np.abs(ours - theirs)
    off = (difference[:, [PITCH, VOICING]] > TOLERANCE).any(axis=1)
    assert off.mean() <= MOST_OFF
    assert (theirs[off, VOICING] < 0).all()
    assert difference[~off].max() < TOLERANCE
    assert np.delete(difference, [PITCH, VOICING], axis=1).max() < TOLERANCE


def test_every_set_of_kernels_gives_the_same_bits(
    core: Library, vocoder_file: Path, kernel_sets: list[str], speech: np.ndarray
) -> None:
    rows = [_rows(Model(core, vocoder_file, name), speech[0], True) for name in kernel_sets]
    for name, made in zip(kernel_sets, rows, strict=True):
        assert made.tobytes() == rows[0].tobytes(), name


def test_pieces_of_any_size_give_the_same_rows(vocoder_model: Model, speech: np.ndarray) -> None:
    samples, features = speech[0, :8000], Features(vocoder_model, True)
    whole = _rows(vocoder_model, samples, True)
    for _ in range(2):  # the second time after a flush
        cuts = (0, 1, 1, 319, 320, 7000, 8000)
        pieces = [features.push(samples[a:b]) for a, b in pairwise(cuts)]
        assert [len(piece) for piece in pieces[:4]] == [0, 0, 0, 1]
        assert np.concatenate([*pieces, features.flush()]).tobytes() == whole.tobytes()


def test_a_saved_state_goes_on_to_the_bit(vocoder_model: Model, speech: np.ndarray) -> None:
    first, second = Features(vocoder_model, True), Features(vocoder_model, False)
    first.push(speech[0, :3001])
    second.load(first.save())
    assert second.push(speech[0, 3001:8000]).tobytes() == first.push(speech[0, 3001:8000]).tobytes()


def test_silence_costs_no_more_and_stays_silent(vocoder_model: Model) -> None:
    """After a click, filters decay to zero and never to subnormal numbers."""
    features = Features(vocoder_model, True)
    click = np.zeros(16000, np.float32)
    click[0] = 1.0
    features.push(click)
    for _ in range(4):
        rows = features.push(np.zeros(16000, np.float32))
    assert (rows[-50:] == rows[-1]).all()
    assert rows[-1, 0] == pytest.approx(-12.485, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -101.0])
def test_samples_that_are_no_speech_are_refused(vocoder_model: Model, speech: np.ndarray, value: float) -> None:
    wrong = speech[0, :100].copy()
    wrong[50] = value
    features = Features(vocoder_model)
    with pytest.raises(AetherError, match="not finite, or far out of range"):
        features.push(wrong)
    assert features.push(speech[0, :320]).tobytes() == Features(vocoder_model).push(speech[0, :320]).tobytes()


@pytest.mark.parametrize("piece", [1, 159, 161, 7001])
def test_features_are_the_same_however_samples_are_cut(vocoder_model: Model, speech: np.ndarray, piece: int) -> None:
    samples = speech[0, : 320 if piece == 1 else 16_000]
    whole, cut = Features(vocoder_model, True), Features(vocoder_model, True)
    expected = np.concatenate([whole.push(samples), whole.flush()])
    pieces = [cut.push(samples[start : start + piece]) for start in range(0, len(samples), piece)]
    assert np.concatenate([*pieces, cut.flush()]).tobytes() == expected.tobytes()
