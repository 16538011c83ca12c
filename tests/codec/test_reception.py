"""What comes from outside: units change nothing, and absurd values are erased tokens that are soon forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aether_lite import channels
from aether_lite.channels import awgn, clean, keyed
from aether_lite.codec import Codec
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, Symbols, joined_tokens
from aether_lite.reception import LEVEL_S, accepted
from aether_lite.streaming import Decoder

RATE = 600
SECOND = 1000 // 80  # tokens of the tiny codec
HOSTILE = (float("nan"), float("inf"), -float("inf"), 1e38, -3e38, 1e15, 1e5, 1e-30, 1e-45, 0.0, -0.0)


def in_units(received: Received, unit: float) -> Received:
    """The same with another unit of amplitude."""
    state = received.state
    gain = None if state.gain is None else state.gain * unit
    noise = None if state.noise_variance is None else state.noise_variance * unit**2
    return replace(received, values=received.values * unit, state=ChannelState(gain, noise, state.erased))


@pytest.fixture(scope="module")
def sent(tiny_codec: Codec, speech: np.ndarray) -> Symbols:
    symbols = tiny_codec.encode(speech[:1, :40_000], RATE)
    assert isinstance(symbols, Symbols)
    return symbols


@pytest.mark.parametrize("csi", ["perfect", "estimated", "none"])
@pytest.mark.parametrize(
    "name", ["awgn", "mpp", *(pytest.param(n, marks=pytest.mark.slow) for n in ("rayleigh", "rician", "erasure"))]
)
def test_units_change_nothing(tiny_codec: Codec, sent: Symbols, name: str, csi: str) -> None:
    received = channels.apply_channel(name, sent, 6.0, csi=csi, seed=1)
    expected = tiny_codec.decode_features(received)
    for unit in (0.01, 30.0):
        scaled = in_units(received, unit)
        torch.testing.assert_close(tiny_codec.decode_features(scaled), expected, atol=2e-3, rtol=0)
        stream = Decoder(tiny_codec, RATE)
        streamed = torch.cat([stream.push(scaled).features, stream.flush().features])
        torch.testing.assert_close(streamed, expected[0], atol=2e-3, rtol=0)


def test_units_change_no_muting(tiny_codec: Codec, sent: Symbols) -> None:
    silence = replace(sent, values=torch.zeros_like(sent.values))
    received = joined_tokens([awgn(sent, 10.0, seed=1), awgn(silence, 10.0, seed=2)])
    muted = [Decoder(tiny_codec, RATE).push(in_units(received, unit)).muted for unit in (1.0, 0.01, 100.0)]
    assert muted[0].any()
    assert torch.equal(muted[0], muted[1])
    assert torch.equal(muted[0], muted[2])


@pytest.mark.parametrize("csi", ["perfect", "estimated"])
def test_units_change_no_soft_bit(csi: str) -> None:
    bits = Bits(torch.sign(torch.randn(1, 30, 48, generator=torch.Generator().manual_seed(0))), 600, token_frames=8)
    for modulation in ("bpsk", "qpsk"):
        one, other = (
            keyed(bits, lambda s, u=unit: in_units(channels.rician(s, 3.0, seed=1, csi=csi), u), modulation).values
            for unit in (1.0, 50.0)
        )
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_the_reference_is_a_causal_mean_over_seconds() -> None:
    """Not of the token alone, nor of what comes later; it follows within its memory, and outliers move it little."""
    count = 3 * round(LEVEL_S / 0.08)
    gain = torch.ones(1, count, 4, dtype=torch.complex64)
    gain[:, 1::2] = 3**0.5  # mean power gain 2
    gain[:, count // 2] = 1e4
    state = ChannelState(gain, torch.full((1, count), 0.5), torch.zeros(1, count, dtype=torch.bool))
    received = Received(torch.zeros(1, count, 4, dtype=torch.complex64), 50, state, token_frames=8)
    whole, levels = accepted(received)
    snr = 0.5 / whole.state.noise_variance[0]
    assert snr[0] == 1
    assert snr[20:].min() > 1.7
    assert snr[20:].max() < 2.4
    first, kept = accepted(received.tokens(slice(0, 30)))
    rest, after = accepted(received.tokens(slice(30, None)), kept)
    torch.testing.assert_close(joined_tokens([first, rest]).state.noise_variance, whole.state.noise_variance)
    assert torch.equal(after, levels)


def test_a_unit_gain_leaves_the_bits_as_they_are(sent: Symbols) -> None:
    received = awgn(sent, 3.0, seed=0)
    kept, _ = accepted(received)
    assert torch.equal(kept.values, received.values)
    assert torch.equal(kept.state.noise_variance, received.state.noise_variance)


def spoilt(received: Received, rng: np.random.Generator, where: slice, kind: str) -> Received:
    """Random bytes, or some flipped bits, in symbols, gains or noise variances."""
    state = received.state
    assert state.gain is not None
    assert state.noise_variance is not None
    parts = {"values": received.values, "gain": state.gain, "noise_variance": state.noise_variance}
    name = str(rng.choice(list(parts)))
    raw = parts[name].clone().numpy()
    chosen = np.ascontiguousarray(raw[:, where])
    data = bytearray(chosen.tobytes())
    if kind == "bytes":
        data = bytearray(rng.bytes(len(data)))
    elif kind == "bits":
        for _ in range(int(rng.integers(1, 40))):
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    changed = np.frombuffer(bytes(data), chosen.dtype).reshape(chosen.shape).copy()
    if kind == "values":
        changed[rng.random(changed.shape) < 0.1] = rng.choice(HOSTILE)
    raw[:, where] = changed
    parts[name] = torch.from_numpy(raw)
    known = ChannelState(parts["gain"], parts["noise_variance"], state.erased)
    return replace(received, values=parts["values"], state=known)


@given(st.integers(0, 2**32), st.sampled_from(["bytes", "bits", "values"]), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_the_decoder_recovers(
    tiny_codec: Codec, sent: Symbols, seed: int, kind: str, at_start: bool
) -> None:
    rng = np.random.default_rng(seed)
    received = channels.rician(sent, 12.0, seed=1)
    where = slice(0, 8) if at_start else slice(6, 14)
    found = spoilt(received, rng, where, kind)
    good = tiny_codec.decode_features(received)[0]
    batch = tiny_codec.decode_features(found)[0]
    stream = Decoder(tiny_codec, RATE)
    pieces = [stream.push(found), stream.flush()]
    streamed, samples = (torch.cat([getattr(piece, name) for piece in pieces]) for name in ("features", "samples"))
    assert batch.isfinite().all()
    assert samples.isfinite().all()
    torch.testing.assert_close(streamed, batch, atol=1e-3, rtol=0)
    back = 8 * (where.stop + SECOND)
    assert float((batch[back:] - good[back:]).abs().mean()) < 0.05


@pytest.mark.parametrize("value", HOSTILE[1:6:2])
def test_a_stream_of_symbols_goes_on(tiny_codec: Codec, sent: Symbols, value: float) -> None:
    values = awgn(sent, 12.0, seed=1).values.flatten()
    good, stream = Decoder(tiny_codec, RATE).push_symbols(values, 0.06), Decoder(tiny_codec, RATE)
    bad = values.clone()
    bad[100:500:7] = value
    heard = stream.push_symbols(bad, 0.06)
    assert heard.samples.isfinite().all()
    back = 8 * (11 + SECOND)
    assert float((heard.features[back:] - good.features[back:]).abs().mean()) < 0.05
    gains = torch.full((48,), complex(value, value))
    for noise in (-1.0, float("inf"), 1e38, float("nan")):
        assert stream.push_symbols(values[:48], noise, gains).samples.isfinite().all()


def test_absurd_values_are_erased_tokens(tiny_codec: Codec, sent: Symbols) -> None:
    received = clean(sent)
    lost = torch.zeros(received.values.shape[:2], dtype=torch.bool)
    lost[0, 3:6] = True
    erased = tiny_codec.decode_features(received.with_erased(lost))
    for value in (float("nan"), float("inf"), 3e38):
        values = received.values.clone()
        values[0, 3:6, 2] = value
        assert torch.equal(tiny_codec.decode_features(replace(received, values=values)), erased)


def test_absurd_soft_bits_are_erased_tokens() -> None:
    soft = torch.ones(1, 4, 24)
    soft[0, 1, 3], soft[0, 2, 5], soft[0, 3, 0] = float("nan"), 1.5, -float("inf")
    kept, _ = accepted(ReceivedBits(soft, 300, torch.zeros(1, 4, dtype=torch.bool), token_frames=8))
    assert kept.erased.tolist() == [[False, True, True, True]]
    kept.validate()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_a_damaged_state_is_refused_or_forgotten(tiny_codec: Codec, sent: Symbols, value: float) -> None:
    received = awgn(sent, 12.0, seed=1)
    before = Decoder(tiny_codec, RATE)
    before.push(received.tokens(slice(0, 20)))
    state: dict[str, Any] = before.state_dict()
    for name, entry in state.items():
        if not entry.is_floating_point() or not entry.numel():
            continue
        damaged = entry.clone()
        damaged.view(-1)[0] = value
        stream = Decoder(tiny_codec, RATE)
        if name != "levels" or value != 1e38:
            with pytest.raises(AetherError, match=f"'{name}' holds"):
                stream.load_state_dict({**state, name: damaged})
        else:
            stream.load_state_dict({**state, name: damaged})
        assert stream.push(received).samples.isfinite().all()
