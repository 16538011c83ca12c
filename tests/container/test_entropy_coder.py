"""The entropy coder is lossless, integer, close to the entropy, and exactly what docs/reference/format.md says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from aether_lite.container.entropy import (
    BlockCoder,
    Predictor,
    _bernoulli_family,
    _constriction,
    squash_table,
    stretch_table,
)
from aether_lite.container.layout import Header
from aether_lite.container.prior import adaptive_prior
from aether_lite.container.streams import read_aeth, write_aeth
from aether_lite.errors import AetherError


def markov(tokens: int, stay: np.ndarray, seed: int = 0) -> tuple[np.ndarray, float]:
    """Bits that each stay as they were with a chance of their own, and the entropy of the source in bits."""
    changes = np.random.default_rng(seed).random((tokens, len(stay))) >= stay
    changes[0] = np.random.default_rng(seed + 1).random(len(stay)) < 0.5
    entropy = -(stay * np.log2(stay) + (1 - stay) * np.log2(1 - stay))
    return np.cumsum(changes, axis=0).astype(np.uint8) % 2, len(stay) + (tokens - 1) * float(entropy.sum())


STAY = np.random.default_rng(5).uniform(0.6, 0.95, 24)


def reference_rans(bits: list[int], chances: list[int]) -> bytes:
    """The coder of docs/reference/format.md in whole numbers of any size: its state, written little-endian."""
    plain = int("".join(map(str, bits[-24:])), 2)
    state, words = 1 << 24 | plain, []
    for bit, chance in zip(reversed(bits[:-24]), reversed(chances[:-24]), strict=True):
        ones = chance << 8
        share, first = (ones, (1 << 24) - ones) if bit else ((1 << 24) - ones, 0)
        if state >> 40 >= share:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // share << 24) + first + state % share
    whole = b"".join(word.to_bytes(4, "little") for word in words) + state.to_bytes(8, "little")
    return whole.rstrip(b"\0")


def test_coder_writes_what_the_format_states() -> None:
    bits, _ = markov(36, STAY)
    coder, predictor = BlockCoder(adaptive_prior(24)), Predictor(adaptive_prior(24))
    for block in np.split(bits, 3):
        chances = []
        for bit in block.ravel().tolist():
            chances.append(predictor.next_chance())
            predictor.update(bit)
        expected = reference_rans(block.ravel().tolist(), chances)
        assert coder.encode(block) == (expected if len(expected) < 36 else np.packbits(block).tobytes())


def test_every_chance_has_its_exact_share() -> None:
    chances = np.arange(1, 1 << 16)
    bits = np.random.default_rng(2).integers(0, 2, len(chances))
    coder = _constriction().stack.AnsCoder(np.array([1 << 24], dtype=np.uint32))
    coder.encode_reverse(bits.astype(np.int32), _bernoulli_family(), chances / 65536)
    expected = reference_rans([*bits.tolist(), *[0] * 24], [*chances.tolist(), *[0] * 24])
    assert coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0") == expected


def test_a_long_markov_stream_is_within_two_percent_of_its_entropy() -> None:
    bits, entropy = markov(3000, STAY)
    coded = BlockCoder(adaptive_prior(24)).encode(bits)
    assert entropy < 0.8 * bits.size  # there is something to gain
    assert 0.98 < 8 * len(coded) / entropy < 1.02
    np.testing.assert_array_equal(BlockCoder(adaptive_prior(24)).decode(coded, 3000), bits)


def test_random_bits_are_stored_as_they_are() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (12, 24), dtype=np.uint8)
    coded = BlockCoder(adaptive_prior(24)).encode(bits)
    assert coded == np.packbits(bits).tobytes()
    np.testing.assert_array_equal(BlockCoder(adaptive_prior(24)).decode(coded, 12), bits)


def test_correlated_bits_make_a_smaller_file(tmp_path: Path) -> None:
    """Every cost counted: lengths, sync marks, CRCs, whole bytes."""
    bits, entropy = markov(750, np.resize(STAY, 48))
    prior = adaptive_prior(48)
    plain = write_aeth(tmp_path / "p.aeth", Header(600, bytes(8)), bits, 960_000)
    header = Header(600, bytes(8), prior_id=prior.identity, reset_blocks=63)
    coded = write_aeth(tmp_path / "c.aeth", header, bits, 960_000, prior)
    assert entropy / 8 < coded < 0.85 * plain
    np.testing.assert_array_equal(read_aeth(tmp_path / "c.aeth").bits, bits)


def test_chances_are_the_same_integers_everywhere() -> None:
    """Golden values: a change here makes older files unreadable and needs a new format version."""
    assert [squash_table()[k] for k in (0, 1000, 2047, 3000, 4094)] == GOLDEN_SQUASH
    assert [stretch_table()[k] for k in (0, 1000, 2047, 2048, 4095)] == GOLDEN_STRETCH
    bits, _ = markov(24, STAY)
    coder = BlockCoder(adaptive_prior(24))
    assert hashlib.sha256(b"".join(coder.encode(block) for block in np.split(bits, 2))).hexdigest() == GOLDEN_STREAM
    assert adaptive_prior(24).identity.hex() == GOLDEN_PRIOR


GOLDEN_SQUASH = [22, 1079, 32768, 63989, 65514]
GOLDEN_STRETCH = [-2307, -289, 0, 0, 2307]
GOLDEN_STREAM = "6069624bc491e4f90c4c8d3a3f97496a65fb3fe6febdae8774fbd6730d8d1e5c"
GOLDEN_PRIOR = "f69c55044a38d66a"


@pytest.mark.parametrize(
    ("data", "message"),
    [(bytes(37), "at most 36"), (b"\1\0", "zero byte"), (b"", "guard bit"), (b"\xff" * 35, "guard bit")],
)
def test_bytes_that_no_encoder_writes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(AetherError, match=message):
        BlockCoder(adaptive_prior(24)).decode(data, 12)


def test_reset_forgets_all_blocks() -> None:
    bits, _ = markov(24, STAY)
    coder = BlockCoder(adaptive_prior(24))
    first = coder.encode(bits[:12])
    again = coder.encode(bits[:12])
    coder.reset()
    assert coder.encode(bits[:12]) == first != again
