"""Names and numbers that no channel takes are refused with a stated error."""

from __future__ import annotations

import math

import pytest
import torch

from aether_lite.channels import BIT_CHANNELS, CHANNELS, NOISELESS, apply_channel, erase, mpp, watterson
from aether_lite.errors import AetherError


def test_registry_holds_the_names_of_the_command_line():
    assert set(CHANNELS) == {"awgn", "rayleigh", "rician", "mpg", "mpp", "mpd", "erasure", "clean"}


def test_unknown_channel_lists_the_known_ones(make_symbols):
    with pytest.raises(AetherError, match=r"'rayliegh'.*awgn, .*rayleigh"):
        apply_channel("rayliegh", make_symbols(), 3.0)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_unknown_option_lists_the_known_ones(make_symbols, name):
    with pytest.raises(AetherError, match=r"no option 'dopler_hz'.*seed"):
        apply_channel(name, make_symbols(), 3.0, dopler_hz=1.0)


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - {"clean"}))
@pytest.mark.parametrize("snr_db", [math.nan, math.inf, -31, 61, "ten", [1.0, 2.0], torch.zeros(1, 1)])
def test_snr_must_be_a_number_in_range_for_each_item(make_symbols, name, snr_db):
    with pytest.raises(AetherError, match="snr_db"):
        apply_channel(name, make_symbols(), snr_db)


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - {"clean", "erasure"}))
def test_snr_may_not_be_left_out(make_symbols, name):
    with pytest.raises(AetherError, match="snr_db"):
        apply_channel(name, make_symbols())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rayleigh", {"block_ms": 0}),
        ("rayleigh", {"block_ms": "40"}),
        ("rayleigh", {"block_ms": math.nan}),
        ("rayleigh", {"doppler_hz": 0}),
        ("rayleigh", {"doppler_hz": -1}),
        ("rician", {"k_db": math.inf}),
        ("rician", {"k_db": None}),
        ("rician", {"los_doppler_hz": 1.0}),
        ("rician", {"doppler_hz": 2.0, "los_doppler_hz": 3.0}),
        ("erasure", {"probability": 1.1}),
        ("erasure", {"probability": -0.1}),
        ("erasure", {"burst_tokens": 0.5}),
        ("erasure", {"probability": 0.9, "burst_tokens": 2}),
        ("awgn", {"csi": "exactly"}),
        ("clean", {"csi": "exactly"}),
        ("mpp", {"pilot_spacing": 0}),
        ("mpp", {"pilot_spacing": 2.5}),
        ("awgn", {"seed": -1}),
        ("awgn", {"seed": 1.5}),
        ("awgn", {"seed": "1"}),
        ("awgn", {"seed": [1, 2]}),
        ("awgn", {"generator": 3}),
        ("awgn", {"seed": 1, "generator": torch.Generator()}),
    ],
)
def test_bad_option_is_refused(make_symbols, name, options):
    with pytest.raises(AetherError):
        apply_channel(name, make_symbols(), 3.0, **options)


@pytest.mark.parametrize(("delay_ms", "spread_hz"), [(-1, 1), (21, 1), (2, 0), (2, 51), (math.nan, 1)])
def test_watterson_numbers_are_checked(make_symbols, delay_ms, spread_hz):
    with pytest.raises(AetherError):
        watterson(make_symbols(), 3.0, delay_ms=delay_ms, spread_hz=spread_hz)


def test_erase_checks_its_numbers(make_symbols):
    with pytest.raises(AetherError, match="probability"):
        erase(mpp(make_symbols(), 3.0), 2.0)


def test_seeds_may_be_integers_of_any_library(make_symbols):
    symbols = make_symbols(batch=2)
    listed = mpp(symbols, 3.0, seed=[3, 4]).values
    assert torch.equal(listed, mpp(symbols, 3.0, seed=torch.tensor([3, 4])).values)
    assert torch.equal(listed, mpp(symbols, 3.0, seed=tuple(torch.tensor([3, 4]).numpy())).values)


def test_older_words_for_csi_are_accepted(make_symbols):
    symbols = make_symbols()
    with pytest.warns(FutureWarning, match="state= is now csi="):
        older = mpp(symbols, 3.0, state="exact", seed=1)
    newer = mpp(symbols, 3.0, csi="perfect", seed=1)
    assert torch.equal(older.state.gain, newer.state.gain)
    assert mpp(symbols, 3.0, csi="withheld").state.gain is None


def test_channels_say_whether_they_need_an_snr():
    assert set(NOISELESS) == {"clean", "erasure"}
    assert set(BIT_CHANNELS) == {"bsc"}
    assert "block_ms" in CHANNELS["rayleigh"].options
