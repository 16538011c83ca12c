"""The output mutes in long gaps and when only noise comes, and speech at the lowest stated SNR is heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from aether_lite.channels import Csi, awgn, clean, rayleigh
from aether_lite.codec import Codec
from aether_lite.core import library
from aether_lite.core.codec import received_tokens
from aether_lite.core.library import Model
from aether_lite.payload import Received, Symbols, elements_per_token
from aether_lite.streaming import Decoder

LOWEST_SNR_DB = -6.0
GAP_TOKENS = 5  # 0.4 s
FADE_SAMPLES = 320


@pytest.fixture(scope="module")
def core(tiny_codec: Codec) -> Model:
    """A codec with tokens of 80 ms."""
    return tiny_codec.core


def verdicts(core: Model, received: Received, stream: library.Decoder | None = None) -> tuple[list[bool], Any]:
    """Whether each token is muted, and the stream."""
    stream = stream or library.Decoder(core, speech=False)
    stream.rate = int(received.rate)
    ones, tokens, known = torch.ones_like(received.values), received.values.shape[:2], received.state
    gain = ones if known.gain is None else known.gain
    noise = torch.full(tokens, torch.nan) if known.noise_variance is None else known.noise_variance
    muted = []
    for token in received_tokens(replace(received, state=replace(known, gain=gain, noise_variance=noise)).arrays()):
        stream.push(*token)
        muted.append(stream.muted)
    return muted, stream


def unit_power(tokens: int, rate: int, seed: int = 0) -> Symbols:
    """Symbols as every encoder sends them: mean power 1 in each token."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, tokens, elements_per_token(rate, 8), generator=generator, dtype=torch.complex64)
    return Symbols(values / values.abs().square().mean(-1, keepdim=True).sqrt(), rate, token_frames=8)


def nothing(tokens: int, rate: int) -> Symbols:
    return Symbols(torch.zeros(1, tokens, elements_per_token(rate, 8), dtype=torch.complex64), rate, token_frames=8)


@pytest.mark.parametrize("state", ["perfect", "estimated"])
@pytest.mark.parametrize("rate", [150, 1200, *(pytest.param(n, marks=pytest.mark.slow) for n in (300, 600, 1000))])
def test_speech_at_the_lowest_snr_is_not_muted(core: Model, rate: int, state: Csi) -> None:
    for snr_db in (LOWEST_SNR_DB, 0.0, 10.0, 20.0):
        muted, _ = verdicts(core, awgn(unit_power(1250, rate), snr_db, seed=rate, csi=state))  # 100 s
        assert not any(muted), (snr_db, sum(muted))


@pytest.mark.parametrize("rate", [300, 1000])
def test_fading_speech_is_not_muted(core: Model, rate: int) -> None:
    muted, _ = verdicts(core, rayleigh(unit_power(1250, rate), 0.0, seed=3))
    assert not any(muted)


@pytest.mark.parametrize(
    ("rate", "snr_db", "seconds"),
    [(150, 0.0, 6), (150, 10.0, 0.4), (600, -6.0, 12), (1000, -6.0, 6), (1000, 0.0, 0.8), (1200, 20.0, 0.08)],
)
def test_noise_alone_is_muted(core: Model, rate: int, snr_db: float, seconds: float) -> None:
    delays, shares = [], []
    for seed in range(5):
        muted, _ = verdicts(core, awgn(nothing(1250, rate), snr_db, seed=seed))  # 100 s
        delays.append(0.08 * muted.index(True))
        shares.append(np.mean(muted[muted.index(True) :]))
    assert np.median(delays) <= seconds
    assert np.mean(shares) > 0.9


def test_speech_comes_back_after_noise(core: Model) -> None:
    _, state = verdicts(core, awgn(nothing(200, 1000), LOWEST_SNR_DB, seed=0))
    assert state.muted
    muted, state = verdicts(core, awgn(unit_power(100, 1000), LOWEST_SNR_DB, seed=1), state)
    assert muted.index(False) < 75  # 6 s at the lowest SNR
    assert not any(muted[muted.index(False) :])
    _, state = verdicts(core, awgn(nothing(20, 1000), 10.0, seed=0))
    muted, _ = verdicts(core, awgn(unit_power(3, 1000), 10.0, seed=1), state)
    assert muted == [False, False, False]


def test_without_a_told_noise_variance_power_says_nothing(core: Model) -> None:
    muted, _ = verdicts(core, awgn(nothing(500, 1000), 0.0, seed=0, csi="none"))
    assert not any(muted)


def test_what_is_too_weak_to_be_of_use_counts_as_a_gap(core: Model) -> None:
    muted, _ = verdicts(core, awgn(unit_power(10, 1000), -20.0, seed=0))
    assert muted == [False] * GAP_TOKENS + [True] * (10 - GAP_TOKENS)


def test_short_gaps_are_concealed_and_long_ones_fade_out_and_in(tiny_codec: Codec, speech: np.ndarray) -> None:
    received = clean(tiny_codec.encode(speech[:1, : 8 * 1280], 600))
    decoder, babbler = Decoder(tiny_codec, 600), Decoder(tiny_codec, 600, mute=False)
    before, plain_before = decoder.push(received), babbler.push(received)
    gap, babble = decoder.lose(GAP_TOKENS + 2), babbler.lose(GAP_TOKENS + 2)
    after, plain_after = decoder.push(received), babbler.push(received)

    assert torch.equal(before.samples, plain_before.samples)
    assert gap.muted.tolist() == [False] * GAP_TOKENS + [True, True]
    assert not after.muted.any()
    assert not babble.muted.any()
    bridged = GAP_TOKENS * 1280
    assert torch.equal(gap.samples[:bridged], babble.samples[:bridged])
    assert not gap.samples[bridged + FADE_SAMPLES - 1 :].any()
    assert babble.samples[bridged + FADE_SAMPLES :].any()
    fade = gap.samples[bridged : bridged + FADE_SAMPLES]
    assert (fade.abs() <= babble.samples[bridged : bridged + FADE_SAMPLES].abs()).all()
    assert (after.samples[:FADE_SAMPLES].abs() <= plain_after.samples[:FADE_SAMPLES].abs()).all()
    assert torch.equal(after.samples[FADE_SAMPLES:], plain_after.samples[FADE_SAMPLES:])
    assert torch.equal(gap.features, babble.features)
