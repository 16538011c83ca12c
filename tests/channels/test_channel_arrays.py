"""Channels take arrays of numpy as they take tensors: the same figures for a seed, and no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

import aether_lite
from aether_lite import channels
from aether_lite.channels import Bits, ChannelState, Symbols
from aether_lite.errors import AetherError
from aether_lite.payload import joined_items, joined_tokens

SEEDS = [3, 5, 8]
RATES = np.array([300, 1200, 600])
SYMBOL_CHANNELS: dict[str, Callable[..., Any]] = {
    "awgn": channels.awgn,
    "clean": channels.clean,
    "rayleigh": channels.rayleigh,
    "rayleigh, Jakes": lambda sent, snr, **rest: channels.rayleigh(sent, snr, doppler_hz=7.0, **rest),
    "rician": lambda sent, snr, **rest: channels.rician(sent, snr, doppler_hz=7.0, los_doppler_hz=3.0, **rest),
    "mpp": channels.mpp,
    "erasure": lambda sent, snr, **rest: channels.erasure(sent, snr, probability=0.4, burst_tokens=3.0, **rest),
    "noiseless erasure": lambda sent, _, **rest: channels.erasure(sent, probability=0.6, burst_tokens=1.6, **rest),
}
BIT_CHANNELS: dict[str, Callable[..., Any]] = {
    "bsc": lambda bits, **rest: channels.bsc(bits, 0.1, **rest),
    "clean": channels.clean,
    "lost bits": lambda bits, **rest: channels.lose_bits(channels.clean(bits), 0.3, seed=rest["seed"]),
    "lost tokens": lambda bits, **rest: channels.erase(channels.clean(bits), 0.3, 2.0, seed=rest["seed"]),
    **{
        modulation: lambda bits, modulation=modulation, **rest: channels.keyed(
            bits, lambda symbols: channels.mpp(symbols, 4.0, **rest), modulation
        )
        for modulation in ("bpsk", "qpsk")
    },
}


def symbols(of: Callable[[np.ndarray], Any], dtype: str = "complex64") -> Symbols:
    normal = np.random.default_rng(1).standard_normal((2, 3, 40, 96))
    return Symbols(of((normal[0] + 1j * normal[1]).astype(dtype)), of(RATES), 8)


def bits(of: Callable[[np.ndarray], Any]) -> Bits:
    values = np.random.default_rng(2).choice(np.array([-1, 1], np.float32), (3, 40, 96))
    values[np.broadcast_to(np.arange(96) >= (RATES * 8 // 100)[:, None, None], values.shape)] = 0
    return Bits(of(values), of(RATES), 8)


def assert_same(array: Any, tensor: Any) -> None:
    """Every field holds the same figures, one in an array and one in a tensor, in the same precision."""
    for field in fields(array):
        ours, theirs = getattr(array, field.name), getattr(tensor, field.name)
        if isinstance(ours, ChannelState):
            assert_same(ours, theirs)
        elif theirs is None or isinstance(theirs, int):
            assert ours == theirs
        else:
            assert isinstance(ours, np.ndarray), field.name
            assert isinstance(theirs, torch.Tensor), field.name
            assert str(theirs.dtype) == f"torch.{ours.dtype}"
            np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


@pytest.mark.parametrize("csi", ["perfect", "estimated", "none"])
@pytest.mark.parametrize("seed", [7, SEEDS])
@pytest.mark.parametrize("name", SYMBOL_CHANNELS)
def test_symbols_of_numpy_meet_the_same_channel(name, seed, csi):
    snr_db = [0.0, 6.0, 20.0]
    array, tensor = (
        SYMBOL_CHANNELS[name](symbols(of), snr_db, csi=csi, seed=seed) for of in (np.asarray, torch.from_numpy)
    )
    assert_same(array, tensor)
    array.validate()
    assert repr(array) == repr(tensor)


@pytest.mark.parametrize("csi", ["perfect", "estimated", "none"])
@pytest.mark.parametrize("name", BIT_CHANNELS)
def test_bits_of_numpy_meet_the_same_channel(name, csi):
    array, tensor = (BIT_CHANNELS[name](bits(of), csi=csi, seed=SEEDS) for of in (np.asarray, torch.from_numpy))
    assert_same(array, tensor)
    array.validate()


@pytest.mark.parametrize("name", SYMBOL_CHANNELS)
def test_precision_of_numpy_follows_the_symbols(name):
    array = SYMBOL_CHANNELS[name](symbols(np.asarray, "complex128"), 3.0, seed=1)
    tensor = SYMBOL_CHANNELS[name](symbols(torch.from_numpy, "complex128"), 3.0, seed=1)
    assert_same(array, tensor)
    np.testing.assert_allclose(array.values, tensor.values.numpy(), atol=1e-9)


def test_payloads_of_numpy_are_cut_and_joined_alike():
    results = []
    for of in (np.asarray, torch.from_numpy):
        received = channels.mpp(symbols(of), 3.0, seed=1)
        slow, fast = received.items(of(np.array([0, 2]))), received.items(of(np.array([1])))
        assert slow.values.shape == (2, 40, 48)
        joined = joined_items([slow, fast]).with_lost_token()
        results.append(joined_tokens([joined.tokens(slice(0, 3)), joined.tokens(slice(30, 41))]))
        soft = channels.bsc(bits(of), 0.1, seed=1)
        results.append(joined_tokens([soft, soft.with_lost_token()]))
    assert_same(results[0], results[2])
    assert_same(results[1], results[3])
    assert results[0].erased[:, -1].all()


@pytest.mark.parametrize("tokens", [0, 1])
def test_short_clips_of_numpy_pass(tokens):
    for name, send in SYMBOL_CHANNELS.items():
        sent = symbols(np.asarray).tokens(slice(0, tokens))
        assert send(sent, 3.0, seed=1).values.shape == (3, tokens, 96), name
    for name, carry in BIT_CHANNELS.items():
        assert carry(bits(np.asarray).tokens(slice(0, tokens)), seed=1).values.shape == (3, tokens, 96), name


def test_numpy_without_a_seed_gets_other_noise_each_time_and_takes_a_generator():
    sent = symbols(np.asarray)
    assert not np.array_equal(channels.awgn(sent, 0.0).values, channels.awgn(sent, 0.0).values)
    first, again = (channels.awgn(sent, 0.0, generator=np.random.default_rng(4)).values for _ in range(2))
    np.testing.assert_array_equal(first, again)
    with pytest.raises(AetherError, match="generator must be one of numpy"):
        channels.awgn(sent, 0.0, generator=torch.Generator())


@pytest.mark.parametrize("wrong", [None, "3", ["3"], [1.0, 2.0], float("nan"), [[1.0]]])
def test_wrong_quality_is_refused_for_both_kinds(wrong):
    for of in (np.asarray, torch.from_numpy):
        with pytest.raises(AetherError, match=r"snr_db must be"):
            channels.awgn(symbols(of), wrong)


WITHOUT_TORCH = """
import sys
import numpy as np
import aether_lite
from aether_lite import channels
for name in channels.CHANNELS:
    sent = channels.Symbols(np.ones((1, 9, 80), np.complex64), 1000, 8)
    received = channels.apply_channel(name, sent, 3.0, seed=1)
    channels.erase(received.with_lost_token(), 0.2, 2.0, seed=1).validate()
bits = channels.Bits(np.ones((1, 9, 48), np.float32), 600, 8)
bits.validate()
channels.lose_bits(channels.bsc(bits, 0.1, seed=1), 0.1, seed=1).validate()
channels.keyed(bits, lambda symbols: channels.rayleigh(symbols, 6.0, doppler_hz=5.0, seed=1), "qpsk").validate()
print(*(name for name in ("torch", "scipy") if name in sys.modules))
"""


def test_channels_of_numpy_do_not_import_torch():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr


def test_codecs_decode_what_numpy_carried():
    codec = aether_lite.load("small")
    sent = codec.encode(np.zeros(3200, np.float32), rate=1000)
    carried = channels.mpp(Symbols(sent.values.numpy(), 1000, codec.token_frames), 6.0, seed=2)
    expected = codec.decode_features(channels.mpp(sent, 6.0, seed=2))
    torch.testing.assert_close(codec.decode_features(carried), expected, atol=1e-3, rtol=0)
    decoder = aether_lite.Decoder(codec, 1000)
    assert len(decoder.push(carried).features)
