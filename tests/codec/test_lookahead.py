"""A decoder that looks a token ahead: what it sees, how streams of it begin and end, what it states as latency."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.channels import Received, awgn, bsc, clean, erase, lose_tokens
from aether_lite.codec import Codec, SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.payload import ChannelState
from aether_lite.streaming import Decoder

FRAMES = 4
AHEAD = replace(preset("tiny"), token_frames=FRAMES, lookahead=1)


def _listening(model: SpiCodec, features: Tensor) -> None:
    """Start the model as if trained to hear the token behind."""
    start(model, features)
    assert model.ahead is not None
    torch.nn.init.normal_(model.ahead.next.weight, std=0.2)
    model.eval()


@pytest.fixture(scope="module")
def model(speech_features: Tensor) -> SpiCodec:
    torch.manual_seed(0)
    made = SpiCodec(AHEAD)
    _listening(made, speech_features)
    return made


@pytest.fixture(scope="module")
def codec(model: SpiCodec) -> Codec:
    return Codec(model)


@pytest.fixture(scope="module")
def bit_codec(speech_features: Tensor) -> Codec:
    torch.manual_seed(0)
    made = SpiCodec(replace(AHEAD, hash="sign"))
    _listening(made, speech_features)
    return Codec(made)


def part(received: Received, tokens: slice) -> Received:
    known = received.state
    assert known.gain is not None
    assert known.noise_variance is not None
    state = ChannelState(known.gain[:, tokens], known.noise_variance[:, tokens], known.erased[:, tokens])
    return Received(received.values[:, tokens], received.rate, state, received.token_frames)


def test_a_token_hears_the_one_behind_it_and_no_further(model: SpiCodec, speech_features: Tensor) -> None:
    received = awgn(model.encode(speech_features, 1000)[0], 10.0, seed=0)
    before = model.decode_clip(received)
    assert before.shape == speech_features.shape
    values = received.values.clone()
    values[:, 30] *= -1
    changed = model.decode_clip(Received(values, 1000, received.state, FRAMES))
    first = int(torch.nonzero((before != changed).any(-1).any(0))[0])
    assert 29 * FRAMES <= first < 30 * FRAMES


def test_training_hears_what_decoding_hears(model: SpiCodec, speech_features: Tensor) -> None:
    with torch.no_grad():
        sent = model(speech_features, 600, lambda symbols: awgn(symbols, 5.0, seed=1))
    heard = model.decode_clip(awgn(model.encode(speech_features, 600)[0], 5.0, seed=1))
    torch.testing.assert_close(sent.features, heard, atol=1e-5, rtol=0)
    assert sent.image.shape == sent.target_image.shape
    assert sent.decoder_semantics.pitch.shape == sent.encoder_semantics.pitch.shape


def test_training_reaches_the_weights_that_look_ahead(speech_features: Tensor) -> None:
    torch.manual_seed(0)
    fresh = SpiCodec(AHEAD)
    start(fresh, speech_features)
    assert fresh.ahead is not None
    assert not fresh.ahead.next.weight.any()
    fresh(speech_features, 600, clean).features.square().sum().backward()
    grad = fresh.ahead.next.weight.grad
    assert grad is not None
    assert float(grad.abs().max()) > 0


def test_blocks_join_without_a_seam(codec: Codec, speech_features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    received = awgn(codec.encode_features(speech_features, 600), 8.0, seed=0)
    at_once = codec.decode_features(received)
    monkeypatch.setattr("aether_lite.codec.model.BLOCK_TOKENS", 7)
    torch.testing.assert_close(codec.decode_features(received), at_once, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2, 9), (30,)])
def test_a_stream_gives_what_the_codec_gives_at_once(codec: Codec, speech: np.ndarray, cuts: tuple[int, ...]) -> None:
    symbols = codec.encode(speech[:1, :19_200], 600)
    received = erase(awgn(symbols, 12.0, seed=2), 0.1, seed=3)
    decoder = Decoder(codec, mute=False)
    heard = [decoder.push(part(received, slice(a, b))) for a, b in itertools.pairwise((0, *cuts, 30))]
    heard.append(decoder.flush())
    features, samples = (torch.cat([getattr(piece, name) for piece in heard]) for name in ("features", "samples"))
    torch.testing.assert_close(features, codec.decode_features(received)[0], atol=1e-5, rtol=0)
    assert len(samples) == 19_200
    torch.testing.assert_close(samples, codec.decode(received)[0], atol=1e-3, rtol=0)


def test_a_stream_begins_and_ends(codec: Codec, speech: np.ndarray) -> None:
    received = clean(codec.encode(speech[:1, :1920], 600))
    decoder = Decoder(codec)
    assert [len(decoder.push(part(received, slice(k, k + 1))).samples) for k in range(3)] == [0, 400, 640]
    last = decoder.flush()
    assert (len(last.samples), len(last.features), len(last.muted)) == (880, FRAMES, 1)
    assert len(decoder.flush().samples) == 0
    decoder.push(part(received, slice(0, 1)))  # a new stream
    assert len(decoder.flush().samples) == 640


def test_a_waiting_token_is_part_of_the_state(codec: Codec, speech: np.ndarray) -> None:
    received = awgn(codec.encode(speech[:1, :6400], 600), 10.0, seed=0)
    decoder, fresh = Decoder(codec), Decoder(codec)
    decoder.push(part(received, slice(0, 4)))
    fresh.load_state_dict(decoder.state_dict())
    rest = part(received, slice(4, None))
    assert torch.equal(decoder.push(rest).samples, fresh.push(rest).samples)
    assert torch.equal(decoder.flush().samples, fresh.flush().samples)
    decoder.push(rest)
    kept, other = decoder.state_dict(), Decoder(Codec(SpiCodec(replace(AHEAD, lookahead=0)).eval()))
    with pytest.raises(AetherError, match="no state of such a stream"):
        other.load_state_dict(kept)


def test_streams_of_bits(bit_codec: Codec, speech_features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = bit_codec.encode_features(speech_features[:1, :120], 600)
    received = lose_tokens(bsc(bits, 0.05, seed=0), 0.2, seed=1)
    offline = bit_codec.decode_features(received)[0]
    decoder = Decoder(bit_codec, mute=False)
    heard = decoder.push(received)
    last = decoder.flush()
    torch.testing.assert_close(torch.cat((heard.features, last.features)), offline, atol=1e-5, rtol=0)
    assert len(heard.samples) + len(last.samples) == 120 * 160
    assert len(decoder.flush().samples) == 0
    monkeypatch.setattr("aether_lite.codec.model.BLOCK_TOKENS", 7)
    torch.testing.assert_close(bit_codec.decode_features(received)[0], offline, atol=1e-5, rtol=0)


def test_the_stated_latency_holds_and_is_reached(model: SpiCodec, speech: np.ndarray) -> None:
    codec = Codec(model)
    assert codec.latency.samples == Codec(SpiCodec(replace(AHEAD, lookahead=0))).latency.samples + FRAMES * 160
    reach = []
    for position in range(20480, 20480 + FRAMES * 160, 80):
        changed = speech[0].copy()
        changed[position : position + 400] += 0.5
        outputs = [codec.decode(clean(codec.encode(x, rate=1200)))[0] for x in (speech[0], changed)]
        first = int(torch.nonzero((outputs[0] - outputs[1]).abs() > 1e-6)[0, 0])
        reach.append(position - first)
    assert codec.latency.samples - 2 * 160 <= max(reach) < codec.latency.samples


def test_nobody_looks_two_tokens_ahead() -> None:
    with pytest.raises(ValueError, match="lookahead must be one of 0, 1, not 2"):
        replace(AHEAD, lookahead=2)
