"""Streams give what the codec gives at once, for any cutting, and go on to the bit from a stored state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from aether_lite import streaming
from aether_lite.channels import awgn, clean, erase, rayleigh
from aether_lite.codec import Codec, SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.payload import RATES, ChannelState, Received, ReceivedBits, Symbols, elements_per_token
from aether_lite.streaming import DecodedSpeech, Decoder, Encoder
from aether_lite.streaming.decoder import joined
from aether_lite.streaming.snapshot import Snapshot
from aether_lite.vocoder import periods_from_features, synthesize


@pytest.fixture(scope="module")
def ahead(speech_features: Tensor) -> SpiCodec:
    """An untrained codec of the default's form: tokens of 40 ms and a decoder that looks one ahead."""
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), token_frames=4, lookahead=1))
    start(model, speech_features)
    assert model.ahead is not None
    torch.nn.init.normal_(model.ahead.next.weight, std=0.2)
    return model.eval()


@pytest.fixture(scope="module", params=["at once", "looks ahead"])
def tiny_codec(request: pytest.FixtureRequest, tiny: SpiCodec, ahead: SpiCodec) -> Codec:
    """The untrained codecs."""
    return Codec(ahead if request.param == "looks ahead" else tiny)


def pushed(encoder: Encoder, pieces: list[np.ndarray]) -> Tensor:
    return torch.cat([encoder.push(piece).values for piece in pieces] + [encoder.flush().values], dim=1)


def decoded(decoder: Decoder, received: Received, cuts: Sequence[int]) -> DecodedSpeech:
    """Everything that a stream gives of what is received in pieces."""
    edges = [0, *sorted(cuts), received.values.shape[1]]
    return joined([*(decoder.push(received.tokens(slice(a, b))) for a, b in pairwise(edges)), decoder.flush()])


@settings(max_examples=12, deadline=None)
@given(
    length=st.integers(1, 16_000),
    cuts=st.lists(st.integers(0, 16_000), max_size=12),
    rate=st.sampled_from(RATES),
    whole_numbers=st.booleans(),
)
def test_encoder_equals_offline_for_any_cutting(
    tiny_codec: Codec, speech: np.ndarray, length: int, cuts: list[int], rate: int, whole_numbers: bool
) -> None:
    clip = speech[0, 4000 : 4000 + length]
    clip = (clip * 32768).astype(np.int16) if whole_numbers else clip
    streamed = pushed(Encoder(tiny_codec, rate), np.split(clip, sorted(cut % length for cut in cuts)))
    torch.testing.assert_close(streamed, tiny_codec.encode(clip, rate).values, atol=1e-5, rtol=1e-5)
    assert torch.equal(streamed, pushed(Encoder(tiny_codec, rate), [clip]))


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(0, 37), max_size=8), rate=st.sampled_from(RATES), seed=st.integers(0, 99))
def test_decoded_features_equal_offline_for_any_cutting(
    tiny_codec: Codec, speech: np.ndarray, cuts: list[int], rate: int, seed: int
) -> None:
    symbols = tiny_codec.encode(speech[:1], rate)
    received = erase(rayleigh(symbols, 12.0, seed=seed), 0.2, seed=seed)
    stream = decoded(Decoder(tiny_codec), received, cuts)
    torch.testing.assert_close(stream.features, tiny_codec.decode_features(received)[0], atol=1e-5, rtol=1e-6)
    assert len(stream.samples) == 160 * len(stream.features)


@pytest.mark.parametrize("cuts", [(), (1, 2, 9), (7,)])
def test_audio_equals_offline(tiny_codec: Codec, speech: np.ndarray, cuts: tuple[int, ...]) -> None:
    received = awgn(tiny_codec.encode(speech[:1, :20_480], 600), 12.0, seed=len(cuts))
    stream = decoded(Decoder(tiny_codec), received, cuts)
    offline = tiny_codec.decode_features(received)[0]
    assert torch.equal(periods_from_features(stream.features), periods_from_features(offline))
    assert len(stream.samples) == 20_480
    torch.testing.assert_close(stream.samples, synthesize(stream.features, tiny_codec.vocoder), atol=1e-4, rtol=0)
    torch.testing.assert_close(stream.samples, tiny_codec.decode(received)[0], atol=1e-4, rtol=0)


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(0, 960), max_size=10), rate=st.sampled_from(RATES))
def test_any_number_of_symbols_may_be_pushed(tiny_codec: Codec, speech: np.ndarray, cuts: list[int], rate: int) -> None:
    received = rayleigh(tiny_codec.encode(speech[:1, :12_800], rate), 10.0, seed=1, csi="perfect")
    assert received.state.gain is not None
    values, gain = received.values.flatten(), received.state.gain.flatten()
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    decoder = Decoder(tiny_codec, rate)
    pieces = [decoder.push_symbols(values[a:b], 0.1, gain[a:b]).features for a, b in pairwise(edges)]
    assert torch.equal(torch.cat(pieces), Decoder(tiny_codec).push(received).features)


def test_rate_and_snr_change_between_tokens(tiny_codec: Codec, speech: np.ndarray) -> None:
    plan = [(1000, None), (150, 3.0), (150, None), (600, -6.0), (1200, 20.0), (300, None)]
    encoder, decoder = Encoder(tiny_codec, 1000), Decoder(tiny_codec)
    model, frames = tiny_codec.model, tiny_codec.token_frames
    token, late = 160 * frames, model.config.lookahead * frames
    rows = tiny_codec.features(speech[0])
    sent_state = received_state = None
    for k, (rate, target) in enumerate(plan):
        encoder.rate, encoder.target_snr_db = rate, target
        start = 0 if k == 0 else token * k + 160
        symbols = encoder.push(speech[0, start : token * (k + 1) + 160])
        assert symbols.values.shape == (1, 1, elements_per_token(rate, frames))
        offline, sent_state = model.encode(rows[:, frames * k : frames * (k + 1)], rate, target, sent_state)
        torch.testing.assert_close(symbols.values, offline.values, atol=1e-5, rtol=1e-5)
        received = awgn(symbols, 10.0 - k, seed=k)
        expected, received_state = model.decode(received, received_state)
        known = expected[0, late if k == 0 else 0 :]
        torch.testing.assert_close(decoder.push(received).features, known, atol=1e-5, rtol=0)
        assert decoder.rate == rate


def test_a_lost_token_takes_the_erasure_path(tiny_codec: Codec, speech: np.ndarray) -> None:
    received = awgn(tiny_codec.encode(speech[:1, :12_800], 600), 10.0, seed=0)
    lost = received.state.erased.clone()
    lost[0, 5:7] = True
    state = replace(received.state, erased=lost)
    marked = replace(received, values=received.values.masked_fill(lost[:, :, None], 0), state=state)
    by_flag = Decoder(tiny_codec).push(marked)
    decoder = Decoder(tiny_codec, 600)
    before, after = (received.tokens(part) for part in (slice(0, 5), slice(7, None)))
    by_call = joined([decoder.push(before), decoder.lose(2), decoder.push(after)])
    torch.testing.assert_close(by_call.features, by_flag.features, atol=0.05, rtol=0)
    assert len(by_call.samples) == len(by_flag.samples)
    whole = Decoder(tiny_codec).push(received)
    gap = slice(5 * tiny_codec.token_frames, 7 * tiny_codec.token_frames)
    assert not torch.allclose(by_flag.features[gap], whole.features[gap])
    nan = marked.values.masked_fill(lost[:, :, None], complex("nan+nanj")).flatten()
    stream, twin = Decoder(tiny_codec, 600), Decoder(tiny_codec)
    known = replace(marked, state=ChannelState(None, torch.full(lost.shape, 0.1), lost))
    assert torch.equal(stream.push_symbols(nan, 0.1).samples, twin.push(known).samples)


def saved(state: Snapshot, path: Path) -> Snapshot:
    """Through a file of either kind; both are free of code."""
    save_file(state, path / "state.safetensors")
    torch.save(state, path / "state.pt")
    first, second = load_file(path / "state.safetensors"), torch.load(path / "state.pt", weights_only=True)
    assert all(torch.equal(first[name], second[name]) for name in first)
    return first


@pytest.mark.parametrize("cut", [0, 100, 1440, 5000, 20_001])
def test_a_fresh_stream_goes_on_from_a_stored_state_to_the_bit(
    tiny_codec: Codec, speech: np.ndarray, tmp_path: Path, cut: int
) -> None:
    speech = speech[:, :24_000]
    encoder, twin = Encoder(tiny_codec, 600, 5.0), Encoder(tiny_codec)
    first = encoder.push(speech[0, :cut])
    twin.load_state_dict(saved(encoder.state_dict(), tmp_path))
    assert (twin.rate, twin.target_snr_db) == (600, 5.0)
    a, b = (torch.cat([e.push(speech[0, cut:]).values, e.flush().values], dim=1) for e in (encoder, twin))
    assert torch.equal(a, b)

    decoder, copy = Decoder(tiny_codec, 600), Decoder(tiny_codec)
    decoder.push_symbols(awgn(first, 0.0, seed=1).values.flatten(), 1.0)
    decoder.push_symbols(a[0, 0, :7], 1.0)
    copy.load_state_dict(saved(decoder.state_dict(), tmp_path))
    rest = a.flatten()[7:]
    heard, again = (torch.cat([d.push_symbols(rest, 0.1).samples, d.flush().samples]) for d in (decoder, copy))
    assert torch.equal(heard, again)


def test_a_stored_state_of_another_codec_is_refused(tiny_codec: Codec, speech: np.ndarray) -> None:
    other = Codec(SpiCodec(preset("small")).eval())
    encoder = Encoder(tiny_codec)
    symbols = encoder.push(speech[0])
    with pytest.raises(AetherError, match="no state of such a stream"):
        Encoder(other).load_state_dict(encoder.state_dict())
    decoder = Decoder(tiny_codec)
    decoder.push(clean(symbols))
    with pytest.raises(AetherError, match=r"levels|no state of such a stream"):
        Decoder(other).load_state_dict(decoder.state_dict())
    with pytest.raises(AetherError, match="'target_snr_db' is missing"):
        encoder.load_state_dict(decoder.state_dict())


def test_reset_forgets_and_flush_ends(tiny_codec: Codec, speech: np.ndarray) -> None:
    speech = speech[:, :12_800]
    encoder, decoder = Encoder(tiny_codec, 300), Decoder(tiny_codec)
    fresh = pushed(Encoder(tiny_codec, 300), [speech[0]])
    encoder.push(speech[1])
    encoder.reset()
    assert torch.equal(pushed(encoder, [speech[0]]), fresh)
    assert torch.equal(pushed(encoder, [speech[0]]), fresh)
    received = clean(Symbols(fresh, 300, tiny_codec.token_frames))
    samples = decoder.push(received).samples
    assert len(decoder.flush().samples) == 240 + 160 * tiny_codec.token_frames * tiny_codec.model.config.lookahead
    assert torch.equal(decoder.push(received).samples, samples)
    decoder.reset()
    assert torch.equal(decoder.push(received).samples, samples)


def test_a_state_with_a_number_out_of_range_changes_nothing(tiny_codec: Codec) -> None:
    encoder = Encoder(tiny_codec, 1000, 3.0)
    wrong = {**Encoder(tiny_codec, 300, 9.0).state_dict(), "target_snr_db": torch.tensor(99.0)}
    with pytest.raises(AetherError, match=r"-30\.\.60"):
        encoder.load_state_dict(wrong)
    assert (encoder.rate, encoder.target_snr_db) == (1000, 3.0)


def test_a_state_that_was_changed_changes_nothing(tiny_codec: Codec, speech: np.ndarray) -> None:
    encoder, decoder = Encoder(tiny_codec, 600, 3.0), Decoder(tiny_codec, 600)
    decoder.push_symbols(encoder.push(speech[0, :13_000]).values.flatten()[:-3])
    for stream, core in ((encoder, "encoder"), (decoder, "decoder")):
        state = stream.state_dict()
        other = state[core].clone()
        other[len(other) // 2] += 1
        wrong = {core: other, "rate": torch.tensor(1001), "waiting": torch.zeros(2000, 6), "levels": torch.zeros(1)}
        for name in wrong.keys() & state.keys():
            for bad in (wrong[name], state[name][None], "text"):
                with pytest.raises(AetherError):
                    stream.load_state_dict({**state, name: bad})
            with pytest.raises(AetherError, match=f"'{name}' is missing"):
                stream.load_state_dict({key: value for key, value in state.items() if key != name})
        again = stream.state_dict()
        assert all(torch.equal(again[name].nan_to_num(), value.nan_to_num()) for name, value in state.items())


def test_nothing_in_gives_nothing_out(tiny_codec: Codec) -> None:
    encoder, decoder = Encoder(tiny_codec, 150), Decoder(tiny_codec)
    n = elements_per_token(150, tiny_codec.token_frames)
    assert encoder.push(np.zeros(0, np.float32)).values.shape == (1, 0, n)
    assert encoder.flush().values.shape == (1, 0, n)
    assert decoder.push(clean(encoder.flush())).samples.shape == (0,)
    assert decoder.flush().samples.shape == (0,)


def test_wrong_input_is_a_stated_error(tiny_codec: Codec) -> None:
    encoder, decoder = Encoder(tiny_codec), Decoder(tiny_codec)
    with pytest.raises(AetherError, match="sample 3 is not finite"):
        encoder.push(np.array([0, 0, 0, np.nan]))
    with pytest.raises(AetherError, match="150, 300, 500"):
        encoder.rate = 400
    with pytest.raises(AetherError, match=r"-30\.\.60"):
        encoder.target_snr_db = 99.0
    with pytest.raises(AetherError, match="must be one row"):
        decoder.push_symbols(torch.zeros(1, 3, dtype=torch.complex64))
    decoder.push_symbols(torch.zeros(3, dtype=torch.complex64))
    with pytest.raises(AetherError, match="3 symbols of a token at 1000 are waiting"):
        decoder.rate = 300
    with pytest.raises(AetherError, match="3 symbols of a token are waiting"):
        decoder.push(clean(tiny_codec.encode(np.zeros(1280, np.float32), 1000)))
    with pytest.raises(AetherError, match="push_bits for hash codecs"):
        decoder.push_bits(torch.zeros(3))
    soft = ReceivedBits(torch.zeros(1, 0, 48), 600, torch.zeros(1, 0, dtype=torch.bool), token_frames=8)
    with pytest.raises(AetherError, match="decodes Received, not ReceivedBits"):
        decoder.push(soft)


def test_old_names_are_taken_with_a_warning(tiny_codec: Codec) -> None:
    for old, new in (("BitEncoder", Encoder), ("BitDecoder", Decoder), ("Heard", DecodedSpeech)):
        with pytest.warns(FutureWarning, match=f"{old} is now {new.__name__}; the old name goes in 0.3"):
            assert getattr(streaming, old) is new
    with pytest.raises(AttributeError, match="no attribute 'Codec'"):
        _ = streaming.Codec
