"""The hash codec and Codec2 as systems: on bits, over uncoded QPSK, and behind a channel code."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.baselines import Clip, Condition, System, make_system
from aether_lite.baselines.digital.modes import HASH_MODES, best_mode, stored_rates
from aether_lite.baselines.separation import HashSeparation
from aether_lite.codec import SpiCodec, preset, save_codec
from aether_lite.features import extract_features
from aether_lite.link import LinkConfig
from aether_lite.metrics import estoi_4k, pesq_nb

with_codec2 = pytest.mark.skipif(shutil.which("c2enc") is None, reason="Debian's package codec2 is not installed")
with_sionna = pytest.mark.skipif(importlib.util.find_spec("sionna") is None, reason="Sionna is not installed")


def on_bits(rate: int, error_rate: float) -> Condition:
    return Condition("bsc", None, rate, (), error_rate)


@pytest.fixture(scope="module")
def clip(speech: np.ndarray) -> Clip:
    features = torch.from_numpy(extract_features(speech[0])[:, :20])
    return Clip("en_f_intro", torch.from_numpy(speech[0]), features, "en")


@pytest.fixture(scope="module")
def hash_path(tiny_hash: SpiCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("systems") / "hash_Tiny run.safetensors"
    save_codec(tiny_hash, path, {"data": "none"})
    return path


@pytest.fixture(scope="module")
def hashed(hash_path: Path) -> System:
    return make_system(f"codec:{hash_path}")


@pytest.fixture(scope="module")
def coded(hash_path: Path) -> System:
    return HashSeparation("hash-ldpc", hash_path)


def test_a_hash_codec_file_is_a_system_of_its_own_kind(hashed: System) -> None:
    assert (hashed.name, hashed.facts.trained_on, hashed.facts.latency_ms) == ("hash-tiny-run", "none", 105)
    symbols = [rate for rate in (150, 300, 500, 600, 1000, 1200) if hashed.offers(Condition("mpp", 3.0, rate))]
    assert symbols == [150, 300, 600, 1200]
    bits = [rate for rate in (150, 300, 600, 700, 1200, 2400, 3200) if hashed.offers(on_bits(rate, 0.01))]
    assert bits == [300, 600, 1200, 2400]


def test_two_bits_a_use_over_symbols(hashed: System, clip: Clip) -> None:
    outcome = hashed.transmit(clip, Condition("awgn", 0.0, 300), 1, audio=False)
    assert outcome.uses == 38 * 24
    assert outcome.measured["bit_rate"] == 600
    assert outcome.measured["uses_per_s"] == pytest.approx(300)
    assert outcome.measured["symbol_power"] == pytest.approx(1, abs=1e-5)
    assert outcome.measured["bit_error_rate"] == pytest.approx(0.1587, abs=0.03)  # Q(1)


def test_a_use_is_a_bit_on_the_binary_channel(hashed: System, clip: Clip) -> None:
    outcome = hashed.transmit(clip, on_bits(1200, 0.05), 1, audio=False)
    assert outcome.uses == 38 * 96
    assert "symbol_power" not in outcome.measured
    assert outcome.measured["bit_error_rate"] == pytest.approx(0.05, abs=0.015)
    assert hashed.transmit(clip, on_bits(1200, 0.0), 1, audio=False).measured["bit_error_rate"] == 0


@pytest.mark.parametrize("condition", [Condition("awgn", 0.0, 300), on_bits(600, 0.05)])
def test_seed_decides_the_outcome(hashed: System, clip: Clip, condition: Condition) -> None:
    first, again, other = (hashed.transmit(clip, condition, seed, audio=False).features for seed in (1, 1, 2))
    assert first is not None
    assert other is not None
    assert torch.equal(first, again)  # type: ignore[arg-type]
    assert not torch.equal(first, other)


def test_systems_of_symbols_do_not_take_bits() -> None:
    for name in ("codec-small", "uncoded"):
        assert make_system(name).offers(Condition("awgn", 0.0, 600))
        assert not make_system(name).offers(on_bits(600, 0.0))


def test_blocks_of_the_hash_codec_are_tokens_of_whole_codes() -> None:
    fitting = {rate: [mode.name for mode in HASH_MODES if mode.fits(rate)] for rate in (150, 300, 600, 1000)}
    assert fitting == {
        150: ["hash-300-16qam"],
        300: ["hash-300-qpsk", "hash-300-16qam", "hash-600-16qam"],
        600: ["hash-300-qpsk", "hash-600-qpsk", "hash-600-16qam", "hash-1200-16qam"],
        1000: ["hash-600-qpsk", "hash-1200-qpsk", "hash-1200-16qam", "hash-2400-16qam"],
    }
    assert [mode.info_bits for mode in HASH_MODES if mode.modulation == "qpsk"] == [24, 48, 96]


def test_the_table_has_the_standard_grid() -> None:
    for channel in ("awgn", "mpp"):
        for rate in (150, 300, 600, 1000):
            for mode in HASH_MODES:
                known = [
                    s
                    for s in (-6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 20.0)
                    if (mode.name, channel, rate, s) in stored_rates()
                ]
                assert len(known) == (7 if mode.fits(rate) else 0)
    chosen = [best_mode(HASH_MODES, LinkConfig("awgn", 1000, snr)).bit_rate for snr in (-6.0, 0.0, 6.0, 20.0)]
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (600, 2400)


@with_sionna
def test_behind_a_code_all_bits_arrive_or_the_token_is_lost(coded: System, hashed: System, clip: Clip) -> None:
    """Without noise the coded system gives what the bits give on a channel without errors; every uses are counted."""
    outcome = coded.transmit(clip, Condition("clean", None, 1000), 1, audio=False)
    assert (outcome.uses, outcome.measured["bler"], outcome.measured["bit_rate"]) == (38 * 80, 0.0, 2400)
    condition = Condition("bsc", None, 2400, (("csi", "perfect"),), 0.0)
    plain = hashed.transmit(clip, condition, 1, audio=False)
    torch.testing.assert_close(outcome.features, plain.features, atol=1e-4, rtol=0)
    assert coded.facts.latency_ms == 105
    assert not coded.offers(on_bits(1200, 0.0))


@with_sionna
def test_a_look_ahead_counts_in_the_latency_with_a_code_and_without(tmp_path: Path) -> None:
    path = tmp_path / "hash_ahead.safetensors"
    save_codec(SpiCodec(replace(preset("tiny"), hash="sign", lookahead=1)), path, {})
    for system in (make_system(f"codec:{path}"), HashSeparation("hash-ldpc", path)):
        assert system.facts.latency_ms == 185


@with_sionna
def test_lost_blocks_are_lost_tokens(coded: System, clip: Clip) -> None:
    condition = Condition("erasure", None, 600, (("probability", 1.0),))
    other = Clip("other", clip.speech.flip(0).clone(), clip.features.flip(0).clone())
    one, two = (coded.transmit(item, condition, 1, audio=False) for item in (clip, other))
    assert one.measured["bler"] == 1
    assert torch.equal(one.features, two.features)  # type: ignore[arg-type]


@with_codec2
def test_plain_codec2_on_the_binary_channel(clip: Clip) -> None:
    system = make_system("codec2")
    rates = [rate for rate in (300, 600, 700, 1200, 1300, 2400, 3200) if system.offers(on_bits(rate, 0.0))]
    assert rates == [700, 1300, 2400, 3200]
    assert not system.offers(Condition("awgn", 0.0, 700))
    for rate in rates:
        clean = system.transmit(clip, on_bits(rate, 0.0), 1, audio=True)
        noisy, again = (system.transmit(clip, on_bits(rate, 0.05), 1, audio=True) for _ in range(2))
        assert clean.audio is not None
        assert noisy.audio is not None
        assert clean.audio.shape == clip.speech.shape
        assert clean.measured["bit_error_rate"] == 0
        assert noisy.measured["bit_error_rate"] == pytest.approx(0.05, abs=0.02)
        assert torch.equal(noisy.audio, again.audio)  # type: ignore[arg-type]
        assert 3 * rate <= clean.uses < 3.2 * rate
        assert float(estoi_4k(clean.audio, clip.speech)) > float(estoi_4k(noisy.audio, clip.speech)) + 0.05


def test_the_original_up_to_4_khz_is_perfect_in_its_own_band(clip: Clip) -> None:
    outcome = make_system("original-4k").transmit(clip, on_bits(600, 0.0), 1, audio=True)
    assert outcome.audio is not None
    assert outcome.uses == 0
    assert float(estoi_4k(outcome.audio, clip.speech)) > 0.99
    assert float(pesq_nb(outcome.audio, clip.speech)) > 4.4
    spectrum = torch.fft.rfft(outcome.audio).abs().square()
    assert float(spectrum[int(len(spectrum) * 0.55) :].sum() / spectrum.sum()) < 1e-4


def test_narrow_band_metrics_do_not_hear_above_4_khz(clip: Clip) -> None:
    time = torch.arange(len(clip.speech)) / 16_000
    hissing = clip.speech + 0.05 * torch.sin(2 * torch.pi * 6000 * time)
    assert float(estoi_4k(hissing, clip.speech)) == pytest.approx(1, abs=1e-3)
    assert float(pesq_nb(hissing, clip.speech)) > 4.4
    both = torch.stack((hissing, clip.speech))
    assert pesq_nb(both, torch.stack((clip.speech, clip.speech))).shape == (2,)
    with pytest.raises(ValueError, match="one shape"):
        estoi_4k(hissing, clip.speech[:-1])
