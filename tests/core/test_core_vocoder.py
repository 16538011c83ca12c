"""The native vocoders: against torch, the same bits with every set of kernels, as streams."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.core import weights
from aether_lite.core.library import Library, Model, Vocoder
from aether_lite.errors import AetherError
from aether_lite.export.native import vocoder_sections
from aether_lite.vocoder import load_vocoder, synthesize, vocoder_delay, vocoder_path
from aether_lite.vocoder.hnsf import load_hnsf

EXACT_SNR_DB = 90.0
INT8_SNR_DB = {"fargan": 15.0, "hnsf": 35.0}  # int8 changes the network; FARGAN feeds on its own output


@pytest.fixture(scope="module", params=["fargan", "hnsf"])
def name(request: pytest.FixtureRequest) -> str:
    """Released vocoders, one of each kind."""
    return str(request.param)


def _written(path: Path, name: str, precision: str = "float16") -> Path:
    weights.write(path, vocoder_sections(vocoder_path(name), weights.PRECISIONS[precision]))
    return path


@pytest.fixture(scope="module")
def model(core: Library, name: str, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """One with float16 weights."""
    return Model(core, _written(tmp_path_factory.mktemp("vocoder") / "v.aether", name))


@pytest.fixture(scope="module")
def rows(speech_features: torch.Tensor) -> np.ndarray:
    """``[150, 20]`` feature rows of speech."""
    return speech_features[0, :150].numpy()


@pytest.fixture(scope="module")
def by_torch(name: str, rows: np.ndarray) -> np.ndarray:
    """Samples of the rows by torch."""
    return synthesize(rows, load_vocoder(name))


def _spoken(model: Model, rows: np.ndarray) -> np.ndarray:
    vocoder = Vocoder(model)
    return np.concatenate([vocoder.push(rows), vocoder.flush()])


def _snr_db(expected: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum()))


@pytest.mark.parametrize("precision", weights.PRECISIONS)
def test_samples_are_those_of_torch_with_every_set_of_kernels(
    core: Library,
    kernel_sets: list[str],
    name: str,
    rows: np.ndarray,
    by_torch: np.ndarray,
    precision: str,
    tmp_path: Path,
) -> None:
    path = _written(tmp_path / "v.aether", name, precision)
    made = [_spoken(Model(core, path, kernels), rows) for kernels in kernel_sets]
    assert made[0].shape == by_torch.shape
    assert _snr_db(by_torch, made[0]) > (INT8_SNR_DB[name] if precision == "int8" else EXACT_SNR_DB)
    for kernels, samples in zip(kernel_sets, made, strict=True):
        assert samples.tobytes() == made[0].tobytes(), kernels


def test_pieces_of_any_size_give_the_same_samples(name: str, model: Model, rows: np.ndarray) -> None:
    whole, vocoder, delay = _spoken(model, rows[:40]), Vocoder(model), vocoder_delay(name)
    assert model.info.vocoder_delay == delay
    for _ in range(2):  # the second time after a flush
        pieces, done, released = [], 0, 0
        for size in (1, 1, 0, 1, 14, 23):
            pieces.append(vocoder.push(rows[done : done + size]))
            done, released = done + size, released + len(pieces[-1])
            assert released == max(0, 160 * done - delay)
        assert np.concatenate([*pieces, vocoder.flush()]).tobytes() == whole.tobytes()
    assert len(vocoder.flush()) == 0


def test_few_rows_give_as_many_frames(name: str, model: Model, rows: np.ndarray) -> None:
    for count in (1, 2, 3):
        expected = synthesize(rows[:count], load_vocoder(name))
        assert _spoken(model, rows[:count]) == pytest.approx(expected, abs=1e-5)


def test_an_hour_keeps_pitch_phase_and_noise_in_step(core: Library, rows: np.ndarray, tmp_path: Path) -> None:
    """A state near the end of the noise's numbers goes on as torch does, beyond them too."""
    network = load_hnsf(vocoder_path("hnsf"))
    vocoder = Vocoder(Model(core, _written(tmp_path / "v.aether", "hnsf")))
    given, start = torch.from_numpy(rows[None, :30]), 2**32 - 1600
    state = replace(network.prime(given[:, 0]), position=torch.tensor([start]))
    expected, _ = network.render(given[:, 1:], state)
    vocoder.push(rows[:1])
    vocoder.load(_with_place(vocoder.save(), start))
    found = np.concatenate([vocoder.push(rows[1:30]), vocoder.flush()])
    cut = vocoder_delay("hnsf") - 160
    assert _snr_db(expected[0, cut:].numpy(), found[: len(expected[0]) - cut]) > EXACT_SNR_DB


def _with_place(state: bytes, place: int) -> bytes:
    """A vocoder's saved state with another number of the next sample of noise."""
    changed = bytearray(state)
    changed[64 + 8 : 64 + 12] = place.to_bytes(4, "little")
    changed[32:64] = hashlib.sha256(bytes(changed[:32]) + bytes(changed[64:])).digest()
    return bytes(changed)


def test_a_saved_state_goes_on_to_the_bit(model: Model, rows: np.ndarray) -> None:
    first, second = Vocoder(model), Vocoder(model)
    first.push(rows[:20])
    second.load(first.save())
    assert second.push(rows[20:40]).tobytes() == first.push(rows[20:40]).tobytes()


def test_a_state_of_other_weights_is_refused_and_nothing_changes(
    core: Library, model: Model, rows: np.ndarray, tmp_path: Path
) -> None:
    other = Vocoder(Model(core, _written(tmp_path / "other.aether", "fargan_adversarial")))
    own = Vocoder(model)
    own.push(rows[:3])
    before = own.save()
    with pytest.raises(AetherError, match="other weights"):
        own.load(other.save())
    assert own.save() == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_rows_that_are_no_features_are_refused(model: Model, rows: np.ndarray, value: float) -> None:
    vocoder, wrong = Vocoder(model), rows[:1].copy()
    wrong[0, 18] = value
    with pytest.raises(AetherError, match="not finite, or far out of range"):
        vocoder.push(wrong)
    assert len(vocoder.flush()) == 0


def test_periods_at_both_ends_of_the_range(model: Model, rows: np.ndarray) -> None:
    for pitch in (-1000.0, -1.5, 1.5, 1000.0):
        extreme = rows[:4].copy()
        extreme[:, 18] = pitch
        assert np.isfinite(_spoken(model, extreme)).all()
