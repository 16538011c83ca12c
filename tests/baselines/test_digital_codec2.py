"""Codec2, the modes made of it, their choice, and concealment."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aether_lite.baselines.codec2 import CODEC2, Codec2, concealed, muted
from aether_lite.baselines.digital import modes
from aether_lite.baselines.digital.modes import CODEC2_MODES as MODES
from aether_lite.baselines.digital.modes import (
    HASH_MODES,
    TRIAL_SEED,
    Mode,
    best_mode,
    block_error_rate,
    failed_blocks,
    stored_rates,
)
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig
from aether_lite.metrics import estoi
from aether_lite.payload import RATES

with_codec2 = pytest.mark.skipif(shutil.which("c2enc") is None, reason="Debian's package codec2 is not installed")


def mode_of(name: str) -> Mode:
    return next(mode for mode in MODES if mode.name == name)


@with_codec2
@pytest.mark.parametrize("name", list(CODEC2))
def test_codec2_speech_is_aligned(name: str, speech: NDArray[np.float32]) -> None:
    """Shifting the decoded speech by 5 ms either way from the stated delay lowers ESTOI."""
    codec: Codec2 = CODEC2[name]
    padded = np.pad(speech, ((0, 0), (0, 1920)))
    heard = [codec.decode(codec.encode(clip)) for clip in padded]
    original = torch.from_numpy(speech)

    def intelligibility(delay: int) -> float:
        shifted = np.stack([clip[delay : delay + speech.shape[1]] for clip in heard])
        return float(estoi(torch.from_numpy(shifted), original).mean())

    at = {shift: intelligibility(codec.delay_samples + shift) for shift in (-80, 0, 80)}
    assert at[0] > max(at[-80], at[80])
    assert at[0] > 0.5


@with_codec2
@pytest.mark.parametrize("name", list(CODEC2))
def test_codec2_spends_its_bit_rate(name: str, speech: NDArray[np.float32]) -> None:
    bits = CODEC2[name].encode(speech[0])
    assert bits.size == CODEC2[name].bit_rate * 3.0  # of 3 s
    assert set(np.unique(bits)) == {0, 1}


def test_modes_fill_their_symbols_and_are_codes() -> None:
    assert {mode.name for mode in MODES if mode.fits(1000)} == {
        "codec2-700c-qpsk",
        "codec2-1300-qpsk",
        "codec2-1300-16qam",
        "codec2-2400-16qam",
    }
    assert not any(mode.fits(150) for mode in MODES)
    assert mode_of("codec2-700c-qpsk").info_bits == 84
    assert mode_of("codec2-2400-16qam").coded_bits(1000) == 480


def test_faster_modes_are_chosen_as_the_channel_gets_better() -> None:
    bit_rates = [best_mode(MODES, LinkConfig("awgn", 1000, snr)).bit_rate for snr in (-6.0, 0.0, 3.0, 6.0, 10.0, 20.0)]
    assert bit_rates == sorted(bit_rates)
    assert bit_rates[0] == 700
    assert bit_rates[-1] == 2400


def test_choice_does_not_look_at_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the table does not help, trials have a seed of their own, whatever will happen on the link."""
    seeds = []

    def counted(mode: Mode, link: LinkConfig) -> tuple[int, int]:
        seeds.append(link.seed)
        return (0 if mode.speech == "1300" else 100), 400

    monkeypatch.setattr(modes, "failed_blocks", counted)
    monkeypatch.setattr(modes, "_measured", {})
    chosen = {best_mode(MODES, LinkConfig("awgn", 1000, 1.37, seed)).speech for seed in range(5)}
    assert chosen == {"1300"}
    assert seeds == [TRIAL_SEED] * 4  # once for each mode that fits


def test_mode_above_its_error_rate_is_not_chosen() -> None:
    for rate, snr_db in ((1000, 0.0), (1000, 3.0), (600, 6.0)):
        link = LinkConfig("awgn", rate, snr_db)
        mode = best_mode(MODES, link)
        bler = block_error_rate(mode, link)
        lowest = min(block_error_rate(other, link) for other in MODES if other.fits(rate))
        assert bler <= modes.TARGET_BLER or bler == lowest


def test_stored_error_rates_are_measured_ones() -> None:
    """Entries of the table come out again, block for block."""
    for name, channel, rate, snr_db in (
        ("codec2-700c-qpsk", "awgn", 1000, 0.0),
        ("codec2-700c-qpsk", "rayleigh", 1000, 3.0),
        ("hash-600-qpsk", "mpp", 600, 6.0),
    ):
        mode = next(mode for mode in (*MODES, *HASH_MODES) if mode.name == name)
        failed, blocks = failed_blocks(mode, LinkConfig(channel, rate, snr_db, TRIAL_SEED))
        assert stored_rates()[name, channel, rate, snr_db] == pytest.approx(failed / blocks, abs=2 / blocks)


def test_table_covers_the_standard_rates() -> None:
    for rate in (rate for rate in RATES if rate >= 300):
        for channel in ("awgn", "rayleigh", "mpp"):
            for mode in MODES:
                known = [snr for snr in (-6.0, 0.0, 10.0, 20.0) if (mode.name, channel, rate, snr) in stored_rates()]
                assert len(known) == (4 if mode.fits(rate) else 0)


def test_rate_too_slow_for_any_mode_is_a_stated_error() -> None:
    with pytest.raises(AetherError, match="no digital mode fits 150 uses/s"):
        best_mode(MODES, LinkConfig("awgn", 150, 10.0))


def test_conditions_with_options_are_measured_apart() -> None:
    mode = mode_of("codec2-700c-qpsk")
    exact = block_error_rate(mode, LinkConfig("rayleigh", 1000, 0.0, options={"csi": "perfect"}))
    assert exact < stored_rates()[mode.name, "rayleigh", 1000, 0.0]


def test_failed_blocks_repeat_the_last_good_frame_then_fall_silent() -> None:
    frames = np.arange(5 * 3 * 1, dtype=np.uint8).reshape(5, 3, 1)
    mended, mute = concealed(frames, np.array([False, True, False, False, True]))
    assert mended[:, :, 0].tolist()[1:] == [[3, 4, 5], [5, 5, 5], [5, 5, 5], [12, 13, 14]]
    assert mute.tolist() == [True, False, False, True, False]


def test_silence_fades_within_ten_milliseconds() -> None:
    heard = muted(np.ones(4 * 1920, np.float32), np.array([False, True, True, False]), 1920)
    assert len(heard) == 4 * 1920
    assert np.all(heard[: 1920 - 80] == 1)
    assert np.abs(heard[1920 + 81 : 3 * 1920 - 81]).max() < 1e-9
    assert np.abs(np.diff(heard)).max() < 1 / 150
