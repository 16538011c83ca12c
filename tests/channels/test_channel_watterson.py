"""Watterson's channel: two paths in frequency, Gaussian Doppler in time."""

from __future__ import annotations

import math

import pytest
import torch

from aether_lite.channels import Symbols, mpd, mpg, mpp, watterson
from aether_lite.channels.fading import slot_offset, subcarrier_hz, token_start

PROFILES = [(mpg, 0.0005, 0.1), (mpp, 0.002, 1.0), (mpd, 0.004, 2.0)]


def gains(channel, batch: int, tokens: int, rate: int = 1000) -> tuple[torch.Tensor, Symbols]:
    symbols = Symbols(torch.ones(batch, tokens, rate * 8 // 100, dtype=torch.complex64), rate, token_frames=8)
    return channel(symbols, 0.0, csi="perfect", seed=1).state.gain, symbols


@pytest.mark.parametrize(("channel", "delay_s", "spread_hz"), PROFILES)
def test_gain_has_unit_power_and_the_two_path_correlation_in_frequency(channel, delay_s, spread_hz):
    symbols = Symbols(torch.ones(20_000, 1, 20, dtype=torch.complex64), 1000, token_frames=2)  # one slot
    slot = channel(symbols, 0.0, csi="perfect", seed=1).state.gain[:, 0]
    assert float(slot.abs().square().mean()) == pytest.approx(1, abs=0.01)
    distance = subcarrier_hz(symbols)[0].double()
    expected = (1 + torch.exp(-2j * math.pi * distance * delay_s)) / 2
    assert ((slot * slot[:, :1].conj()).mean(dim=0) - expected).abs().max() < 0.03


@pytest.mark.parametrize(("channel", "delay_s", "spread_hz"), PROFILES)
def test_gain_has_the_gaussian_doppler_correlation_in_time(channel, delay_s, spread_hz):
    gain, symbols = gains(channel, 4000, 16, rate=50)
    flat, lag = gain.flatten(1), (token_start(symbols)[:, None] + slot_offset(symbols)[:1]).float().flatten()
    expected = torch.exp(-2 * (math.pi * spread_hz / 2 * lag) ** 2)
    assert ((flat * flat[:, :1].conj()).mean(dim=0) - expected).abs().max() < 0.05


def test_mpp_notches_repeat_every_500_hz():
    gain, _ = gains(mpp, 1, 2000, rate=1200)
    slots = gain.reshape(-1, 24)  # 24 subcarriers, 50 Hz apart
    assert torch.allclose(slots[:, :14], slots[:, 10:], atol=1e-4)
    depth = slots[:, :10].abs().amin(dim=1) / slots[:, :10].abs().amax(dim=1)
    assert depth.median() < 0.5


def test_gain_is_constant_within_a_slot_but_for_the_delay():
    symbols = Symbols(torch.ones(2, 30, 80, dtype=torch.complex64), 1000, token_frames=8)
    gain = watterson(symbols, 0.0, delay_ms=0, spread_hz=5, csi="perfect", seed=1).state.gain
    slots = gain.reshape(2, -1, 20)
    assert torch.allclose(slots, slots[..., :1].expand_as(slots), atol=1e-5)
    assert not torch.allclose(slots[:, 1:, 0], slots[:, :-1, 0], atol=1e-3)


def test_items_of_different_rates_use_their_own_subcarriers():
    rates = torch.tensor([300, 1200])
    symbols = Symbols(torch.ones(2, 4, 96, dtype=torch.complex64), rates, token_frames=8)
    gain = mpp(symbols, 0.0, csi="perfect", seed=[1, 1]).state.gain
    narrow, wide = gain[0, :, :24].reshape(4, 4, 6), gain[1].reshape(4, 4, 24)
    assert torch.allclose(narrow, wide[..., :6], atol=1e-5)
