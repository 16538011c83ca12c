"""Ordered symbols: nested rates, unit power, and a decoder that hears only the air."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from aether_lite.channels import awgn, clean, erase, rayleigh
from aether_lite.codec import SpiCodec, load_codec, preset, save_codec
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.jscc import LatentPower, equalise, latent_estimates, scaled
from aether_lite.payload import RATES, TARGET_SNRS_DB, ChannelState, Received, Symbols, papr_db


@pytest.fixture(scope="module")
def held(speech_features: torch.Tensor) -> SpiCodec:
    """An untrained codec that holds the power of every token."""
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), power="token", linear=False))
    start(model, speech_features)
    return model.eval()


@pytest.mark.parametrize("rate", RATES)
def test_the_power_of_speech_is_1_at_every_rate(tiny: SpiCodec, speech_features: torch.Tensor, rate: int) -> None:
    symbols, _ = tiny.encode(speech_features, rate)  # the features that the constants were measured on
    assert symbols.values.shape == (2, 60, rate * 8 // 100)
    assert float(symbols.values.abs().square().mean()) == pytest.approx(1, abs=1e-4)
    one, _ = tiny.encode(speech_features[:1, :80], rate)
    torch.testing.assert_close(one.values[0], symbols.values[0, :10], atol=1e-5, rtol=1e-5)  # never of the clip
    assert 0 < papr_db(symbols.values) < 25


@pytest.mark.parametrize("rate", RATES)
def test_every_token_has_unit_power_at_every_rate(held: SpiCodec, speech_features: torch.Tensor, rate: int) -> None:
    symbols, _ = held.encode(speech_features, rate)
    assert symbols.values.shape == (2, 60, rate * 8 // 100)
    power = symbols.values.abs().square().mean(-1)
    torch.testing.assert_close(power, torch.ones_like(power), atol=1e-4, rtol=0)
    assert 0 < papr_db(symbols.values) < 20


@pytest.mark.parametrize("rate", RATES[:-1])
def test_a_slower_stream_is_a_prefix_of_the_fastest(tiny: SpiCodec, speech_features: torch.Tensor, rate: int) -> None:
    slow, _ = tiny.encode(speech_features, rate)
    fast, _ = tiny.encode(speech_features, 1200)
    prefix = fast.values[..., : slow.values.shape[2]]
    gain = slow.values / prefix
    torch.testing.assert_close(gain.imag, torch.zeros_like(gain.imag), atol=1e-4, rtol=0)
    assert (gain.real > 0).all()
    torch.testing.assert_close(gain.real, gain.real.mean(-1, keepdim=True).expand_as(gain.real), atol=1e-3, rtol=1e-3)


def tokens_of(model: SpiCodec, received: Received) -> torch.Tensor:
    tokens: torch.Tensor = model.jscc_decoder(
        *model.jscc_decoder.decoder_inputs(model.bottleneck.estimates(received, model.power))
    )
    return tokens


def test_mixed_rates_in_a_batch_equal_items_alone(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    rates = torch.tensor([300, 1000])
    latents, _ = tiny.latents(speech_features)
    together = tiny.bottleneck.send(latents, rates, 8, tiny.power)
    decoded = tokens_of(tiny, clean(together))
    for item, rate in enumerate(rates.tolist()):
        alone = tiny.bottleneck.send(latents[item : item + 1], rate, 8, tiny.power)
        heard = tokens_of(tiny, clean(alone))
        n = alone.values.shape[2]
        torch.testing.assert_close(together.values[item, :, :n], alone.values[0])
        assert (together.values[item, :, n:] == 0).all()
        torch.testing.assert_close(decoded[item], heard[0], atol=1e-5, rtol=1e-5)


def test_measured_snr_over_speech_is_the_one_asked_for(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    symbols, _ = tiny.encode(speech_features.repeat(8, 1, 1), 1200)
    for snr_db in (-6.0, 6.0):
        received = awgn(symbols, snr_db, seed=3)
        noise = received.values - symbols.values
        measured = 10 * torch.log10(symbols.values.abs().square().mean() / noise.abs().square().mean())
        assert abs(float(measured) - snr_db) < 0.1


def test_nothing_passes_when_every_token_is_lost(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    symbols, _ = tiny.encode(speech_features, 600)
    lost = erase(clean(symbols), 1.0, seed=0)
    decoded, _ = tiny.decode(lost)
    torch.testing.assert_close(decoded[0], decoded[1], atol=0, rtol=0)


def test_decoder_is_told_snr_rate_and_state(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    torch.manual_seed(1)
    model = SpiCodec(tiny.config)
    model.load_state_dict(tiny.state_dict())
    for film in (model.jscc_decoder.film_hidden, model.jscc_decoder.film_token, model.jscc_encoder.film):
        torch.nn.init.normal_(film.outer.weight, std=0.3)
    symbols, _ = model.encode(speech_features, 600)
    low, _ = model.decode(awgn(symbols, 0.0, seed=0, csi="perfect"))
    withheld, _ = model.decode(awgn(symbols, 0.0, seed=0, csi="none"))
    assert (low - withheld).abs().max() > 1e-3
    aimed, _ = model.encode(speech_features, 600, target_snr_db=-3.0)
    assert (aimed.values - symbols.values).abs().max() > 1e-3


def test_conditions_of_the_decoder_are_snr_rate_and_erasure(tiny: SpiCodec) -> None:
    noise = torch.tensor([[0.1, torch.nan, 1.0], [1e-3, 10.0, 1e-5]])
    state = ChannelState(None, noise, torch.tensor([[False, False, True], [False, True, False]]))
    received = Received(torch.zeros(2, 3, 96, dtype=torch.complex64), torch.tensor([300, 1200]), state, token_frames=8)
    _, conditions = tiny.jscc_decoder.decoder_inputs(tiny.bottleneck.estimates(received, tiny.power))
    # SNR in units of 10 dB, clamped to 30 dB, and whether it is known; octaves from 600 uses/s; erased
    expected = [[[1, 1, -1, 0], [0, 0, -1, 0], [0, 1, -1, 1]], [[3, 1, 1, 0], [-1, 1, 1, 1], [3, 1, 1, 0]]]
    torch.testing.assert_close(conditions, torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=0)


def test_the_equaliser_undoes_fading_as_far_as_noise_allows() -> None:
    """Simulated: its estimates are those of least mean square error, and its reliability says how good they are."""
    values = torch.randn(4, 2000, 40, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    sent = Symbols(values, 500, token_frames=8)
    front = equalise(rayleigh(sent, 6.0, seed=1, csi="perfect"), sent.used)
    error = values - front.symbols
    assert abs(complex((error * front.symbols.conj()).mean())) < 0.01  # orthogonality
    assert float(error.abs().square().mean()) == pytest.approx(float(1 - front.reliability.mean()), abs=0.01)
    assert complex((front.symbols * values.conj()).mean()) == pytest.approx(float(front.reliability.mean()), abs=0.01)


def test_posterior_means_are_those_of_gaussian_latents() -> None:
    """Simulated: latents of known variance over AWGN; no linear estimate is nearer than the means."""
    generator = torch.Generator().manual_seed(0)
    power = torch.tensor([4.0, 1.0, 0.25, 0.04])
    latents = torch.randn(1, 20000, 4, generator=generator) * power.sqrt()
    used = torch.ones(1, 1, 2, dtype=torch.bool)
    sent = Symbols(scaled(torch.view_as_complex(latents.reshape(1, -1, 2, 2)), used, power), 25, token_frames=8)
    assert float(sent.values.abs().square().mean()) == pytest.approx(1, abs=0.02)
    heard = latent_estimates(equalise(awgn(sent, 3.0, seed=1, csi="perfect"), used), used, power)
    means = torch.stack(heard, -1).flatten(-2)[0]
    units = latents[0] / power.sqrt()
    error = units - means
    assert (error * means).mean(0).abs().max() < 0.02  # orthogonality
    scale = 2 * power / power.sum()  # variance of each real part as sent; noise has 10^-0.3 / 2
    expected = 1 / (1 + scale / (10**-0.3 / 2))
    torch.testing.assert_close(error.square().mean(0), expected, atol=0.02, rtol=0)


def test_the_gradient_pays_for_power_and_the_value_ignores_the_batch() -> None:
    power = LatentPower(4)
    power.set(torch.tensor([1.0, 1.0, 0.5, 0.5]))
    latents = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    used = torch.ones(3, 1, 2, dtype=torch.bool)
    before = power.values.clone()
    followed = power.followed(latents)
    torch.testing.assert_close(followed.detach(), power.values)
    torch.testing.assert_close(power.values, 0.98 * before + 0.02 * latents.detach().square().mean((0, 1)))
    symbols = scaled(torch.view_as_complex(latents.reshape(3, 5, 2, 2)), used, followed)
    (symbols.abs().square().sum() / 2).backward()
    assert latents.grad is not None
    # were the constants the batch's own mean squares, the energy of the batch would be fixed: no radial gradient
    own = latents.detach().square().mean((0, 1))
    ratio = float(own.sum() / power.values.sum())
    radial = float((latents.grad * latents.detach()).sum() / symbols.detach().abs().square().sum())
    assert radial == pytest.approx(1 - ratio, abs=1e-4)


def test_power_is_1_for_every_told_snr(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    """An encoder that spends more where it is told of noise does not get more: every link has power 1 by itself."""
    torch.manual_seed(1)
    model = SpiCodec(tiny.config)
    model.load_state_dict(tiny.state_dict())
    torch.nn.init.normal_(model.jscc_encoder.film.outer.weight, std=3.0)
    told_before, _ = model.encode(speech_features, 1000, target_snr_db=-10.0)
    assert abs(float(told_before.values.abs().square().mean()) - 1) > 0.02  # constants of the weights before
    model.measure_power(speech_features)
    again, _ = model.encode(speech_features, 1000)
    assert float(again.values.abs().square().mean()) == pytest.approx(1, abs=1e-4)
    for rate in (150, 1000):
        for snr_db in (-20.0, *TARGET_SNRS_DB, 40.0):  # beyond the grid: as at its ends
            sent, _ = model.encode(speech_features, rate, target_snr_db=snr_db)
            assert float(sent.values.abs().square().mean()) == pytest.approx(1, abs=1e-4)
        for snr_db in (-7.5, 0.0, 12.3):
            sent, _ = model.encode(speech_features, rate, target_snr_db=snr_db)
            assert float(sent.values.abs().square().mean()) == pytest.approx(1, abs=0.02)


def test_a_codec_whose_power_was_not_measured_for_told_snrs_says_so(
    tiny: SpiCodec, speech_features: torch.Tensor, tmp_path: Path
) -> None:
    save_codec(tiny, tmp_path / "new.safetensors", {})
    with safe_open(tmp_path / "new.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != "latent_power.told"}  # noqa: SIM118
        (tmp_path / "old.safetensors").write_bytes(save(tensors, file.metadata()))
    old, _ = load_codec(tmp_path / "old.safetensors")
    new, _ = load_codec(tmp_path / "new.safetensors")
    assert torch.equal(old.encode(speech_features, 300)[0].values, new.encode(speech_features, 300)[0].values)
    new.encode(speech_features, 300, target_snr_db=3.0)
    with pytest.raises(AetherError, match="never measured for target SNRs"):
        old.encode(speech_features, 300, target_snr_db=3.0)
