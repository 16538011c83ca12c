"""Rayleigh and Rician fading against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aether_lite.channels import Symbols, rayleigh, rician
from aether_lite.channels.channel import Draws
from aether_lite.channels.fading import doppler_gain


def slow_symbols(batch: int, tokens: int = 1) -> Symbols:
    """One symbol in 80 ms: each falls in a block of its own."""
    return Symbols(torch.ones(batch, tokens, 1, dtype=torch.complex64), 13, token_frames=8)


def ks_distance(samples: Tensor, cdf: Tensor) -> float:
    """Largest difference between the samples' distribution and ``cdf``, given at the sorted samples."""
    rank = torch.arange(1, len(samples) + 1) / len(samples)
    return float((rank - cdf).abs().max())


def rice_cdf(amplitude: Tensor, k: float) -> Tensor:
    """Integral of 2 (K+1) r exp(-K - (K+1) r^2) I0(2 r sqrt(K (K+1))) from 0, for E r^2 = 1."""
    grid = torch.linspace(0, 6, 60_001, dtype=torch.float64)
    argument = 2 * grid * math.sqrt(k * (k + 1))
    density = 2 * (k + 1) * grid * torch.exp(-k - (k + 1) * grid**2 + argument) * torch.special.i0e(argument)
    cdf = torch.cumulative_trapezoid(density, grid)
    return cdf[(amplitude.double() / grid[1]).long().clamp(max=len(cdf) - 1)]


def test_block_rayleigh_amplitude_has_unit_power_and_rayleigh_distribution():
    gain = rayleigh(slow_symbols(4, 50_000), 0.0, csi="perfect", seed=1).state.gain.flatten()
    assert float(gain.abs().square().mean()) == pytest.approx(1, abs=0.01)
    amplitude = gain.abs().sort().values
    assert ks_distance(amplitude, 1 - torch.exp(-amplitude.square())) < 1.95 / math.sqrt(len(amplitude))
    assert abs(complex(gain.mean())) < 0.01
    assert abs(complex(gain.square().mean())) < 0.01


@pytest.mark.parametrize("k_db", [-3.0, 6.0, 12.0])
@pytest.mark.parametrize("doppler_hz", [None, 50.0])
def test_rician_amplitude_has_unit_power_and_the_k_factor(k_db, doppler_hz):
    symbols = slow_symbols(100_000 if doppler_hz else 4, 1 if doppler_hz else 25_000)
    gain = rician(symbols, 0.0, k_db=k_db, doppler_hz=doppler_hz, csi="perfect", seed=1).state.gain
    amplitude = gain.flatten().abs().sort().values
    power = amplitude.double().square()
    assert float(power.mean()) == pytest.approx(1, abs=0.01)
    k = 10 ** (k_db / 10)
    assert float(power.var()) == pytest.approx((1 + 2 * k) / (1 + k) ** 2, rel=0.05)
    assert ks_distance(amplitude, rice_cdf(amplitude, k)) < 0.008


def test_line_of_sight_has_a_random_phase_per_item_and_the_given_shift():
    symbols = Symbols(torch.ones(500, 1, 80, dtype=torch.complex64), 1000, token_frames=8)
    gain = rician(symbols, 0.0, k_db=60, doppler_hz=20, los_doppler_hz=10, csi="perfect", seed=1).state.gain
    turn = (gain[:, 0, 50] * gain[:, 0, 0].conj()).angle()  # half a turn in 50 ms
    assert torch.allclose(turn.abs(), torch.tensor(math.pi), atol=0.02)
    assert abs(complex(gain[:, 0, 0].mean())) < 0.15
    still = rician(symbols, 0.0, k_db=60, csi="perfect", seed=1).state.gain
    assert torch.allclose(still, still[:, :, :1].expand_as(still), atol=0.01)


@pytest.mark.parametrize(("rate", "block_ms"), [(1000, 40.0), (700, 40.0), (150, 20.0), (1200, 100.0), (300, 7)])
def test_gain_is_constant_over_a_block_and_changes_at_its_edge(rate, block_ms):
    n = rate * 8 // 100
    symbols = Symbols(torch.ones(2, 25, n, dtype=torch.complex64), rate, token_frames=8)
    gain = rayleigh(symbols, 0.0, block_ms=block_ms, csi="perfect", seed=1).state.gain.flatten(1)
    sent_ms_times_rate = [1000 * position for position in range(25 * n)]  # exact integers
    block = torch.tensor([position // (int(block_ms) * rate) for position in sent_ms_times_rate])
    if 8 * rate % 100 == 0:
        same = block[1:] == block[:-1]
        assert torch.equal(gain[:, 1:] == gain[:, :-1], same.expand(2, -1))


def test_blocks_are_independent():
    gain = rayleigh(slow_symbols(1, 50_000), 0.0, csi="perfect", seed=3).state.gain.flatten()
    assert abs(complex((gain[1:] * gain[:-1].conj()).mean())) < 0.02


def autocorrelation(spectrum: str, width_hz: float, lags: Tensor, items: int = 6000) -> Tensor:
    start = torch.zeros(1, dtype=torch.float64)
    draws = Draws(torch.empty(items), 1)
    gain = doppler_gain(start, lags.expand(items, -1), spectrum, width_hz, draws, torch.complex64)[:, 0]
    return (gain * gain[:, :1].conj()).mean(dim=0)


def test_jakes_autocorrelation_is_bessel_j0():
    lags = torch.linspace(0, 0.3, 31, dtype=torch.float64)
    expected = torch.special.bessel_j0(2 * math.pi * 10 * lags)
    assert (autocorrelation("jakes", 10.0, lags) - expected).abs().max() < 0.04


def test_gaussian_autocorrelation_has_the_exponential_shape():
    lags = torch.linspace(0, 2, 31, dtype=torch.float64)
    expected = torch.exp(-2 * (math.pi * 0.5 * lags) ** 2)
    assert (autocorrelation("gaussian", 0.5, lags) - expected).abs().max() < 0.04


def test_doppler_rayleigh_has_unit_power_and_rayleigh_distribution():
    gain = rayleigh(slow_symbols(100_000), 0.0, doppler_hz=10, csi="perfect", seed=1).state.gain
    amplitude = gain.flatten().abs().sort().values
    assert float(amplitude.square().mean()) == pytest.approx(1, abs=0.01)
    assert ks_distance(amplitude, 1 - torch.exp(-amplitude.square())) < 0.01


def test_one_long_doppler_realisation_fades_as_rayleigh():
    symbols = Symbols(torch.ones(1, 10_000, 12, dtype=torch.complex64), 150, token_frames=8)
    gain = rayleigh(symbols, 0.0, doppler_hz=20, csi="perfect", seed=1).state.gain
    amplitude = gain.flatten().abs().sort().values
    assert float(amplitude.square().mean()) == pytest.approx(1, abs=0.02)
    assert ks_distance(amplitude, 1 - torch.exp(-amplitude.square())) < 0.02


def test_doppler_gain_runs_on_from_token_to_token():
    symbols = Symbols(torch.ones(1, 20, 80, dtype=torch.complex128), 1000, token_frames=8)
    gain = rayleigh(symbols, 0.0, doppler_hz=5, csi="perfect", seed=1).state.gain.flatten()
    assert (gain[1:] - gain[:-1]).abs().max() < 0.1  # |dh/dt| is about 2 pi f_d / sqrt 2 a second
