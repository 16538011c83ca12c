"""What the receiver knows: the errors have the sizes they are defined by."""

from __future__ import annotations

import pytest
import torch

from aether_lite.channels import (
    CHANNELS,
    ChannelState,
    Received,
    Symbols,
    apply_channel,
    awgn,
    rayleigh,
    watterson,
)
from aether_lite.errors import AetherError


def gain_error(channel, symbols: Symbols, snr_db: float, **options: object) -> torch.Tensor:
    """Estimated minus exact gain; one seed gives both the same realisation."""
    estimated = channel(symbols, snr_db, seed=1, **options)
    exact = channel(symbols, snr_db, seed=1, csi="perfect", **options)
    assert torch.equal(estimated.values, exact.values)
    return estimated.state.gain - exact.state.gain


@pytest.mark.parametrize(
    ("rate", "spacing", "pilots"), [(1000, 10, 4.0), (150, 10, 1.0), (1200, 5, 9.6), (300, 10, 1.2)]
)
def test_block_gain_error_is_noise_over_the_pilots_of_a_block(rate, spacing, pilots):
    symbols = Symbols(torch.ones(2, 10_000, rate * 8 // 100, dtype=torch.complex64), rate, token_frames=8)
    error = gain_error(rayleigh, symbols, 3.0, pilot_spacing=spacing)
    assert float(error.abs().square().mean()) == pytest.approx(10**-0.3 / pilots, rel=0.04)
    assert float((error[:, :, 1] - error[:, :, 0]).abs().max()) < 1e-5  # the same within a block


def test_doppler_gain_error_uses_the_coherence_time():
    symbols = Symbols(torch.ones(200, 100, 80, dtype=torch.complex64), 1000, token_frames=8)
    error = gain_error(rayleigh, symbols, 3.0, doppler_hz=5.0)
    assert float(error.abs().square().mean()) == pytest.approx(10**-0.3 / (100 * 0.423 / 5), rel=0.04)


def test_watterson_gain_error_shares_the_pilots_between_two_paths():
    symbols = Symbols(torch.ones(200, 100, 80, dtype=torch.complex64), 1000, token_frames=8)
    error = gain_error(watterson, symbols, 3.0, delay_ms=2.0, spread_hz=2.0)
    pilots = 100 * 0.423 / 2**0.5 / 1.0 / 2
    assert float(error.abs().square().mean()) == pytest.approx(10**-0.3 / pilots, rel=0.05)
    assert float((error[..., 0] - error[..., 10]).abs().max()) < 1e-5  # 500 Hz apart: the same


def test_gain_error_follows_the_snr_of_the_item():
    symbols = Symbols(torch.ones(2, 5000, 80, dtype=torch.complex64), 1000, token_frames=8)
    error = gain_error(rayleigh, symbols, torch.tensor([0.0, 20.0]))
    power = error.abs().square().mean(dim=(1, 2))
    assert torch.allclose(power, torch.tensor([0.25, 0.0025]), rtol=0.05)


def test_unfaded_link_knows_its_gain(make_symbols):
    for name in ("awgn", "erasure", "clean"):
        assert (apply_channel(name, make_symbols(), 3.0).state.gain == 1).all()


@pytest.mark.parametrize(("rate", "pilots"), [(1000, 96), (150, 12), (600, 60)])
def test_noise_estimate_is_gamma_of_the_pilots_of_a_second(rate, pilots):
    symbols = Symbols(torch.ones(4000, 20, rate * 8 // 100, dtype=torch.complex64), rate, token_frames=8)
    estimate = awgn(symbols, -3.0, seed=1).state.noise_variance / 10**0.3
    assert float(estimate.mean()) == pytest.approx(1, abs=0.01)
    for token in (0, 19):
        assert float(estimate[:, token].var()) == pytest.approx(1 / pilots, rel=0.1)
    centred = estimate - 1
    next_token = (centred[:, 0] * centred[:, 1]).mean() / centred[:, 0].var()
    far_token = (centred[:, 0] * centred[:, 15]).mean() / centred[:, 0].var()
    assert float(next_token) == pytest.approx(11 / 12, abs=0.08)
    assert abs(float(far_token)) < 0.08


def test_noise_estimate_of_mixed_rates_uses_each_items_pilots():
    rates = torch.tensor([150, 1200]).repeat(2000)
    symbols = Symbols(torch.ones(4000, 1, 96, dtype=torch.complex64), rates, token_frames=8)
    estimate = awgn(symbols, 0.0, seed=1).state.noise_variance[:, 0].view(-1, 2)
    assert torch.allclose(estimate.var(dim=0), torch.tensor([1 / 12, 1 / 120]), rtol=0.15)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_withheld_state_tells_nothing_but_the_erasures(make_symbols, name):
    state = apply_channel(name, make_symbols(), 3.0, csi="none").state
    assert state.gain is None
    assert state.noise_variance is None
    assert state.erased.shape == (1, 50)


@pytest.mark.parametrize("name", ["awgn", "rayleigh", "rician", "mpp"])
def test_what_the_receiver_knows_does_not_change_what_it_gets(make_symbols, name):
    values = [
        apply_channel(name, make_symbols(), 3.0, csi=state, seed=1).values
        for state in ("perfect", "estimated", "none")
    ]
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


def test_validate_finds_values_in_erased_tokens_and_bad_numbers():
    ones, erased = torch.ones(1, 2, 80, dtype=torch.complex64), torch.tensor([[False, True]])
    with pytest.raises(AetherError, match="erased"):
        Received(ones, 1000, ChannelState(None, None, erased), token_frames=8).validate()
    with pytest.raises(AetherError, match="finite"):
        Received(ones * torch.nan, 1000, ChannelState(None, None, ~erased), token_frames=8).validate()
    with pytest.raises(AetherError, match="noise_variance"):
        Received(0 * ones, 1000, ChannelState(None, -torch.ones(1, 2), erased), token_frames=8).validate()
    Received(0 * ones, 1000, ChannelState(None, torch.full((1, 2), torch.nan), erased), token_frames=8).validate()
    with pytest.raises(ValueError, match="gain"):
        Received(ones, 1000, ChannelState(ones[:, :1], None, erased), token_frames=8)
