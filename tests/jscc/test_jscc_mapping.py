"""Ordered symbols: nested rates, unit power, and a decoder that hears only the air."""

from __future__ import annotations

import pytest
import torch

from aether_lite.channels import awgn, clean, erase
from aether_lite.codec import SpiJscc
from aether_lite.jscc import RATES
from aether_lite.jscc.power import papr_db


@pytest.mark.parametrize("rate", RATES)
def test_every_token_has_unit_power_at_every_rate(tiny: SpiJscc, speech_features: torch.Tensor, rate: int) -> None:
    symbols, _ = tiny.encode(speech_features, rate)
    assert symbols.values.shape == (2, 60, rate * 8 // 100)
    power = symbols.values.abs().square().mean(-1)
    torch.testing.assert_close(power, torch.ones_like(power), atol=1e-4, rtol=0)
    assert 0 < papr_db(symbols.values) < 20


@pytest.mark.parametrize("rate", RATES[:-1])
def test_a_slower_stream_is_a_prefix_of_the_fastest(tiny: SpiJscc, speech_features: torch.Tensor, rate: int) -> None:
    slow, _ = tiny.encode(speech_features, rate)
    fast, _ = tiny.encode(speech_features, 1200)
    prefix = fast.values[..., : slow.values.shape[2]]
    gain = slow.values / prefix
    torch.testing.assert_close(gain.imag, torch.zeros_like(gain.imag), atol=1e-4, rtol=0)
    assert (gain.real > 0).all()
    torch.testing.assert_close(gain.real, gain.real.mean(-1, keepdim=True).expand_as(gain.real), atol=1e-3, rtol=1e-3)


def test_mixed_rates_in_a_batch_equal_items_alone(tiny: SpiJscc, speech_features: torch.Tensor) -> None:
    rates = torch.tensor([300, 1000])
    tokens, _ = tiny.spi_encoder(tiny.image(speech_features))
    together = tiny.jscc_encoder(tokens, rates)
    decoded = tiny.jscc_decoder(clean(together))
    for item, rate in enumerate(rates.tolist()):
        alone = tiny.jscc_encoder(tokens[item : item + 1], rate)
        n = alone.values.shape[2]
        torch.testing.assert_close(together.values[item, :, :n], alone.values[0])
        assert (together.values[item, :, n:] == 0).all()
        torch.testing.assert_close(decoded[item], tiny.jscc_decoder(clean(alone))[0], atol=1e-5, rtol=1e-5)


def test_measured_snr_over_speech_is_the_one_asked_for(tiny: SpiJscc, speech_features: torch.Tensor) -> None:
    symbols, _ = tiny.encode(speech_features.repeat(8, 1, 1), 1200)
    for snr_db in (-6.0, 6.0):
        received = awgn(symbols, snr_db, seed=3)
        noise = received.values - symbols.values
        measured = 10 * torch.log10(symbols.values.abs().square().mean() / noise.abs().square().mean())
        assert abs(float(measured) - snr_db) < 0.1


def test_nothing_passes_when_every_token_is_lost(tiny: SpiJscc, speech_features: torch.Tensor) -> None:
    symbols, _ = tiny.encode(speech_features, 600)
    lost = erase(clean(symbols), 1.0, seed=0)
    decoded, _ = tiny.decode(lost)
    torch.testing.assert_close(decoded[0], decoded[1], atol=0, rtol=0)


def test_decoder_is_told_snr_rate_and_state(tiny: SpiJscc, speech_features: torch.Tensor) -> None:
    torch.manual_seed(1)
    model = SpiJscc(tiny.config)
    model.load_state_dict(tiny.state_dict())
    for film in (model.jscc_decoder.film_hidden, model.jscc_decoder.film_token, model.jscc_encoder.film):
        torch.nn.init.normal_(film.outer.weight, std=0.3)
    symbols, _ = model.encode(speech_features, 600)
    low, _ = model.decode(awgn(symbols, 0.0, seed=0, state="exact"))
    withheld, _ = model.decode(awgn(symbols, 0.0, seed=0, state="withheld"))
    assert (low - withheld).abs().max() > 1e-3
    aimed, _ = model.encode(speech_features, 600, target_snr_db=-3.0)
    assert (aimed.values - symbols.values).abs().max() > 1e-3
