"""The harmonic-plus-noise vocoder: alignment, streams, excitation, level, files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from aether_lite.errors import AetherError
from aether_lite.features.layout import PITCH, SAMPLE_RATE, pitch_from_f0
from aether_lite.vocoder import (
    StreamingVocoder,
    load_fargan,
    load_network,
    load_vocoder,
    save_vocoder,
    synthesize,
    vocoder_path,
)
from aether_lite.vocoder.hnsf import (
    CONTEXT_ROWS,
    DELAY,
    FIRST_ROW,
    HarmonicNoise,
    excitation,
    load_hnsf,
)


@pytest.fixture(scope="module")
def network() -> HarmonicNoise:
    """Untrained, but for a head that says something."""
    torch.manual_seed(4)
    made = HarmonicNoise(channels=16).eval().requires_grad_(False)
    torch.nn.init.normal_(made.head.weight, std=0.3)
    return made


def test_streams_equal_the_whole_in_pieces_of_any_size(network, features):
    rows = features[:90, :20]
    whole = synthesize(rows, network)
    assert len(whole) == 90 * 160
    for sizes in ([1] * 90, [7, 1, 40, 0, 42]):
        stream = StreamingVocoder(network)
        pieces = [stream.push(piece) for piece in torch.split(rows, sizes)]
        released = sum(map(len, pieces))
        assert released == 90 * 160 - DELAY
        joined = torch.cat([*pieces, stream.flush()])
        torch.testing.assert_close(joined, whole, atol=2e-6, rtol=0)


def test_nothing_depends_on_rows_that_come_later(network, features):
    rows = features[:60, :20]
    changed = rows.clone()
    changed[40:] = features[200:220, :20]
    a, b = (synthesize(r, network) for r in (rows, changed))
    end = 40 * 160 - (DELAY - 160) - 160  # what came with row 39 ends here
    assert torch.equal(a[:end], b[:end])
    assert not torch.equal(a[: end + 160], b[: end + 160])


def test_the_training_pass_and_synthesis_make_the_same_harmonics(network, features):
    rows = features[None, :80, :20].clone()
    quiet = HarmonicNoise(channels=16).eval().requires_grad_(False)
    quiet.load_state_dict(network.state_dict())
    quiet.head.bias[:] = 0
    points = quiet.head.bias.view(2, -1)
    points[:, 64:128] = -60.0  # no noise
    quiet.head.weight.view(2, -1, 16)[:, 64:128] = 0
    trained = quiet(rows)[0]
    samples = synthesize(rows[0], quiet)
    emphasised = samples.clone()
    emphasised[1:] -= 0.85 * samples[:-1]
    start = FIRST_ROW * 160 - 80
    assert len(trained) == 160 * (80 - CONTEXT_ROWS)
    torch.testing.assert_close(trained, emphasised[start : start + len(trained)], atol=2e-4, rtol=0)


@pytest.mark.parametrize("f0", [64.0, 110.0, 233.0, 480.0])
def test_pulses_are_all_harmonics_up_to_the_highest_with_equal_amplitudes(f0):
    pitch = torch.full((1, 101), float(pitch_from_f0(f0)))
    pulses, modulation = excitation(pitch)
    time = torch.arange(16000, dtype=torch.float64) / SAMPLE_RATE
    number = 7600 / f0
    known = sum(torch.cos(2 * np.pi * k * f0 * time) for k in range(1, int(number) + 1))
    known = known + (number % 1) * torch.cos(2 * np.pi * (int(number) + 1) * f0 * time)
    torch.testing.assert_close(pulses[0], known * (2 / number) ** 0.5, atol=1e-2, rtol=0)
    assert float(pulses.square().mean()) == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(modulation[0], 2**0.5 * torch.cos(2 * np.pi * f0 * time), atol=1e-4, rtol=0)


def test_the_output_follows_the_level_of_the_features(network, features):
    rows = features[None, :90, :20]
    louder = rows.clone()
    louder[..., 0] += 18**0.5 * 2 * np.log10(4.0)  # 12 dB in every band
    # an untrained network reads c0 as well; without its input only the stated envelope is left
    plain = HarmonicNoise(channels=16).eval().requires_grad_(False)
    plain.load_state_dict(network.state_dict())
    plain.first.weight[:, 0] = 0
    a, b = (synthesize(r[0], plain) for r in (rows, louder))
    loud = a.abs() < 0.2  # nothing clipped
    torch.testing.assert_close(b[loud], 4 * a[loud], atol=1e-3, rtol=1e-3)


def test_a_steady_pitch_has_no_energy_between_harmonics_without_noise(network):
    rows = torch.zeros(100, 20)
    rows[:, PITCH] = float(pitch_from_f0(200.0))
    silent = HarmonicNoise(channels=16).eval().requires_grad_(False)
    silent.head.weight.zero_()
    silent.head.bias.view(2, -1)[:, 64:128] = -60.0
    samples = synthesize(rows, silent)[4000:12000]
    spectrum = torch.fft.rfft(samples * torch.hann_window(8000)).abs()
    places = torch.arange(len(spectrum)) * 2.0
    near = ((places % 200) < 6) | ((places % 200) > 194)
    assert float(spectrum[~near].max()) < 1e-3 * float(spectrum.max())


def test_weights_go_to_a_file_and_back(network, features, tmp_path):
    path = tmp_path / "light.safetensors"
    save_vocoder(network, path, {"origin": "a test"})
    loaded = load_vocoder(path)
    assert isinstance(load_network(path), HarmonicNoise)
    assert loaded.delay == DELAY
    assert torch.equal(synthesize(features[:30], loaded), synthesize(features[:30], network))


def test_weights_of_one_kind_are_not_taken_for_those_of_another():
    with pytest.raises(AetherError, match=r"hnsf\.safetensors: weights of the vocoder hnsf; weights of fargan"):
        load_fargan("hnsf")  # by export, and as what codecs are trained through
    with pytest.raises(AetherError, match=r"fargan\.safetensors: weights of the vocoder fargan; weights of hnsf are"):
        load_hnsf(vocoder_path("fargan"))


def test_other_files_are_stated_errors(network, tmp_path):
    path = tmp_path / "light.safetensors"
    save_vocoder(network, path, {})
    weights = load_file(path)
    notes = {"format": "hnsf", "model_kwargs": '{"channels": 16}'}
    weights["head.bias"][3] = float("nan")
    save_file(weights, path, metadata=notes)
    with pytest.raises(AetherError, match=r"light\.safetensors.*not finite: head\.bias"):
        load_vocoder(path)
    weights["head.bias"][3] = 0
    for wrong in ('{"channels": 100000000}', '{"channels": -1}', '{"channels": true}', '{"width": 2}', "[]", "{"):
        save_file(weights, path, metadata={**notes, "model_kwargs": wrong})
        with pytest.raises(AetherError, match=r"light\.safetensors"):
            load_network(path)
