"""The native vocoder: against torch, the same bits with every set of kernels, as a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.core import weights
from aether_lite.core.library import Library, Model, Vocoder
from aether_lite.errors import AetherError
from aether_lite.export.native import fargan_sections
from aether_lite.vocoder import load_fargan, synthesize
from aether_lite.vocoder.fused import FusedFargan

LEAST_SNR_DB = {"float32": 90.0, "float16": 90.0, "int8": 15.0}  # int8 changes the network, which feeds on its output


@pytest.fixture(scope="module")
def rows(speech_features: torch.Tensor) -> np.ndarray:
    """``[150, 20]`` feature rows of speech."""
    return speech_features[0, :150].numpy()


@pytest.fixture(scope="module")
def by_torch(rows: np.ndarray) -> np.ndarray:
    """Samples of the rows by torch."""
    return synthesize(rows, FusedFargan(load_fargan("fargan")))


def _spoken(model: Model, rows: np.ndarray) -> np.ndarray:
    vocoder = Vocoder(model)
    return np.concatenate([vocoder.push(rows), vocoder.flush()])


def _snr_db(expected: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum()))


@pytest.mark.parametrize("precision", weights.PRECISIONS)
def test_samples_are_those_of_torch_with_every_set_of_kernels(
    core: Library, kernel_sets: list[str], rows: np.ndarray, by_torch: np.ndarray, precision: str, tmp_path: Path
) -> None:
    path = tmp_path / "v.aether"
    weights.write(path, fargan_sections(load_fargan("fargan"), weights.PRECISIONS[precision]))
    made = [_spoken(Model(core, path, name), rows) for name in kernel_sets]
    assert made[0].shape == by_torch.shape
    assert _snr_db(by_torch, made[0]) > LEAST_SNR_DB[precision]
    for name, samples in zip(kernel_sets, made, strict=True):
        assert samples.tobytes() == made[0].tobytes(), name


def test_pieces_of_any_size_give_the_same_samples(vocoder_model: Model, rows: np.ndarray) -> None:
    whole, vocoder = _spoken(vocoder_model, rows[:40]), Vocoder(vocoder_model)
    for _ in range(2):  # the second time after a flush
        pieces = [vocoder.push(rows[a:b]) for a, b in ((0, 1), (1, 2), (2, 2), (2, 17), (17, 40))]
        assert [len(piece) for piece in pieces] == [0, 80, 0, 2400, 3680]
        assert np.concatenate([*pieces, vocoder.flush()]).tobytes() == whole.tobytes()
    assert len(vocoder.flush()) == 0


def test_one_row_gives_one_frame(vocoder_model: Model, rows: np.ndarray) -> None:
    expected = synthesize(rows[:1], FusedFargan(load_fargan("fargan")))
    assert _spoken(vocoder_model, rows[:1]) == pytest.approx(expected, abs=1e-5)


def test_a_saved_state_goes_on_to_the_bit(vocoder_model: Model, rows: np.ndarray) -> None:
    first, second = Vocoder(vocoder_model), Vocoder(vocoder_model)
    first.push(rows[:20])
    second.load(first.save())
    assert second.push(rows[20:40]).tobytes() == first.push(rows[20:40]).tobytes()


def test_a_state_of_other_weights_is_refused_and_nothing_changes(
    core: Library, vocoder_model: Model, rows: np.ndarray, tmp_path: Path
) -> None:
    weights.write(tmp_path / "other.aether", fargan_sections(load_fargan("fargan_adversarial")))
    other, own = Vocoder(Model(core, tmp_path / "other.aether")), Vocoder(vocoder_model)
    own.push(rows[:3])
    before = own.save()
    with pytest.raises(AetherError, match="other weights"):
        own.load(other.save())
    assert own.save() == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_rows_that_are_no_features_are_refused(vocoder_model: Model, rows: np.ndarray, value: float) -> None:
    vocoder, wrong = Vocoder(vocoder_model), rows[:1].copy()
    wrong[0, 18] = value
    with pytest.raises(AetherError, match="not finite, or far out of range"):
        vocoder.push(wrong)
    assert len(vocoder.flush()) == 0


def test_periods_at_both_ends_of_the_range(vocoder_model: Model, rows: np.ndarray) -> None:
    for pitch in (-1000.0, -1.5, 1.5, 1000.0):
        extreme = rows[:4].copy()
        extreme[:, 18] = pitch
        assert np.isfinite(_spoken(vocoder_model, extreme)).all()
