"""Refined bits and symbols: better by the goal, the same however speech arrives, decoded like any others."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.channels import awgn, bsc
from aether_lite.codec import Codec, SpiCodec, load, preset
from aether_lite.codec import refinement as refining
from aether_lite.codec.growth import start
from aether_lite.codec.refinement import SETTINGS, Goal, Refinement
from aether_lite.errors import AetherError
from aether_lite.losses.asr import log_mel_spectra, state_distance
from aether_lite.losses.feature import envelope_loss, feature_loss
from aether_lite.payload import Bits
from aether_lite.streaming import Encoder
from tiny_asr import tiny_asr_loss


@pytest.fixture(scope="module", params=[0, 1], ids=["causal", "looks ahead"])
def codec(request: pytest.FixtureRequest, speech_features: Tensor) -> Codec:
    """An untrained codec whose decoder is not a mere linear map, with an ASR loss of a few weights."""
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), hash="sign", linear=False, lookahead=request.param))
    start(model, speech_features)
    if model.ahead is not None:
        torch.nn.init.normal_(model.ahead.next.weight, std=0.1)
    made = Codec(model.eval())
    made.__dict__["asr_loss"] = tiny_asr_loss()
    return made


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "WINDOW", 9 * 8)
    monkeypatch.setattr(refining, "AHEAD", 3 * 8)
    monkeypatch.setattr(refining, "BEFORE", 40)


def goal_of(codec: Codec, features: Tensor, bits: Bits) -> float:
    """The goal of bits by what a receiver makes of them."""
    heard = codec.decode_features(bsc(bits, 0.0, csi="perfect"))
    states = state_distance(*(codec.asr_loss.last(codec.asr_loss.states(rows)) for rows in (heard, features)))
    return float(feature_loss(heard, features) + 0.5 * envelope_loss(heard, features) + states)


def test_symbols_are_heard_behind_every_block_and_bits_behind_the_last(speech_features: Tensor) -> None:
    assert SETTINGS["uses/s"].every_block
    assert not SETTINGS["bit/s"].every_block
    asr_loss, true = tiny_asr_loss(), speech_features[:1, :60]
    decoded = true + 0.2
    goals = []
    for every_block in (True, False):
        goal = Goal(asr_loss, true, None, true[:, :0], every_block)
        goals.append(float(goal.distance(decoded, goal.wanted())))  # of all but the states the same
    made, wanted = asr_loss.states(decoded), asr_loss.states(true)
    both = (state_distance(made, wanted), state_distance(asr_loss.last(made), asr_loss.last(wanted)))
    assert goals[0] - goals[1] == pytest.approx(float(both[0] - both[1]), abs=1e-6)
    assert both[0] != both[1]


def test_the_distance_to_the_recording_counts_twice_that_to_features(speech: Any, speech_features: Tensor) -> None:
    asr_loss, true, samples = tiny_asr_loss(), speech_features[:1, :61], torch.from_numpy(speech[:1, : 61 * 160])
    decoded = true + 0.2
    made = asr_loss.states(decoded[:, :60])
    goals = [Goal(asr_loss, true, given, true[:, :0], True) for given in (None, samples)]
    wanted = [asr_loss.states(true[:, :60]), asr_loss.states_of_spectra(log_mel_spectra(samples[:, : 60 * 160], 60))]
    values = []
    for goal, states, weight in zip(goals, wanted, (1, 2), strict=True):
        assert torch.equal(goal.wanted(), states)
        values.append(float(goal.distance(decoded, states) - weight * state_distance(made, states)))
    assert values[0] == pytest.approx(values[1], abs=1e-5)


@pytest.mark.parametrize("rate", [300, 2400])
def test_a_search_lowers_the_goal_that_a_receiver_measures(
    codec: Codec, speech_features: Tensor, rate: int
) -> None:
    features = speech_features[:1, :160]
    plain, found = codec.encode_features(features, rate), codec.encode_features(features, rate, refine=20)
    found.validate()
    assert (found.rate, found.token_frames, found.values.shape) == (rate, 8, plain.values.shape)
    assert goal_of(codec, features, found) < 0.98 * goal_of(codec, features, plain)


def test_no_step_gives_the_bits_of_the_encoder(codec: Codec, speech_features: Tensor, small_windows: None) -> None:
    search = Refinement(codec.model, codec.asr_loss, 600, 0)
    bits = torch.cat([search.push(speech_features[:1]), search.flush()], 1)
    assert torch.equal(bits, codec.encode_features(speech_features[:1], 600).values)


@pytest.mark.parametrize("tokens", [1, 12, 13, 21, 40])
def test_windows_see_what_a_receiver_decodes(
    codec: Codec, speech_features: Tensor, small_windows: None, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    seen: list[tuple[Goal, Tensor]] = []
    distance = Goal.distance

    def recorded(goal: Goal, decoded: Tensor, wanted: Tensor) -> Tensor:
        seen.append((goal, decoded))
        return distance(goal, decoded, wanted)

    monkeypatch.setattr(Goal, "distance", recorded)
    features = speech_features[:1, : 8 * tokens]
    search = Refinement(codec.model, codec.asr_loss, 600, 0)
    bits = Bits(torch.cat([search.push(features), search.flush()], 1), 600, 8)
    heard = codec.decode_features(bsc(bits, 0.0, csi="perfect"))
    late = 8 * codec.model.config.lookahead
    ends = []
    for goal, decoded in seen:
        assert goal.true.shape[1] == goal.before.shape[1] + decoded.shape[1]
        begin = ends[-1] - 3 * 8 if ends else 0
        end = begin + decoded.shape[1]
        ends.append(end)
        first = begin - goal.before.shape[1]
        assert torch.equal(goal.true, features[:, first:end])
        torch.testing.assert_close(goal.before, heard[:, first:begin], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(decoded, heard[:, begin:end], atol=1e-4, rtol=1e-4)
    assert ends[-1] == 8 * tokens
    assert len(seen) == 1 + max(0, (tokens - 12) // 9 + 1)
    assert all(end == 8 * (12 + 9 * k) - late for k, end in enumerate(ends[:-1]))


def test_the_cut_of_the_stream_and_the_batch_change_no_bit(
    codec: Codec, speech_features: Tensor, small_windows: None
) -> None:
    both = codec.encode_features(speech_features[:, :240], 600, refine=3).values
    search = Refinement(codec.model, codec.asr_loss, 600, 3)
    pieces = [search.push(piece) for piece in torch.split(speech_features[1:, :240], 56, dim=1)]
    assert torch.equal(torch.cat([*pieces, search.flush()], 1), both[1:])
    again = search.push(speech_features[:1, :240])  # a flushed search begins anew
    assert torch.equal(torch.cat([again, search.flush()], 1), both[:1])


def test_a_caller_without_gradients_gets_the_same_bits(codec: Codec, speech_features: Tensor) -> None:
    expected = codec.encode_features(speech_features[:1, :160], 600, refine=3).values
    with torch.no_grad():
        assert torch.equal(codec.encode_features(speech_features[:1, :160], 600, refine=3).values, expected)
    with torch.inference_mode():
        assert torch.equal(codec.encode_features(speech_features[:1, :160].clone(), 600, refine=3).values, expected)


def test_samples_that_arrive_become_the_bits_of_the_whole(codec: Codec, speech: Any, small_windows: None) -> None:
    encoder = Encoder(codec, 1200, refine=2)
    pieces = [encoder.push(speech[0, start : start + 7001]) for start in range(0, speech.shape[1], 7001)]
    values = torch.cat([piece.values for piece in [*pieces, encoder.flush()]], 1)
    assert torch.equal(values, codec.encode(speech[0], 1200, refine=2).values)
    with pytest.raises(AetherError, match="has no state to store"):
        encoder.state_dict()
    with pytest.raises(AetherError, match="rate of a refined stream is fixed"):
        encoder.rate = 300


def test_a_searched_codec_needs_the_recogniser(
    tiny_hash: SpiCodec, speech_features: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr("aether_lite.losses.whisper.files", missing)
    with pytest.raises(AetherError, match=r"pip install '\.\[listener\]'"):
        Codec(tiny_hash).encode_features(speech_features, 600, refine=1)
    with pytest.raises(AetherError, match="rate 700 bit/s is not one of"):
        Refinement(tiny_hash, tiny_asr_loss(), 700)


def test_the_released_codec_gains_features_and_states_on_speech() -> None:
    codec = load("hash_small")
    path = Path(str(files("aether_lite") / "assets" / "samples" / "en_f_intro.flac"))
    features = codec.whole_tokens(codec.features(read_audio(path)[16_000:48_000]))
    losses = []
    for steps in (0, 12):
        heard = codec.decode_features(bsc(codec.encode_features(features, 600, refine=steps), 0.0, csi="perfect"))
        states = state_distance(*(codec.asr_loss.last(codec.asr_loss.states(rows)) for rows in (heard, features)))
        losses.append((float(feature_loss(heard, features)), float(states)))
    assert losses[1][0] < 0.95 * losses[0][0]
    assert losses[1][1] < 0.75 * losses[0][1]


@pytest.fixture(scope="module", params=["session", "token"])
def analogue(request: pytest.FixtureRequest, speech_features: Tensor) -> Codec:
    """The same of symbols, for each power constraint."""
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), linear=False, lookahead=1, power=request.param))
    start(model, speech_features)
    made = Codec(model.eval())
    made.__dict__["asr_loss"] = tiny_asr_loss()
    return made


def test_searched_symbols_are_heard_better_through_other_noise_at_the_same_power(
    analogue: Codec, speech_features: Tensor
) -> None:
    features = speech_features[:1, :160]
    plain = analogue.encode_features(features, 1000, 6.0)
    found = analogue.encode_features(features, 1000, 6.0, search=30)
    assert found.values.shape == plain.values.shape
    powers = [each.values.abs().square().mean((1, 2) if analogue.model.long_term else 2) for each in (plain, found)]
    torch.testing.assert_close(*powers)
    losses = []
    for symbols in (plain, found):
        heard = torch.cat([analogue.decode_features(awgn(symbols, 6.0, seed=seed)) for seed in range(8)])
        wanted = analogue.asr_loss.states(features).expand(8, -1, -1)
        states = state_distance(analogue.asr_loss.states(heard), wanted)
        true = features.expand(8, -1, -1)
        losses.append(float((feature_loss(heard, true) + 0.5 * envelope_loss(heard, true) + states).mean()))
    assert losses[1] < 0.98 * losses[0]


def test_windows_of_symbols_are_those_of_the_whole_and_the_power_of_each_stays(
    analogue: Codec, speech_features: Tensor, small_windows: None
) -> None:
    features = speech_features[:, :240]
    both = analogue.encode_features(features, 1000, 6.0, search=3).values
    search = Refinement(analogue.model, analogue.asr_loss, 1000, 3, 6.0)
    pieces = [search.push(piece) for piece in torch.split(features[1:], 56, dim=1)]
    assert torch.equal(torch.cat([*pieces, search.flush()], 1), both[1:])
    plain = torch.cat([search.push(features[:1]), search.flush()], 1)
    start = Refinement(analogue.model, analogue.asr_loss, 1000, 0, 6.0)
    proposed = torch.cat([start.push(features[:1]), start.flush()], 1)
    torch.testing.assert_close(proposed, analogue.encode_features(features[:1], 1000, 6.0).values)
    for window in (slice(0, 9), slice(9, 18), slice(18, 27), slice(27, 30)):
        powers = [each[:, window].abs().square().mean() for each in (plain, proposed)]
        torch.testing.assert_close(*powers)


def test_a_search_that_has_the_speech_comes_nearer_to_what_the_recogniser_makes_of_it(
    analogue: Codec, speech: Any, speech_features: Tensor, small_windows: None
) -> None:
    features, samples = speech_features[:1, :240], torch.from_numpy(speech[:1, : 240 * 160])
    recording = analogue.asr_loss.states_of_spectra(log_mel_spectra(samples, 240))
    near = []
    for given in (None, samples):
        sent = analogue.encode_features(features, 1000, 20.0, 20, given)
        heard = analogue.decode_features(awgn(sent, 20.0, seed=0))
        near.append(float(state_distance(analogue.asr_loss.states(heard), recording)))
    assert near[1] < 0.98 * near[0]
    assert torch.equal(
        analogue.encode(samples, 1000, 6.0, 3).values,
        analogue.encode_features(analogue.features(samples), 1000, 6.0, 3, analogue.samples(samples)).values,
    )


def test_every_window_has_its_own_speech(
    analogue: Codec, speech: Any, small_windows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = analogue.samples(torch.from_numpy((speech[0, :40_000] * 32767).round().astype("int16")))
    features = analogue.features(samples)
    places = []

    def recorded(goal: Goal) -> Tensor:
        begin = int((features[0] == goal.true[0, 0]).all(1).nonzero()[0])
        frames = goal.true.shape[1]
        places.append((begin, frames))
        assert goal.speech is not None
        assert torch.equal(goal.speech, samples[:, 160 * begin : 160 * (begin + frames)])
        return goal.states(goal.true)

    monkeypatch.setattr(Goal, "wanted", recorded)
    Refinement(analogue.model, analogue.asr_loss, 1000, 0, 6.0).each(features, samples)
    assert len(places) > 2
    assert places[0][0] == 0
    assert sum(places[-1]) == features.shape[1]


def test_speech_that_features_are_not_of_is_refused(analogue: Codec, speech_features: Tensor) -> None:
    features = speech_features[:1, :80]
    for speech in (torch.zeros(2, 12_800), torch.zeros(1, 12_801), torch.zeros(12_800)):
        with pytest.raises(AetherError, match=r"speech must be \[1, N\] with at most 12800 samples"):
            analogue.encode_features(features, 1000, 6.0, 1, speech)
    with pytest.raises(AetherError, match="sample 0 of clip 0 is not finite"):
        analogue.encode_features(features, 1000, 6.0, 1, torch.full((1, 12_800), torch.nan))


@pytest.mark.parametrize("level", [0.0, 20.0], ids=["silence", "clipped"])
@pytest.mark.parametrize("samples", [160, 16_000])
def test_any_sound_can_be_searched(codec: Codec, analogue: Codec, speech: Any, level: float, samples: int) -> None:
    sound = (level * speech[0, :samples]).clip(-1, 1)
    codec.encode(sound, 600, refine=3).validate()
    assert analogue.encode(sound, 1000, 6.0, 3).values.isfinite().all()


def test_a_search_for_symbols_must_know_the_noise(analogue: Codec, speech_features: Tensor) -> None:
    with pytest.raises(AetherError, match="a refinement of symbols needs the SNR that they are for"):
        analogue.encode_features(speech_features, 1000, search=3)
    with pytest.raises(AetherError, match="rate 999 uses/s is not one of"):
        Refinement(analogue.model, analogue.asr_loss, 999, target_snr_db=6.0)


def test_the_released_codec_of_symbols_gains_states_on_speech() -> None:
    codec = load()
    path = Path(str(files("aether_lite") / "assets" / "samples" / "en_f_intro.flac"))
    speech = codec.samples(read_audio(path)[16_000:48_000])
    features = codec.features(speech)
    frames = features.shape[1]
    recording = codec.asr_loss.states_of_spectra(log_mel_spectra(speech, frames))
    wanted = {"features": codec.asr_loss.states(features), "recording": recording}
    losses: dict[str, list[float]] = {"features": [], "recording": []}
    for steps, given in ((0, None), (12, None), (12, speech)):
        sent = codec.encode_features(features, 1000, 6.0, steps, given)
        heard = torch.cat([codec.decode_features(awgn(sent, 6.0, seed=seed)) for seed in range(3)])
        for name, states in wanted.items():
            losses[name].append(float(state_distance(codec.asr_loss.states(heard), states.expand(3, -1, -1)).mean()))
    assert losses["features"][1] < 0.85 * losses["features"][0]
    assert losses["recording"][1] < 0.97 * losses["recording"][0]
    assert losses["recording"][2] < 0.9 * losses["recording"][1]
