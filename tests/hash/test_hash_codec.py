"""The hash codec on speech: bits, prefixes, the channel as the only way, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.channels import bsc, lose_tokens
from aether_lite.codec import Codec, SpiCodec, is_hash_codec, load, load_codec, preset, save_codec, start_hash_codec
from aether_lite.errors import AetherError
from aether_lite.payload import BIT_RATES, Bits, ReceivedBits


@pytest.fixture(scope="module")
def model(tiny_hash: SpiCodec) -> SpiCodec:
    return tiny_hash


@pytest.fixture
def codec(tiny_hash_codec: Codec) -> Codec:
    return tiny_hash_codec


def test_rates_hold_their_bits_and_lower_ones_are_prefixes(model: SpiCodec, speech_features: Tensor) -> None:
    sent = {rate: model.encode(speech_features, rate)[0] for rate in BIT_RATES}
    assert [sent[rate].values.shape[2] for rate in BIT_RATES] == [24, 48, 96, 192]
    for rate, bits in sent.items():
        bits.validate()
        assert torch.equal(bits.values, sent[2400].values[..., : rate * 8 // 100])
        assert torch.equal(sent[2400].prefix(rate).values, bits.values)


def test_mixed_rates_send_the_bits_of_each(model: SpiCodec, speech_features: Tensor) -> None:
    mixed = model.bottleneck.send(model.latents(speech_features)[0], torch.tensor([300, 1200]), 8)
    mixed.validate()
    assert torch.equal(mixed.values[0, :, :24], model.encode(speech_features, 300)[0].values[0])
    assert not mixed.values[0, :, 24:].any()


def test_bits_do_not_depend_on_the_batch_or_the_length(codec: Codec, speech_features: Tensor) -> None:
    together = codec.encode_features(speech_features, 2400)
    for item in range(2):
        alone = codec.encode_features(speech_features[item : item + 1], 2400)
        assert torch.equal(alone.values[0], together.values[item])
    other = torch.cat((speech_features[:1], 3 * speech_features[1:] + 1))
    assert torch.equal(codec.encode_features(other, 2400).values[0], together.values[0])
    assert torch.equal(codec.encode_features(speech_features[:, :160], 2400).values, together.values[:, :20])


def test_speech_to_bits_and_soft_bits_to_speech(codec: Codec, speech: np.ndarray) -> None:
    bits = codec.encode(speech[:1, :6000], 600)
    assert bits.values.shape == (1, 5, 48)
    heard = codec.decode(bsc(bits, 0.01, seed=1))
    assert heard.shape == (1, 6400)
    assert torch.isfinite(heard).all()


def test_long_speech_is_decoded_in_pieces_without_a_seam(
    codec: Codec, speech_features: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = bsc(codec.encode_features(speech_features[:1], 600), 0.02, seed=1)
    whole = codec.decode_features(received)
    monkeypatch.setattr("aether_lite.codec.model.BLOCK_TOKENS", 7)
    torch.testing.assert_close(codec.decode_features(received), whole, atol=1e-5, rtol=0)


def test_nothing_bypasses_the_channel(model: SpiCodec, speech_features: Tensor) -> None:
    """At an error rate of 1/2 the output is that of the rate and the length alone, and no gradient passes."""
    torch.manual_seed(2)
    model = SpiCodec(model.config)
    outputs = []
    for features in (speech_features, speech_features.flip(0)):
        sent = model(features[:, :160], 2400, lambda bits: bsc(bits, 0.5, csi="perfect", seed=1))
        outputs.append(sent.features.detach())
        sent.features.sum().backward()
    assert torch.equal(*outputs)
    for part in (model.spi_encoder, model.jscc_encoder):
        assert all(p.grad is None or not p.grad.any() for p in part.parameters())
    less = model(speech_features[:, :160], 2400, lambda bits: bsc(bits, 0.1, csi="perfect", seed=1))
    assert not torch.equal(less.features, outputs[0])


def test_only_what_was_received_decodes(model: SpiCodec, speech_features: Tensor) -> None:
    """The decoder's output is a function of ReceivedBits: the same soft bits of another sender decode alike."""
    received = bsc(model.encode(speech_features, 600)[0], 0.05, seed=1)
    copied = ReceivedBits(received.values.clone(), 600, received.erased.clone(), token_frames=8)
    assert torch.equal(model.decode(received)[0], model.decode(copied)[0])
    with pytest.raises(AetherError, match="decodes ReceivedBits, not Bits"):
        model.decode(model.encode(speech_features, 600)[0])  # bits that crossed no channel


def test_erased_tokens_decode_by_their_own_path(model: SpiCodec, speech_features: Tensor) -> None:
    torch.manual_seed(1)
    trained = SpiCodec(model.config).eval()
    torch.nn.init.normal_(trained.jscc_decoder.film_token.outer.weight, std=0.3)  # starts as zero
    bits = trained.encode(speech_features, 600)[0]
    whole = bsc(bits, 0.0, csi="perfect")
    lost = lose_tokens(whole, 0.3, seed=3)
    a, b = trained.decode(whole)[0], trained.decode(lost)[0]
    assert torch.isfinite(b).all()
    first = int(lost.erased[0].nonzero()[0])
    assert torch.equal(a[0, : 8 * first], b[0, : 8 * first])
    assert not torch.equal(a[0, 8 * first :], b[0, 8 * first :])
    unmarked = ReceivedBits(lost.values, 600, torch.zeros_like(lost.erased), token_frames=8)
    assert not torch.equal(trained.decode(unmarked)[0], b)
    other = Bits(-bits.values, 600, token_frames=8)  # what a lost token held does not matter
    swapped = torch.where(lost.erased[:, :, None], bsc(other, 0.0, csi="perfect").values, whole.values)
    again = lose_tokens(ReceivedBits(swapped, 600, torch.zeros_like(lost.erased), token_frames=8), 0.3, seed=3)
    assert torch.equal(trained.decode(again)[0], b)


def test_gradient_passes_from_the_features_to_the_encoder(model: SpiCodec, speech_features: Tensor) -> None:
    torch.manual_seed(0)
    codec = SpiCodec(model.config).train()
    sent = codec(speech_features[:, :80], torch.tensor([600, 1200]), lambda bits: bsc(bits, 0.05, seed=1))
    sent.features.square().mean().backward()
    for part in (codec.spi_encoder, codec.jscc_encoder):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert sum(float(g.abs().sum()) for g in gradients) > 0
        assert all(torch.isfinite(g).all() for g in gradients)


def test_a_codec_file_says_what_it_is(model: SpiCodec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aether_lite.cli.main import main

    path = tmp_path / "hash_tiny.safetensors"
    save_codec(model, path, {"steps_done": 3})
    assert is_hash_codec(path)
    loaded, provenance = load_codec(path)
    assert provenance == {"steps_done": 3}
    assert loaded.config == model.config
    for ours, theirs in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert load(path).token_frames == 8
    assert (load(path).unit, load(path).rates) == ("bit/s", BIT_RATES)
    for reader in (load_codec, load):
        with pytest.raises(AetherError, match="is a hash codec, which sends bits, and not a codec of symbols"):
            reader(path, unit="uses/s")
    with pytest.raises(SystemExit) as done:
        main(["info", str(path), "--json"])
    assert not done.value.code
    record = json.loads(capsys.readouterr().out)["model"]
    assert record["config"]["hash"] == "sign"
    assert record["bits_per_token"] == {"300": 24, "600": 48, "1200": 96, "2400": 192}
    with pytest.raises(SystemExit) as done:
        main(["info", str(path)])
    assert not done.value.code
    assert "hash codec" in capsys.readouterr().out


def test_an_analogue_codec_file_is_as_before_and_can_be_the_start(tiny: SpiCodec, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "codec_tiny.safetensors"
    save_codec(tiny, path, {})
    with safe_open(path, framework="pt") as file:
        assert "hash" not in json.loads(file.metadata()["config"])
    assert not is_hash_codec(path)
    with pytest.raises(AetherError, match="is a codec of symbols"):
        load_codec(path, "bit/s")
    start = start_hash_codec(path)
    assert start.config == replace(tiny.config, hash="sign")
    assert start.state_dict().keys() == tiny.state_dict().keys() - {"latent_power.values", "latent_power.told"}


def test_a_rate_or_an_option_that_does_not_exist_is_a_stated_error(codec: Codec, speech_features: Tensor) -> None:
    with pytest.raises(AetherError, match="rate 500 bit/s is not one of 300, 600, 1200, 2400"):
        codec.encode_features(speech_features, 500)
    with pytest.raises(ValueError, match="hash must be one of '', 'sign', not 'median'"):
        replace(preset("tiny"), hash="median")
    with pytest.raises(AetherError, match="has no target SNR"):
        codec.encode_features(speech_features, 600, target_snr_db=3.0)
    short = ReceivedBits(torch.zeros(1, 2, 6), 300, torch.zeros(1, 2, dtype=torch.bool), token_frames=2)
    with pytest.raises(AetherError, match="tokens of 2 frames"):
        codec.decode_features(short)
