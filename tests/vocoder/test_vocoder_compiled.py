"""The compiled vocoder: equal to torch; the same to the bit however it is called; what happens without numba."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from importlib.resources import files

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.audio import read_audio
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.features.layout import NUM_FREE, PITCH
from aether_lite.native import PANEL, pack_matrices, primitives
from aether_lite.native.primitives import cached, product
from aether_lite.vocoder import (
    FARGAN,
    CompiledFargan,
    FrameState,
    FusedFargan,
    StreamingVocoder,
    SubframeState,
    fastest_vocoder,
    synthesize,
)

REQUIRED_SNR_DB = 90.0
TOLERANCE = 1e-5
EDGE_PERIODS = [20, 32, 33, 43, 44, 45, 128, 253, 254, 255, 256, 300]  # samples; inside and outside of the range


@pytest.fixture(scope="module")
def exact(vocoder):
    return CompiledFargan(vocoder)


@pytest.fixture(scope="module")
def ten_seconds():
    """``[1, 1000, 20]``: features of two bundled samples, a woman and a man."""
    folder = files("aether_lite").joinpath("assets", "samples")
    clips = [read_audio(str(folder.joinpath(f"{name}.flac"))) for name in ("en_f_intro", "it_m_intro")]
    return torch.from_numpy(extract_features(np.concatenate(clips))[:1000, :NUM_FREE])[None]


def run(vocoder, rows):
    """All frames at once, from the state that the first row primes."""
    return vocoder.render(rows[:, 1:], vocoder.prime(rows[:, 0]))[0]


def snr_db(reference, samples):
    noise = (reference.double() - samples.double()).square().sum()
    return float(10 * torch.log10(reference.double().square().sum() / noise))


def test_ten_seconds_equal_torch(vocoder, fused, exact, ten_seconds):
    samples = run(exact, ten_seconds)
    assert samples.shape == (1, 160 * 999)
    assert samples.dtype == torch.float32
    assert snr_db(run(fused, ten_seconds), samples) > REQUIRED_SNR_DB
    double = FusedFargan(copy.deepcopy(vocoder).double())
    assert snr_db(run(double, ten_seconds.double()), samples) > REQUIRED_SNR_DB


def test_any_weights(features):
    torch.manual_seed(3)
    model = FARGAN().eval().requires_grad_(False)
    rows = features[None, :40, :NUM_FREE]
    expected = run(FusedFargan(model), rows)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(run(CompiledFargan(model), rows), expected, atol=TOLERANCE, rtol=0)


def test_two_processes_give_the_same_bits(vocoder, features):
    code = """if True:
        import hashlib, sys, numpy as np, torch
        from aether_lite.vocoder import CompiledFargan, load_fargan, synthesize
        rows = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(-1, 36)
        samples = synthesize(rows, CompiledFargan(load_fargan()))
        print(hashlib.sha256(samples.tobytes()).hexdigest())"""
    rows = features[:100].numpy()
    there = subprocess.run([sys.executable, "-c", code], input=rows.tobytes(), capture_output=True, check=True)
    here = synthesize(rows, CompiledFargan(vocoder))
    assert there.stdout.decode().strip() == hashlib.sha256(here.tobytes()).hexdigest()


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12))
def test_chunks_equal_the_whole_to_the_bit(exact, features, sizes):
    vocoder, count = exact, sum(sizes)
    rows = features[None, 100 : 101 + count, :NUM_FREE]
    state, pieces = vocoder.prime(rows[:, 0]), []
    for chunk in torch.split(rows[:, 1:], sizes, dim=1):
        samples, state = vocoder.render(chunk, state)
        pieces.append(samples)
    assert torch.equal(torch.cat(pieces, dim=1), run(vocoder, rows))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [2, 3, 5])
def test_a_batch_equals_its_items_to_the_bit(exact, features, batch, threads):
    vocoder = exact
    rows = torch.stack([features[start : start + 30, :NUM_FREE] for start in range(0, 60 * batch, 60)])
    torch.set_num_threads(threads)
    try:
        together = run(vocoder, rows)
    finally:
        torch.set_num_threads(1)
    for item, samples in zip(rows, together, strict=True):
        assert torch.equal(run(vocoder, item[None])[0], samples)


def test_rendering_leaves_rows_and_state_unchanged(exact, features):
    rows = features[None, :12, :NUM_FREE].clone()
    state = exact.render(rows[:, 1:6], exact.prime(rows[:, 0]))[1]
    before, rows_before = copy.deepcopy(state), rows.clone()
    first = exact.render(rows[:, 6:], state)[0]
    assert torch.equal(rows, rows_before)
    assert torch.equal(state.rows, before.rows)
    for name, value in vars(before.signal).items():
        assert torch.equal(getattr(state.signal, name), value)
    assert torch.equal(exact.render(rows[:, 6:], state)[0], first)


def test_a_state_survives_being_bytes(exact, features):
    rows = features[None, :20, :NUM_FREE]
    state = exact.render(rows[:, 1:10], exact.prime(rows[:, 0]))[1]

    def revived(value):
        array = np.frombuffer(value.numpy().tobytes(), np.float32).reshape(value.shape)
        return torch.from_numpy(array.copy())

    signal = SubframeState(**{name: revived(value) for name, value in vars(state.signal).items()})
    again = FrameState(revived(state.rows), signal)
    assert torch.equal(exact.render(rows[:, 10:], again)[0], exact.render(rows[:, 10:], state)[0])


@pytest.mark.parametrize("compiled_first", [True, False])
def test_one_vocoder_goes_on_where_the_other_stopped(fused, exact, features, compiled_first):
    rows = features[None, :120, :NUM_FREE]
    first, second = (exact, fused) if compiled_first else (fused, exact)
    head, state = first.render(rows[:, 1:60], first.prime(rows[:, 0]))
    tail, _ = second.render(rows[:, 60:], state)
    torch.testing.assert_close(torch.cat((head, tail), dim=1), run(fused, rows), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("period", EDGE_PERIODS)
def test_periods_at_and_beyond_the_edges(fused, exact, features, period):
    rows = features[None, 100:160, :NUM_FREE].clone()
    rows[..., PITCH] = float(np.log2(256 / period) - 1.5)
    assert snr_db(run(fused, rows), run(exact, rows)) > REQUIRED_SNR_DB  # rare periods can be loud: no fixed step


def test_extreme_features_stay_finite_and_equal_torch(fused, exact, features):
    rows = features[None, 100:140, :NUM_FREE].clone()
    rows[..., 0] += 40.0
    samples = run(exact, rows)
    assert snr_db(run(fused, rows), samples) > REQUIRED_SNR_DB
    assert samples.abs().max() > 1.0


def test_features_that_are_not_numbers_read_no_foreign_memory(exact, features):
    rows = features[None, :6, :NUM_FREE].clone()
    rows[0, 3] = float("nan")
    assert exact.render(rows[:, 1:], exact.prime(rows[:, 0]))[0].shape == (1, 160 * 5)


@pytest.mark.parametrize("sizes", [[1], [7], [1, 0, 3, 250]])
def test_streaming_equals_offline_to_the_bit(exact, features, sizes):
    stream, pieces, start = StreamingVocoder(exact), [], 0
    while start < len(features):
        for size in sizes:
            pieces.append(stream.push(features[start : start + size]))
            start += size
    assert torch.equal(torch.cat((*pieces, stream.flush())), synthesize(features, exact))


def test_synthesis_is_near_that_of_torch_and_in_range(fused, exact, features):
    samples = synthesize(features, exact)
    assert snr_db(synthesize(features, fused), samples) > REQUIRED_SNR_DB
    loud = features[100:160].clone()
    loud[:, 0] += 40.0
    assert synthesize(loud, exact).abs().max() == 1.0


def test_later_changes_of_the_model_do_not_reach_it(features):
    model = FARGAN().eval().requires_grad_(False)
    frozen, rows = CompiledFargan(model), features[None, :5, :NUM_FREE]
    before = run(frozen, rows)
    for value in model.parameters():
        value.mul_(1.5)
    assert torch.equal(run(frozen, rows), before)


@pytest.mark.parametrize("shape", [(1, 3, 36), (1, 0, 20), (3, 20), (1, 2, 2, 20)])
def test_wrong_rows_are_refused(exact, shape):
    state = exact.prime(torch.zeros(1, NUM_FREE))
    with pytest.raises(ValueError, match="rows must be"):
        exact.render(torch.zeros(shape), state)


def test_rows_for_another_number_of_streams_are_refused(exact):
    with pytest.raises(ValueError, match="dimensions"):
        exact.render(torch.zeros(2, 1, NUM_FREE), exact.prime(torch.zeros(3, NUM_FREE)))


def test_without_numba_the_error_names_the_extra_and_torch_takes_over(monkeypatch, vocoder):
    assert isinstance(fastest_vocoder(vocoder), CompiledFargan)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AetherError, match=r"pip install '\.\[realtime\]'"):
        CompiledFargan(vocoder)
    assert isinstance(fastest_vocoder(vocoder), FusedFargan)


def test_importing_the_package_does_not_load_numba():
    code = "import sys, aether_lite.vocoder; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def one_more(x):
    return x + 1


def test_without_a_folder_to_write_functions_are_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/dev/null/none")
    assert cached()(one_more)(1) == 2


def test_compiled_functions_are_kept_where_numba_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert cached()(one_more)(1) == 2
    assert list(tmp_path.rglob("*.nbi"))


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_cut_files_of_compiled_functions_are_made_again(monkeypatch, tmp_path, length):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    name = one_more.__qualname__
    for suffix in ("nbi", "nbc"):
        for _ in range(2):  # written, then read
            monkeypatch.setattr(one_more, "__qualname__", name)
            assert cached()(one_more)(1) == 2
        for path in tmp_path.rglob(f"*.{suffix}"):
            path.write_bytes(path.read_bytes()[:length])
        monkeypatch.setattr(one_more, "__qualname__", name)
        assert cached()(one_more)(1) == 2


def test_a_full_disk_costs_the_cache_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    assert cached()(one_more)(1) == 2


def test_activations_are_exact_to_the_stated_error():
    @numba.njit
    def values(x):
        results = np.empty((3, len(x)), np.float32)
        for i in range(len(x)):
            results[0, i] = primitives.exp(x[i])
            results[1, i] = primitives.sigmoid(x[i])
            results[2, i] = primitives.tanh(x[i])
        return results

    x = np.concatenate((np.linspace(-90, 90, 20_001), np.linspace(-1, 1, 20_001))).astype(np.float32)
    exponential, sigmoid, tangent = values(x).astype(np.float64)
    limited = np.clip(x.astype(np.float64), -80, 80)
    np.testing.assert_allclose(exponential, np.exp(limited), rtol=primitives.EXP_ERROR)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-limited)), atol=primitives.ERROR, rtol=0)
    np.testing.assert_allclose(tangent, np.tanh(limited), atol=primitives.ERROR, rtol=0)
    assert values(np.zeros(1, np.float32))[2, 0] == 0


@settings(deadline=None, max_examples=20)
@given(
    outputs=st.integers(1, 100), inputs=st.integers(1, 160), streams=st.sampled_from([1, 2]), seed=st.integers(0, 99)
)
def test_products_equal_numpy(outputs, inputs, streams, seed):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((outputs, inputs)).astype(np.float32)
    x = rng.uniform(-1, 1, (streams, inputs)).astype(np.float32)
    y = np.zeros((streams, -(-outputs // PANEL) * PANEL), np.float32)
    lanes = (0,) * streams

    packed, places = pack_matrices([torch.from_numpy(weight)])
    product(packed, places, 0, x, 0, y, 0, lanes)
    np.testing.assert_allclose(y[:, :outputs], x.astype(np.float64) @ weight.T, atol=1e-4)
