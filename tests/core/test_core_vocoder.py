"""The native vocoders: against torch, the same bits with every set of kernels, as streams."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.core import weights
from aether_lite.core.library import Library, Model, Vocoder
from aether_lite.errors import AetherError
from aether_lite.export.native import vocoder_sections
from aether_lite.vocoder import deemphasize, load_network, periods_from_features, vocoder_path
from aether_lite.vocoder.hnsf import HarmonicNoise

EXACT_SNR_DB = 90.0
DELAYS = {"fargan": 240, "hnsf": 432}
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


def white_noise(first: int, count: int) -> np.ndarray:
    """Noise ``[count]`` of variance 1: sample n, from ``first`` on, is a hash of n (the finaliser of MurmurHash3)."""
    x = ((np.arange(first, first + count) & 0xFFFFFFFF) * 0x9E3779B1) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> shift)).astype(np.uint64) * np.uint64(factor) & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return ((x ^ (x >> 16)) / 2**31 - 1) * 3**0.5


@torch.no_grad()
def torch_samples(name: str, rows: np.ndarray, place: int = 0) -> np.ndarray:
    """Samples ``[160 F]`` of rows ``[F, 20]`` by the networks of torch; of hnsf with noise from ``place`` on."""
    network, given = load_network(name), torch.from_numpy(rows)
    delay = DELAYS[name]
    if isinstance(network, HarmonicNoise):
        padded = torch.cat((given, given[-1:].expand(3, -1)))[None]
        noise = torch.from_numpy(white_noise(place, 160 * (len(rows) + 2))).to(torch.float32)[None]
        signal = network.signal(padded, noise)
    else:
        padded = torch.cat((given[:1].expand(6, -1), given[1:], given[-1:].expand(2, -1)))[None]
        signal = network(padded, periods_from_features(padded), len(rows) + 1, pre=torch.zeros(1, 320))
    samples = deemphasize(signal)[0, delay - 160 :][: 160 * len(rows)].clamp(-1, 1)
    return samples.numpy()


@pytest.fixture(scope="module")
def by_torch(name: str, rows: np.ndarray) -> np.ndarray:
    """Samples of the rows by torch."""
    return torch_samples(name, rows)


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
    whole, vocoder, delay = _spoken(model, rows[:40]), Vocoder(model), DELAYS[name]
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
        expected = torch_samples(name, rows[:count])
        assert _spoken(model, rows[:count]) == pytest.approx(expected, abs=1e-5)


def test_an_hour_keeps_pitch_phase_and_noise_in_step(core: Library, rows: np.ndarray, tmp_path: Path) -> None:
    """A state near the end of the noise's numbers goes on as torch does, beyond them too."""
    vocoder, start = Vocoder(Model(core, _written(tmp_path / "v.aether", "hnsf"))), 2**32 - 1600
    vocoder.push(rows[:1])
    vocoder.load(_with_place(vocoder.save(), start))
    found = np.concatenate([vocoder.push(rows[1:30]), vocoder.flush()])
    assert _snr_db(torch_samples("hnsf", rows[:30], start), found) > EXACT_SNR_DB


def test_noise_is_white() -> None:
    noise = white_noise(0, 1 << 16)
    np.testing.assert_array_equal(white_noise(1000, 500), noise[1000:1500])
    assert noise.mean() == pytest.approx(0, abs=0.015)
    assert noise.var() == pytest.approx(1, abs=0.02)
    assert max(abs((noise[:-lag] * noise[lag:]).mean()) for lag in (1, 2, 3, 160)) < 0.015


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
