"""The learned codec: causal, streamable, bounded, with gradient everywhere."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import aether_lite.training.curriculum  # noqa: F401  (every loss registers)
from aether_lite.channels import awgn, clean
from aether_lite.codec import PRESETS, SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.losses.registry import SPI, SpiInputs
from aether_lite.payload import ChannelState, Received
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import balance, draw
from tiny_asr import tiny_asr_loss


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "limit"), [("tiny", 200_000), ("small", 2_000_000), ("base", 8_000_000)])
def test_presets_keep_their_size(name: str, limit: int) -> None:
    assert parameters(SpiCodec(preset(name))) <= limit


def test_unknown_preset_is_a_stated_error() -> None:
    with pytest.raises(AetherError, match="tiny, small, long, lowdelay, base"):
        preset("huge")


@pytest.mark.parametrize("name", PRESETS)
def test_changing_a_frame_changes_nothing_before_its_token(name: str, speech_features: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = SpiCodec(preset(name)).eval()
    frames = model.config.token_frames
    x = speech_features[:1, :160]
    y = x.clone()
    y[:, 83] += 1.0
    token = 83 // frames
    with torch.no_grad():
        a, _ = model.encode(x, 1000)
        b, _ = model.encode(y, 1000)
        assert torch.equal(a.values[:, :token], b.values[:, :token])
        assert not torch.allclose(a.values[:, token], b.values[:, token])
        da, db = (model.decode_clip(clean(symbols)) for symbols in (a, b))
    assert torch.equal(da[:, : frames * token], db[:, : frames * token])
    assert not torch.allclose(da[:, frames * token], db[:, frames * token])


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True))
def test_streaming_equals_offline(tiny: SpiCodec, speech_features: torch.Tensor, cuts: list[int]) -> None:
    whole, _ = tiny.encode(speech_features, 500)
    offline, _ = tiny.decode(awgn(whole, 5.0, seed=0, csi="perfect"))
    received = awgn(whole, 5.0, seed=0, csi="perfect")
    edges = [0, *sorted(cuts), 60]
    sent_state = heard_state = None
    sent, heard = [], []
    for a, b in itertools.pairwise(edges):
        symbols, sent_state = tiny.encode(speech_features[:, 8 * a : 8 * b], 500, None, sent_state)
        sent.append(symbols.values)
        state = received.state
        assert state.gain is not None
        assert state.noise_variance is not None
        part = Received(
            received.values[:, a:b],
            500,
            ChannelState(state.gain[:, a:b], state.noise_variance[:, a:b], state.erased[:, a:b]),
            token_frames=8,
        )
        features, heard_state = tiny.decode(part, heard_state)
        heard.append(features)
    torch.testing.assert_close(torch.cat(sent, 1), whole.values, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat(heard, 1), offline, atol=1e-5, rtol=0)


def test_decoded_features_stay_in_their_ranges(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    symbols, _ = tiny.encode(speech_features, 150)
    loud = awgn(symbols, -20.0, seed=0, csi="none")
    decoded, _ = tiny.decode(loud)
    assert torch.isfinite(decoded).all()
    assert decoded[..., 18].abs().max() <= 1.5
    assert decoded[..., 19].abs().max() <= 0.5


def test_same_input_same_bits(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    results = [tiny.decode(awgn(tiny.encode(speech_features, 300)[0], 3.0, seed=5))[0] for _ in range(2)]
    assert torch.equal(*results)


SPI_TERMS = tuple(SPI.weights(TrainConfig()))
MODULES = ("spi_encoder", "jscc_encoder", "jscc_decoder", "spi_decoder")


@pytest.mark.parametrize("term", SPI_TERMS)
def test_every_loss_term_reaches_every_module(term: str, speech_features: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = SpiCodec(preset("tiny"))
    start(model, speech_features)
    x = speech_features.repeat(4, 1, 1)[:, :96].clone()
    x[:, :16, :18] = 0.0
    x[:, :16, 0] = -12.485  # digital silence, for the term that hears it
    conditions = draw(TrainConfig(csi_none_share=0.0), 0, 0, range(8))
    sent = model(x, conditions.rate, conditions.transmit, conditions.target_snr_db)
    weight = balance(conditions.expected_loss)
    parts = SPI.values(SpiInputs(sent, x, weight, asr=tiny_asr_loss(), asr_items=[0, 4]), dict.fromkeys(SPI.terms, 1.0))
    assert set(parts) == set(SPI_TERMS)
    assert len(parts) >= 12
    parts[term].backward()
    for name in MODULES:
        gradients = [p.grad for p in getattr(model, name).parameters() if p.grad is not None]
        total = sum(float(g.abs().sum()) for g in gradients)
        assert total > 0, f"{term} does not reach {name}"
        assert all(torch.isfinite(g).all() for g in gradients)


def test_three_snrs_draw_the_middle_one_most_often() -> None:
    drawn = draw(TrainConfig(snr_db=[-7.0, 0.0, 22.0]), 3, 1, range(4000)).quality
    assert -7.0 <= float(drawn.min()) <= -5.0
    assert 19.0 <= float(drawn.max()) <= 22.0
    counts = torch.histc(drawn, 5, -7.5, 17.5)  # centres -5, 0, 5, 10, 15 dB
    assert int(counts.argmax()) == 1
    assert (counts[1:].diff() < 0).all()
    assert float(drawn.mean()) == pytest.approx(5.0, abs=0.5)  # a third of the sum of the three


def test_noise_is_on_and_told_from_the_first_step(tiny: SpiCodec, speech_features: torch.Tensor) -> None:
    x = speech_features.repeat(16, 1, 1)[:, :96]
    conditions = draw(TrainConfig(erasure_share=0.0, csi_none_share=0.0), 0, 0, range(32))
    symbols = tiny.bottleneck.send(tiny.latents(x)[0], conditions.rate, 8, tiny.power)
    received = conditions.transmit(symbols)
    assert received.state.gain is not None
    assert received.state.noise_variance is not None
    fading = torch.tensor([name not in ("awgn",) for name in conditions.channel])
    assert fading.any()
    assert (~fading).any()
    noise = (received.values - symbols.values)[~fading]
    used = symbols.used[~fading].expand(noise.shape)
    measured = torch.stack([n[u].abs().square().mean() for n, u in zip(noise, used, strict=True)])
    expected = 10 ** (-conditions.quality[~fading] / 10)
    torch.testing.assert_close(measured.log10(), expected.log10(), atol=0.15, rtol=0)
    # the gain told belongs to the realisation that acted: it explains the received symbols
    strong = fading & (conditions.quality > 10)
    for i in torch.nonzero(strong).flatten().tolist():
        u = symbols.used[i].expand(symbols.values.shape[1:])
        y, told = received.values[i][u], (received.state.gain * symbols.values)[i][u]
        assert (y - told).abs().square().mean() < 0.5 * y.abs().square().mean()
