"""Damaged files: a clear error that names the file, or, tolerantly, every token that is still good."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import token_offset

from aether_lite.container.layout import HEADER_BYTES, TRAILER_BYTES, Header, Trailer, crc16
from aether_lite.container.prior import adaptive_prior
from aether_lite.container.streams import Recording, TokenWriter, read_aeth, read_stream
from aether_lite.errors import AetherError

MODEL = b"12345678"
WIDTH = 24
TOKENS = 12 * 5 + 4
RESET = 2
PLAIN = Header(300, MODEL)
CODED = Header(300, MODEL, prior_id=adaptive_prior(WIDTH).identity, reset_blocks=RESET)
BITS = np.cumsum(np.random.default_rng(1).random((TOKENS, WIDTH)) < 0.1, axis=0).astype(np.uint8) % 2
SAMPLES = TOKENS * 1280 - 77


def written(header: Header) -> bytes:
    writer = TokenWriter(header, adaptive_prior(WIDTH) if header.prior_id else None)
    return writer.push(BITS) + writer.finish(SAMPLES)


def read(data: bytes, *, tolerant: bool = False, model_id: bytes | None = MODEL) -> Recording:
    return read_stream(io.BytesIO(data), "clip.aeth", model_id, tolerant=tolerant)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def with_header(data: bytes, **changes: int) -> bytes:
    """Other values in single bytes of the header, under a right CRC."""
    head = bytearray(data[: HEADER_BYTES - 2])
    for name, value in changes.items():
        head[{"version": 4, "flags": 5, "rate": 6, "frames": 8, "reset": 9, "prior": 18}[name]] = value
    return bytes(head) + crc16(head).to_bytes(2, "little") + data[HEADER_BYTES:]


def coded_blocks(data: bytes) -> list[int]:
    """Where the blocks of a coded file start."""
    starts, at = [], HEADER_BYTES
    while at < len(data) - TRAILER_BYTES:
        starts.append(at)
        at += 6 if len(starts) % RESET == 1 else 0
        at += 1 + data[at] + 2
    return starts


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an .aeth file"),
        (b"RIFF" + bytes(60), "is not an .aeth file"),
        (b"AE", "truncated within its header"),
        (written(PLAIN)[:27], "truncated within its header"),
        (flipped(written(PLAIN), 6), "header is damaged"),
        (with_header(written(PLAIN), version=2), "has version 2"),
        (with_header(written(PLAIN), flags=2), "flags 0x02"),
        (with_header(written(PLAIN), flags=0x81), "flags 0x81"),
        (with_header(written(PLAIN), prior=1), "flags 0x00"),
        (with_header(written(PLAIN), rate=1), "bit rate"),
        (with_header(written(PLAIN), frames=0), "token of 0 frames"),
        (with_header(written(PLAIN), reset=1), "reset after 1 blocks"),
        (with_header(written(CODED), reset=0), "reset after 0 blocks"),
        (with_header(written(CODED), prior=1), "entropy coded with prior"),
    ],
)
def test_a_file_that_cannot_be_begun_is_an_error(data: bytes, message: str, tolerant: bool) -> None:
    with pytest.raises(AetherError, match=rf"clip\.aeth: .*{message}"):
        read(data, tolerant=tolerant)


@pytest.mark.parametrize("header", [PLAIN, CODED])
def test_another_model_is_an_error(header: Header) -> None:
    with pytest.raises(AetherError, match=r"clip\.aeth: made by model 3132333435363738"):
        read(written(header), model_id=b"87654321", tolerant=True)
    assert not read(written(header), model_id=None).damage


@pytest.mark.parametrize("header", [PLAIN, CODED])
@pytest.mark.parametrize("garbage", [1, 5, 40, 400])
def test_bytes_after_the_end_are_an_error_or_counted(header: Header, garbage: int) -> None:
    data = written(header) + bytes(garbage)
    with pytest.raises(AetherError, match=r"clip\.aeth: goes on after its end mark"):
        read(data)
    recording = read(data, tolerant=True)
    np.testing.assert_array_equal(recording.bits, BITS)
    assert recording.samples == SAMPLES
    assert recording.damage.trailing_bytes == garbage
    assert not recording.erased.any()


def test_a_damaged_plain_block_erases_its_own_tokens() -> None:
    data = flipped(written(PLAIN), token_offset(PLAIN, 17))
    with pytest.raises(AetherError, match=r"clip\.aeth: block 1 \(from token 12, 0\.96 s\) is damaged: CRC-16"):
        read(data)
    recording = read(data, tolerant=True)
    np.testing.assert_array_equal(np.flatnonzero(recording.erased), np.arange(12, 24))
    np.testing.assert_array_equal(recording.bits[~recording.erased], BITS[~recording.erased])
    assert (recording.damage.erased_tokens, recording.damage.damaged_places) == (12, 1)
    assert recording.samples == SAMPLES


def test_a_damaged_last_plain_block_keeps_the_sample_count() -> None:
    data = flipped(written(PLAIN), token_offset(PLAIN, TOKENS - 1))
    with pytest.raises(AetherError, match="block 5"):
        read(data)
    recording = read(data, tolerant=True)
    np.testing.assert_array_equal(np.flatnonzero(recording.erased), np.arange(60, 64))
    assert recording.samples == SAMPLES


def test_every_cut_of_a_plain_file_gives_what_there_is() -> None:
    whole = written(PLAIN)
    for size in range(HEADER_BYTES, len(whole)):
        with pytest.raises(AetherError, match=r"clip\.aeth: no valid end mark"):
            read(whole[:size])
        recording = read(whole[:size], tolerant=True)
        there = len(recording.bits)
        assert there >= min(TOKENS, (size - HEADER_BYTES - 12) // 3)
        assert there <= TOKENS
        np.testing.assert_array_equal(recording.bits, BITS[:there])
        whole_blocks = min((size - HEADER_BYTES) // 38 * 12, 60)
        assert not recording.erased[:whole_blocks].any()
        assert recording.damage.end_missing
        assert recording.samples == there * 1280


@pytest.mark.parametrize("byte", range(TRAILER_BYTES))
def test_a_damaged_plain_trailer_costs_only_the_sample_count(byte: int) -> None:
    data = flipped(written(PLAIN), len(written(PLAIN)) - TRAILER_BYTES + byte)
    recording = read(data, tolerant=True)
    np.testing.assert_array_equal(recording.bits, BITS)
    assert recording.damage == replace(recording.damage, erased_tokens=0, end_missing=True)
    assert recording.samples == TOKENS * 1280


def test_a_damaged_coded_block_costs_tokens_up_to_the_next_reset() -> None:
    data, starts = written(CODED), coded_blocks(written(CODED))
    assert len(starts) == 6
    for block, start in enumerate(starts):
        end = [*starts, len(data) - TRAILER_BYTES][block + 1]
        for at in [*range(start, start + 8), *range(start + 8, end, 5), end - 1]:
            broken = flipped(data, at)
            with pytest.raises(AetherError, match=rf"clip\.aeth: block {block} "):
                read(broken)
            recording = read(broken, tolerant=True)
            lost = np.arange(12 * block, min(12 * (block // RESET + 1) * RESET, TOKENS))
            np.testing.assert_array_equal(np.flatnonzero(recording.erased), lost)
            np.testing.assert_array_equal(recording.bits[~recording.erased], BITS[~recording.erased])
            assert recording.samples == SAMPLES


def test_missing_and_extra_bytes_in_a_coded_file_cost_one_group() -> None:
    data, at = written(CODED), coded_blocks(written(CODED))[2] + 12
    for broken in (data[:at] + data[at + 3 :], data[:at] + bytes(500) + data[at:]):
        recording = read(broken, tolerant=True)
        np.testing.assert_array_equal(np.flatnonzero(recording.erased), np.arange(24, 48))
        np.testing.assert_array_equal(recording.bits[~recording.erased], BITS[~recording.erased])


def test_every_cut_of_a_coded_file_gives_the_blocks_before_it() -> None:
    data, starts = written(CODED), coded_blocks(written(CODED))
    for size in range(HEADER_BYTES, len(data) - TRAILER_BYTES, 7):
        with pytest.raises(AetherError, match=r"clip\.aeth: no valid end mark"):
            read(data[:size])
        recording = read(data[:size], tolerant=True)
        whole = sum(end <= size for end in starts[1:])
        np.testing.assert_array_equal(recording.bits, BITS[: 12 * whole])
        assert recording.damage.end_missing


@pytest.mark.parametrize("header", [PLAIN, CODED])
def test_swapped_blocks_are_damaged(header: Header) -> None:
    data = written(header)
    starts = [token_offset(PLAIN, 12 * k) for k in range(6)] if header is PLAIN else coded_blocks(data)
    one, two, three = starts[1], starts[2], starts[3]
    swapped = data[:one] + data[two:three] + data[one:two] + data[three:]
    with pytest.raises(AetherError, match="block 1 "):
        read(swapped)


@pytest.mark.parametrize("header", [PLAIN, CODED])
def test_a_trailer_that_claims_too_much_is_refused(header: Header) -> None:
    body, crc = written(header)[:-TRAILER_BYTES], read_crc(written(header))
    samples = Trailer(TOKENS, TOKENS * 1280 + 1, crc).to_bytes()
    with pytest.raises(AetherError, match=r"clip\.aeth: names 81921 samples"):
        read(body + samples)
    assert read(body + samples, tolerant=True).samples == TOKENS * 1280
    with pytest.raises(AetherError, match=r"CRC-32"):
        read(body + Trailer(TOKENS, SAMPLES, crc ^ 1).to_bytes())
    assert read(body + Trailer(TOKENS, SAMPLES, crc ^ 1).to_bytes(), tolerant=True).damage.tokens_differ
    huge = Trailer(2**32 - 1, 2**64 - 1, crc).to_bytes()
    with pytest.raises(AetherError):
        read(body + huge)
    assert len(read(body + huge, tolerant=True).bits) <= TOKENS + 12


def read_crc(data: bytes) -> int:
    return int.from_bytes(data[-6:-2], "little")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AetherError, match=r"none\.aeth: cannot be read"):
        read_aeth(tmp_path / "none.aeth")
