"""What the native decoder makes of received values in any unit, and of garbage: what the Python decoder makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.codec import Codec, SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.core import weights
from aether_lite.core.library import Decoder, Library, Model
from aether_lite.export.native import codec_sections
from aether_lite.payload import ChannelState, Received, ReceivedBits

TOKENS, RATE, TOLERANCE = 150, 600, 1e-5  # more tokens than the receiver's level is a mean over
NOISE = 0.05

Token = tuple[np.ndarray, np.ndarray | None, float | None]  # symbols, gain, N0
Damage = Callable[[np.random.Generator, Token], Token]


def _untrained(**sizes: object) -> Codec:
    torch.manual_seed(1)
    model, speech = SpiCodec(replace(preset("tiny"), **sizes)).eval(), torch.randn(2, 80, 20)
    start(model, speech)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter.copy_((parameter + 0.05 * torch.randn_like(parameter)).half())
    model.measure_power(speech)
    return Codec(model)


@pytest.fixture(scope="module")
def symbols() -> Codec:
    """An untrained codec of symbols in tokens of 80 ms."""
    return _untrained()


@pytest.fixture(scope="module")
def bits() -> Codec:
    """One of bits."""
    return _untrained(hash="sign")


def _decoder(core: Library, codec: Codec, folder: Path) -> Decoder:
    weights.write(folder / "c.aether", codec_sections(codec.model))
    decoder = Decoder(Model(core, folder / "c.aether"))
    decoder.rate = RATE
    return decoder


def _channel(state: str, unit: float, seed: int = 1) -> list[Token]:
    """Tokens of random symbols behind slow fading and noise, as a receiver in this unit of amplitude has them."""
    random, n, made = np.random.default_rng(seed), RATE * 8 // 100, []
    for k in range(TOKENS):
        sent, noise = (random.normal(size=(2, n)) + 1j * random.normal(size=(2, n))) * np.sqrt(0.5)
        fade = np.exp(0.05j * np.arange(n)) * (1 + 0.9 * np.sin(k / 7)) * (5 if k > 100 else 1)
        gain = fade if state == "perfect" else np.ones(n)
        values = gain * sent + np.sqrt(NOISE) * noise
        known = None if state == "none" else NOISE * unit**2
        made.append((values * unit, gain * unit if state == "perfect" else None, known))
    return made


def _changed(part: int, value: complex, whole: bool = False) -> Damage:
    def change(random: np.random.Generator, token: Token) -> Token:
        values, gain, noise = token
        arrays = [values.copy(), (np.ones_like(values) if gain is None else gain).copy()]
        arrays[part][slice(None) if whole else random.integers(len(values))] = value
        return arrays[0], arrays[1] if part or gain is not None else None, noise

    return change


def _told(noise: float) -> Damage:
    return lambda _, token: (*token[:2], noise)


DAMAGES: dict[str, Damage] = {
    "value nan": _changed(0, complex(np.nan, 0)),
    "value inf": _changed(0, complex(0, -np.inf)),
    "value beyond the range": _changed(0, 2e9),
    "value of 1e20": _changed(0, 1e20),
    "spike": _changed(0, 3e3),
    "gain nan": _changed(1, complex(0, np.nan)),
    "gain inf": _changed(1, np.inf),
    "gains nan": _changed(1, complex(np.nan, np.nan), whole=True),
    "gains zero": _changed(1, 0, whole=True),
    "silence": _changed(0, 0, whole=True),
    "noise negative": _told(-1.0),
    "noise inf": _told(np.inf),
    "noise nan": _told(np.nan),
    "noise huge": _told(1e19),
    "noise zero": _told(0.0),
    "gain and noise zero": lambda random, token: (*_changed(1, 0, whole=True)(random, token)[:2], 0.0),
    "louder": lambda _, token: (token[0] * 1e4, None if token[1] is None else token[1] * 1e4, token[2]),
    "softer": lambda _, token: (token[0] * 1e-4, None if token[1] is None else token[1] * 1e-4, token[2]),
}


def _both(ours: Decoder, codec: Codec, tokens: list[Token | None]) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[F, 20]`` of the native decoder and of torch behind the door in Python."""
    found, expected, memory = [], [], None
    n = RATE * 8 // 100
    for token in tokens:
        values, gain, noise = (np.zeros(n), None, None) if token is None else token
        parts = [None if part is None else part.astype(np.complex64) for part in (values, gain)]
        pairs = [None if part is None else part.view(np.float32) for part in parts]
        found.append(ours.push(None if token is None else pairs[0], pairs[1], noise)[1])
        known = [None if part is None else torch.from_numpy(part)[None, None] for part in parts]
        spread = None if noise is None else torch.tensor([[noise]], dtype=torch.float32)
        state = ChannelState(known[1], spread, torch.tensor([[token is None]]))
        assert known[0] is not None
        rows, memory = codec.model.decode(Received(known[0], RATE, state, 8), memory)
        expected.append(rows[0].numpy())
    return np.concatenate(found), np.concatenate(expected)


@pytest.mark.parametrize(("state", "unit"), [("none", 1e-7), ("estimated", 1.0), ("perfect", 3e5)])
def test_symbols_in_any_unit_and_damaged_are_decoded_as_in_python(
    core: Library, symbols: Codec, state: str, unit: float, tmp_path: Path
) -> None:
    random, ours = np.random.default_rng(2), _decoder(core, symbols, tmp_path)
    tokens: list[Token | None] = list(_channel(state, unit))
    for k, change in enumerate([None, *DAMAGES.values()]):
        for place in (5 + 7 * k, 6 + 7 * k):
            token = tokens[place]
            assert token is not None
            tokens[place] = None if change is None else change(random, token)
    found, expected = _both(ours, symbols, tokens)
    assert np.isfinite(found).all()
    assert found == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_alone_and_from_the_first_token(core: Library, symbols: Codec, name: str, tmp_path: Path) -> None:
    random, ours = np.random.default_rng(3), _decoder(core, symbols, tmp_path)
    tokens: list[Token | None] = list(_channel("perfect", 1.0)[:14])
    for place in (0, 1, 5, *range(7, 14)):
        token = tokens[place]
        assert token is not None
        tokens[place] = DAMAGES[name](random, token)
    found, expected = _both(ours, symbols, tokens)
    assert found == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.001, 1e30, 1.0, 0.0])
def test_soft_bits_out_of_range_erase_their_token(core: Library, bits: Codec, value: float, tmp_path: Path) -> None:
    random, ours = np.random.default_rng(4), _decoder(core, bits, tmp_path)
    memory = None
    for k in range(12):
        soft = random.uniform(-1, 1, RATE * 8 // 100).astype(np.float32)
        if k % 3 == 1:
            soft[random.integers(len(soft))] = value
        received = ReceivedBits(torch.from_numpy(soft)[None, None], RATE, torch.zeros(1, 1, dtype=torch.bool), 8)
        expected, memory = bits.model.decode(received, memory)
        assert ours.push(soft)[1] == pytest.approx(expected[0].numpy(), abs=TOLERANCE)


def test_a_saved_state_knows_the_unit(core: Library, symbols: Codec, tmp_path: Path) -> None:
    ours, other, new = (_decoder(core, symbols, tmp_path) for _ in range(3))
    pairs = [
        (values.astype(np.complex64).view(np.float32), np.asarray(gain, np.complex64).view(np.float32), noise)
        for values, gain, noise in _channel("perfect", 1e-3)[:50]
    ]
    for token in pairs[:40]:
        ours.push(*token)
    other.load(ours.save())
    for token in pairs[40:]:
        values, _, noise = token
        found = [decoder.push(values, None, noise)[1].tobytes() for decoder in (ours, other, new)]
        assert found[0] == found[1] != found[2]
