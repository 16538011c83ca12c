"""White noise: its power, its randomness, and what every channel has in common."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aether_lite.channels import CHANNELS, Received, Symbols, apply_channel, awgn, clean, rayleigh, rician
from aether_lite.channels.channel import Draws

RATES = torch.tensor([150, 1200, 700, 300])
EVERY_CHANNEL = [
    *((name, {}) for name in CHANNELS),
    ("rayleigh", {"doppler_hz": 7.0}),
    ("rician", {"doppler_hz": 7.0, "los_doppler_hz": 3.0}),
    ("erasure", {"probability": 0.4, "burst_tokens": 3.0}),
]
every_channel = pytest.mark.parametrize(("name", "options"), EVERY_CHANNEL)
every_noisy_channel = pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name, options in EVERY_CHANNEL if name != "clean"]
)


def measured_db(received: Received, symbols: Symbols) -> float:
    gain = received.state.gain
    noise = received.values - gain * symbols.values
    return -10 * math.log10(float(noise.abs().square().mean()))


@pytest.mark.parametrize("name", ["awgn", "rayleigh", "rician", "mpp"])
@pytest.mark.parametrize("snr_db", [-10.0, 3.0, 30.0])
def test_snr_is_met_within_a_tenth_of_a_db(make_symbols, name, snr_db):
    symbols = make_symbols(tokens=2500)  # 200 000 symbols: 0.01 dB standard error
    received = apply_channel(name, symbols, snr_db, csi="perfect", seed=1)
    assert measured_db(received, symbols) == pytest.approx(snr_db, abs=0.1)
    noise_variance = received.state.noise_variance
    assert torch.allclose(noise_variance, torch.tensor(10 ** (-snr_db / 10)))


def test_noise_is_circular_gaussian(make_symbols):
    symbols = make_symbols(tokens=2500)
    noise = awgn(symbols, 0.0, seed=1).values - symbols.values
    assert float(noise.real.square().mean()) == pytest.approx(0.5, rel=0.02)
    assert float(noise.imag.square().mean()) == pytest.approx(0.5, rel=0.02)
    assert abs(complex(noise.square().mean())) < 0.01
    assert float(noise.real.pow(4).mean()) == pytest.approx(3 / 4, rel=0.03)


def test_noise_does_not_follow_the_power_of_the_clip(make_symbols):
    symbols = make_symbols()
    quiet = dataclasses.replace(symbols, values=0.01 * symbols.values)
    loud_noise = awgn(symbols, 5.0, seed=1).values - symbols.values
    quiet_noise = awgn(quiet, 5.0, seed=1).values - quiet.values
    assert torch.allclose(loud_noise, quiet_noise, atol=1e-6)


@every_noisy_channel
def test_each_item_has_its_own_snr(make_symbols, name, options):
    symbols = make_symbols(batch=3, tokens=400)
    snr_db = torch.tensor([-5.0, 10.0, 25.0])
    if name == "erasure":
        options = {**options, "probability": 0.0}
    received = apply_channel(name, symbols, snr_db, csi="perfect", seed=2, **options)
    noise = received.values - received.state.gain * symbols.values
    measured = -10 * noise.abs().square().mean(dim=(1, 2)).log10()
    assert torch.allclose(measured, snr_db, atol=0.15)
    assert torch.allclose(received.state.noise_variance[:, 0], 10 ** (-snr_db / 10))


@every_channel
def test_mixed_rates_leave_unsent_positions_zero(make_symbols, name, options):
    symbols = make_symbols(batch=4, tokens=12, rate=RATES)
    received = apply_channel(name, symbols, 0.0, seed=3, **options)
    received.validate()
    unsent = (~symbols.used).expand_as(received.values)
    assert (received.values[unsent] == 0).all()
    assert received.values.shape == symbols.values.shape
    assert received.token_frames == symbols.token_frames
    assert received.rate is symbols.rate


@every_channel
@pytest.mark.parametrize("state", ["perfect", "estimated"])
def test_item_with_its_own_seed_does_not_depend_on_its_batch(make_symbols, name, options, state):
    symbols = make_symbols(batch=4, tokens=9, rate=RATES)
    together = apply_channel(name, symbols, 3.0, csi=state, seed=[5, 6, 7, 8], **options)
    for item, rate in enumerate(RATES.tolist()):
        n = rate * 8 // 100
        single = Symbols(symbols.values[item : item + 1, :, :n], rate, token_frames=8)
        alone = apply_channel(name, single, 3.0, csi=state, seed=[5 + item], **options)
        assert torch.allclose(together.values[item, :, :n], alone.values[0], atol=1e-5)
        assert torch.allclose(together.state.gain[item, :, :n], alone.state.gain[0], atol=1e-5)
        assert torch.allclose(together.state.noise_variance[item], alone.state.noise_variance[0])
        assert torch.equal(together.state.erased[item], alone.state.erased[0])


@every_channel
def test_same_seed_gives_the_same_bits(make_symbols, name, options):
    symbols = make_symbols(batch=2, tokens=20)

    def send(**source: object) -> Received:
        return apply_channel(name, symbols, 3.0, **source, **options)

    first, again, other = send(seed=4), send(seed=4), send(seed=5)
    assert torch.equal(first.values, again.values)
    assert torch.equal(first.state.gain, again.state.gain)
    assert torch.equal(first.state.noise_variance, again.state.noise_variance)
    assert name == "clean" or not torch.equal(first.values, other.values)
    generated = [send(generator=torch.Generator().manual_seed(9)).values for _ in range(2)]
    assert torch.equal(*generated)
    torch.manual_seed(1)
    before = send().values
    torch.manual_seed(1)
    assert torch.equal(before, send().values)


def test_one_integer_seeds_items_differently(make_symbols):
    symbols = make_symbols(batch=2)
    noise = rayleigh(symbols, 0.0, seed=1).values - symbols.values
    assert not torch.allclose(noise[0], noise[1])


@every_channel
def test_gradient_passes_to_the_symbols(make_symbols, name, options):
    template = make_symbols(batch=2, tokens=2, rate=torch.tensor([50, 100]), dtype=torch.complex128)

    def send(values: Tensor) -> Tensor:
        return apply_channel(name, dataclasses.replace(template, values=values), 3.0, seed=1, **options).values

    values = template.values.clone().requires_grad_()
    assert torch.autograd.gradcheck(send, (values,))
    (gradient,) = torch.autograd.grad(send(values).abs().square().sum(), values)
    assert (gradient != 0).any()


@every_channel
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_precision_follows_the_symbols(make_symbols, name, options, dtype):
    received = apply_channel(name, make_symbols(tokens=3, dtype=dtype), 3.0, **options)
    assert received.values.dtype == dtype
    assert received.state.gain.dtype == dtype
    assert received.state.noise_variance.dtype == received.values.real.dtype


@every_channel
def test_empty_clip_gives_an_empty_clip(make_symbols, name, options):
    received = apply_channel(name, make_symbols(tokens=0), 3.0, **options)
    assert received.values.shape == (1, 0, 80)
    assert received.state.noise_variance.shape == (1, 0)


def test_clean_changes_nothing(make_symbols):
    symbols = make_symbols()
    received = clean(symbols)
    assert torch.equal(received.values, symbols.values)
    assert (received.state.gain == 1).all()
    assert (received.state.noise_variance == 0).all()
    assert not received.state.erased.any()


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(CHANNELS)),
    rate=st.sampled_from([150, 300, 500, 600, 700, 1000, 1200, 175]),
    tokens=st.integers(1, 40),
    batch=st.integers(1, 3),
    token_frames=st.sampled_from([2, 4, 5, 8, 12]),
    snr_db=st.floats(-30, 60),
    state=st.sampled_from(["perfect", "estimated", "none"]),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_clip_gives_valid_values(name, rate, tokens, batch, token_frames, snr_db, state, seed):
    n = rate * token_frames // 100
    symbols = Symbols(torch.ones(batch, tokens, n, dtype=torch.complex64), rate, token_frames)
    received = apply_channel(name, symbols, snr_db, csi=state, seed=seed)
    received.validate()
    assert received.values.shape == symbols.values.shape


def test_an_hour_at_the_highest_rate_works(make_symbols):
    symbols = Symbols(torch.ones(1, 45_000, 96, dtype=torch.complex64), 1200, token_frames=8)
    received = rician(symbols, 10.0, doppler_hz=5.0, csi="perfect", seed=1)
    assert float(received.state.gain.abs().square().mean()) == pytest.approx(1, abs=0.05)


def test_seeded_noise_is_numpys_and_the_same_in_both_precisions(make_symbols):
    symbols = make_symbols(tokens=3, dtype=torch.complex128)
    noise = (awgn(symbols, 0.0, seed=[11]).values - symbols.values).numpy()
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([11, 0])))
    drawn = generator.standard_normal((*symbols.values.shape[1:], 2)) * 0.5**0.5
    np.testing.assert_allclose(noise[0], drawn[..., 0] + 1j * drawn[..., 1], atol=1e-12)
    single = dataclasses.replace(symbols, values=symbols.values.to(torch.complex64))
    assert torch.allclose(awgn(single, 0.0, seed=[11]).values, awgn(symbols, 0.0, seed=[11]).values.to(torch.complex64))


@every_channel
def test_a_seed_neither_reads_nor_moves_torchs_generator(make_symbols, name, options):
    symbols = make_symbols(batch=2, tokens=5)
    torch.manual_seed(1)
    first = apply_channel(name, symbols, 3.0, seed=4, **options)
    untouched = torch.rand(1)
    torch.manual_seed(2)
    assert torch.equal(first.values, apply_channel(name, symbols, 3.0, seed=4, **options).values)
    torch.manual_seed(1)
    assert torch.equal(untouched, torch.rand(1))


def test_streams_of_one_seed_are_unrelated():
    draws = [Draws(torch.empty(1), 3, stream=stream).uniform(4000)[0] for stream in range(6)]
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(6)
    assert correlations.abs().max() < 0.06


@every_channel
def test_a_generator_of_numpy_goes_on(make_symbols, name, options):
    symbols = make_symbols(batch=2, tokens=5)
    generator = np.random.default_rng(1)
    first, second = (apply_channel(name, symbols, 3.0, generator=generator, **options) for _ in range(2))
    again = apply_channel(name, symbols, 3.0, generator=np.random.default_rng(1), **options)
    assert torch.equal(first.values, again.values)
    assert name == "clean" or not torch.equal(first.values, second.values)
