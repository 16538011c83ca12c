"""Streams of bits: the same bits as the codec at once, the same features within rounding, losses, stored states."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from aether_lite.channels import Bits, ReceivedBits, bsc, lose_tokens
from aether_lite.codec import Codec, SpiCodec, preset
from aether_lite.container.layout import bit_array, received_bits
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig
from aether_lite.payload import BIT_RATES
from aether_lite.streaming import Decoder, Encoder
from aether_lite.streaming.channel import StreamChannel
from aether_lite.streaming.pipes import packed_bytes, packed_tokens, soft_bytes, soft_tokens

TOKEN = 1280


def pushed(encoder: Encoder, pieces: list[np.ndarray]) -> Tensor:
    return torch.cat([encoder.push(piece).values for piece in pieces] + [encoder.flush().values], dim=1)


@settings(max_examples=10, deadline=None)
@given(
    length=st.integers(1, 16_000),
    cuts=st.lists(st.integers(0, 16_000), max_size=12),
    rate=st.sampled_from(BIT_RATES),
    whole_numbers=st.booleans(),
)
def test_bits_are_those_of_the_codec_for_any_cutting(
    tiny_hash_codec: Codec, speech: np.ndarray, length: int, cuts: list[int], rate: int, whole_numbers: bool
) -> None:
    clip = speech[0, 4000 : 4000 + length]
    clip = (clip * 32768).astype(np.int16) if whole_numbers else clip
    streamed = pushed(Encoder(tiny_hash_codec, rate), np.split(clip, sorted(cut % length for cut in cuts)))
    apart = streamed != tiny_hash_codec.encode(clip, rate).values
    assert int(apart.sum()) <= 1  # a latent within rounding of its threshold


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 1900), max_size=8), rate=st.sampled_from(BIT_RATES), seed=st.integers(0, 99))
def test_features_are_those_of_the_codec_for_any_cutting(
    tiny_hash_codec: Codec, speech_features: Tensor, cuts: list[int], rate: int, seed: int
) -> None:
    bits = tiny_hash_codec.encode_features(speech_features[:1, :80], rate)
    received = lose_tokens(bsc(bits, 0.05, seed=seed), 0.3, seed=seed)
    offline = tiny_hash_codec.decode_features(received)[0]
    whole = Decoder(tiny_hash_codec).push(received)
    torch.testing.assert_close(whole.features, offline, atol=1e-5, rtol=0)
    soft = received.values.masked_fill(received.erased[:, :, None], float("nan")).flatten()
    edges = [0, *sorted(min(cut, len(soft)) for cut in cuts), len(soft)]
    decoder = Decoder(tiny_hash_codec, rate)
    pieces = [decoder.push_bits(soft[a:b]).features for a, b in itertools.pairwise(edges)]
    assert torch.equal(torch.cat(pieces), whole.features)


def test_samples_line_up_and_end(tiny_hash_codec: Codec, speech: np.ndarray) -> None:
    bits = Encoder(tiny_hash_codec, 600).push(speech[0, : 4 * TOKEN + 160])
    assert bits.values.shape == (1, 4, 48)
    decoder = Decoder(tiny_hash_codec)
    received = bsc(bits, 0.0, csi="perfect")
    heard = decoder.push(received)
    assert len(heard.samples) == 4 * TOKEN - 240
    last = decoder.flush()
    assert len(last.samples) == 240
    offline = tiny_hash_codec.decode(received)[0]
    torch.testing.assert_close(torch.cat([heard.samples, last.samples]), offline, atol=1e-3, rtol=0)
    assert len(decoder.flush().samples) == 0


def test_lost_tokens_are_concealed_and_long_gaps_muted(tiny_hash_codec: Codec, speech_features: Tensor) -> None:
    bits = tiny_hash_codec.encode_features(speech_features[:1, :160], 300)
    received = bsc(bits, 0.0, csi="perfect")
    decoder, never = (Decoder(tiny_hash_codec, 300, mute=mute) for mute in (True, False))
    decoder.push(received)
    never.push(received)
    assert decoder.lose(5).muted.tolist() == [False] * 5
    gap = decoder.lose(2)
    assert gap.muted.tolist() == [True, True]
    assert decoder.muted
    assert float(gap.samples[-1]) == 0
    again = decoder.push(received)
    assert not again.muted.any()
    assert float(again.samples[-1]) != 0
    assert not never.lose(9).muted.any()
    useless = bsc(Bits(bits.values, 300, token_frames=8), 0.45, csi="perfect")  # (1 - 2 p)^2 = 0.01
    assert decoder.push(useless).muted[6:].all()


@pytest.mark.parametrize("cut", [0, 100, 1440, 5000, 16_001])
def test_a_fresh_stream_goes_on_from_a_stored_state_to_the_bit(
    tiny_hash_codec: Codec, speech: np.ndarray, tmp_path: Path, cut: int
) -> None:
    def stored(state: dict[str, Tensor]) -> dict[str, Tensor]:
        save_file(state, tmp_path / "state.safetensors")
        return load_file(tmp_path / "state.safetensors")

    encoder, twin = Encoder(tiny_hash_codec, 1200), Encoder(tiny_hash_codec)
    first = encoder.push(speech[0, :cut])
    twin.load_state_dict(stored(encoder.state_dict()))
    assert twin.rate == 1200
    a, b = (torch.cat([e.push(speech[0, cut:20_000]).values, e.flush().values], dim=1) for e in (encoder, twin))
    assert torch.equal(a, b)

    decoder, copy = Decoder(tiny_hash_codec, 1200), Decoder(tiny_hash_codec)
    decoder.push_bits(0.8 * first.values.flatten())
    decoder.push_bits(a[0, 0, :7])
    copy.load_state_dict(stored(decoder.state_dict()))
    rest = a.flatten()[7 : 96 * 6]
    heard, again = (torch.cat([d.push_bits(rest).samples, d.flush().samples]) for d in (decoder, copy))
    assert torch.equal(heard, again)


def test_reset_forgets(tiny_hash_codec: Codec, speech: np.ndarray) -> None:
    fresh = pushed(Encoder(tiny_hash_codec, 300), [speech[0, :8000]])
    encoder, decoder = Encoder(tiny_hash_codec, 300), Decoder(tiny_hash_codec, 300)
    encoder.push(speech[1])
    encoder.reset()
    assert torch.equal(pushed(encoder, [speech[0, :8000]]), fresh)
    assert torch.equal(pushed(encoder, [speech[0, :8000]]), fresh)
    heard = decoder.push_bits(fresh.flatten()).features
    decoder.push_bits(fresh.flatten()[:5])
    decoder.reset()
    assert torch.equal(decoder.push_bits(fresh.flatten()).features, heard)


def test_the_rate_changes_between_tokens(tiny_hash_codec: Codec, speech: np.ndarray) -> None:
    encoder, decoder = Encoder(tiny_hash_codec, 300), Decoder(tiny_hash_codec, 300)
    for k, rate in enumerate((300, 2400, 600, 1200)):
        encoder.rate = rate
        bits = encoder.push(speech[0, 0 if k == 0 else TOKEN * k + 160 : TOKEN * (k + 1) + 160])
        assert bits.values.shape == (1, 1, rate * 8 // 100)
        assert len(decoder.push(bsc(bits, 0.0, csi="perfect")).features) == 8
        assert decoder.rate == rate


def test_what_cannot_be_pushed_is_a_stated_error(tiny_hash_codec: Codec, speech: np.ndarray) -> None:
    decoder = Decoder(tiny_hash_codec, 300)
    with pytest.raises(AetherError, match="soft bits must be one row"):
        decoder.push_bits(torch.zeros(2, 24))
    whole = ReceivedBits(torch.zeros(1, 1, 24), 300, torch.zeros(1, 1, dtype=torch.bool), token_frames=8)
    with pytest.raises(AetherError, match=r"a stream takes \[1, K, n\]"):
        decoder.push(ReceivedBits(torch.zeros(2, 1, 24), 300, torch.zeros(2, 1, dtype=torch.bool), token_frames=8))
    decoder.push_bits(torch.zeros(5))
    with pytest.raises(AetherError, match="5 bits of a token are waiting"):
        decoder.push(whole)
    with pytest.raises(AetherError, match="5 bits of a token at 300 are waiting"):
        decoder.rate = 600
    for make in (Encoder, Decoder):
        with pytest.raises(AetherError, match="rate 500 bit/s is not one of"):
            make(tiny_hash_codec, 500)
    encoder = Encoder(tiny_hash_codec)
    encoder.push(speech[0])
    with pytest.raises(AetherError, match="'target_snr_db' is missing"):
        encoder.load_state_dict(decoder.state_dict())
    other = Codec(SpiCodec(replace(preset("small"), hash="sign")).eval())
    with pytest.raises(AetherError, match="no state of such a stream"):
        Encoder(other).load_state_dict(encoder.state_dict())


def test_channel_refuses_bits_of_another_rate() -> None:
    link = StreamChannel(LinkConfig("bsc", 600, error_rate=0.02), 8)
    with pytest.raises(AetherError, match="at 600 bit/s, not tokens of 80 ms at 300 bit/s"):
        link.send(Bits(torch.ones(1, 2, 24), 300, token_frames=8))


def test_channel_token_by_token_goes_on_and_has_the_error_rate() -> None:
    generator = torch.Generator().manual_seed(1)
    bits = Bits(
        2.0 * torch.randint(0, 2, (1, 1600, 48), generator=generator) - 1, 600, token_frames=8
    )  # over two minutes
    config = LinkConfig("bsc", 600, seed=7, erasure=0.1, burst_tokens=3, error_rate=0.02)
    link = StreamChannel(config, 8)
    pieces = [link.send(Bits(part, 600, token_frames=8)) for part in torch.split(bits.values, [1, 0, 200, 1399], dim=1)]
    values, erased = (torch.cat([getattr(p, name) for p in pieces], dim=1) for name in ("values", "erased"))
    whole = StreamChannel(config, 8).send(bits)
    assert torch.equal(whole.values, values)
    assert torch.equal(whole.erased, erased)
    whole.validate()
    assert float(erased.float().mean()) == pytest.approx(0.1, abs=0.04)
    wrong = (values.sign() != bits.values)[~erased]
    assert float(wrong.float().mean()) == pytest.approx(0.02, rel=0.1)
    assert not torch.equal(wrong[:600], wrong[600:1200])
    first = bsc(Bits(bits.values[:, :750], 600, token_frames=8), 0.02, seed=7)  # the minute that is simulated ahead
    kept = ~erased[0, :750]
    assert torch.equal(values[0, :750][kept], first.values[0][kept])


def test_bytes_between_programs(tiny_hash_codec: Codec, speech_features: Tensor) -> None:
    bits = tiny_hash_codec.encode_features(speech_features[:1, :80], 1200)
    data = packed_bytes(bits)
    assert len(data) == 10 * 12
    assert data == np.packbits(bit_array(bits)[0], axis=1).tobytes()
    assert torch.equal(torch.from_numpy(np.stack(list(packed_tokens(io.BytesIO(data), 1200, 8)))), bits.values[0])
    received = lose_tokens(bsc(bits, 0.1, seed=1), 0.3, seed=1)
    soft = torch.from_numpy(np.stack(list(soft_tokens(io.BytesIO(soft_bytes(received)), 1200, 8))))
    assert torch.equal(soft.isnan().all(dim=1), received.erased[0])
    assert torch.equal(soft.nan_to_num(0), received.values[0])
    hard = torch.from_numpy(np.stack(list(packed_tokens(io.BytesIO(packed_bytes(received)), 1200, 8))))
    kept = ~received.erased[0]
    assert torch.equal(hard[kept], received.values[0].sign()[kept])
    with pytest.raises(AetherError, match=r"ends within a token \(7 of 12 bytes\).*--bitrate 1200"):
        list(packed_tokens(io.BytesIO(data[:-5]), 1200, 8))


def test_bits_of_a_file_become_soft_bits() -> None:
    bits = np.array([[0, 1], [1, 1]], dtype=np.uint8).repeat(12, axis=1)
    received = received_bits(bits, 300, erased=[False, True], certainty=0.5)
    received.validate()
    assert received.values[0, 0].tolist() == [-0.5] * 12 + [0.5] * 12
    assert not received.values[0, 1].any()
    assert received.erased.tolist() == [[False, True]]
