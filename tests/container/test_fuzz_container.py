"""Any tokens come back; no change of a byte goes unseen; no bytes crash, hang or fill the memory."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.container.layout import HEADER_BYTES, SYNC_MARK, Header, Trailer, block_crc
from aether_lite.container.prior import adaptive_prior
from aether_lite.container.streams import Recording, TokenReader, TokenWriter, read_stream
from aether_lite.errors import AetherError

MODEL = bytes(8)
SMALLEST_BLOCK = 5  # bytes, in any kind of file


def header_of(rate: int, reset_blocks: int) -> Header:
    """Plain for 0 reset blocks, else entropy coded."""
    prior_id = adaptive_prior(rate * 8 // 100).identity if reset_blocks else None
    return Header(rate, MODEL, prior_id=prior_id, reset_blocks=reset_blocks)


def written(header: Header, bits: np.ndarray, samples: int) -> bytes:
    writer = TokenWriter(header, adaptive_prior(header.token_bits) if header.prior_id else None)
    return writer.push(bits) + writer.finish(samples)


def read(data: bytes, tolerant: bool = False) -> Recording:
    return read_stream(io.BytesIO(data), "clip.aeth", tolerant=tolerant)


def attempt(data: bytes, tolerant: bool = False) -> Recording | str:
    """What is read, or the message of the stated error."""
    try:
        return read(data, tolerant)
    except AetherError as error:
        return str(error)


def sticky(tokens: int, width: int, seed: int, change: float) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).random((tokens, width)) < change, axis=0).astype(np.uint8) % 2


@st.composite
def recordings(draw: st.DrawFn, most_tokens: int = 40) -> tuple[Header, np.ndarray, int]:
    reset_blocks = draw(st.sampled_from([0, 0, 1, 2, 255]))
    rate = draw(st.sampled_from([300, 600, 1200, 2400] if reset_blocks == 0 else [300, 2400, 300]))
    tokens = draw(st.integers(0, most_tokens if rate < 2400 or not reset_blocks else 14))
    bits = sticky(tokens, rate * 8 // 100, draw(st.integers(0, 99)), draw(st.sampled_from([0.0, 0.02, 0.2, 0.5])))
    return header_of(rate, reset_blocks), bits, draw(st.integers(0, tokens * 1280))


@settings(max_examples=40, deadline=None)
@given(recordings(), st.data())
def test_any_tokens_come_back_whatever_the_pieces(recording: tuple[Header, np.ndarray, int], data: st.DataObject):
    header, bits, samples = recording
    writer = TokenWriter(header, adaptive_prior(header.token_bits) if header.prior_id else None)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bits)), max_size=3)))
    sent = b"".join(writer.push(part) for part in np.split(bits, cuts)) + writer.finish(samples)
    assert sent == written(header, bits, samples)
    reader = TokenReader("x", MODEL, tolerant=data.draw(st.booleans()))
    ends = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    pieces = [sent[a:b] for a, b in zip([0, *ends], [*ends, len(sent)], strict=True)]
    runs = [*map(reader.feed, pieces), reader.finish()]
    runs = [run for run in runs if len(run.bits)]
    assert reader.header == header
    assert reader.samples == samples
    assert not reader.damage
    assert not any(run.erased.any() for run in runs)
    found = np.concatenate([run.bits for run in runs]) if runs else np.zeros((0, header.token_bits))
    np.testing.assert_array_equal(found, bits)


@settings(max_examples=120, deadline=None)
@given(recordings(most_tokens=15), st.integers(0, 10**6), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(recording: tuple[Header, np.ndarray, int], place: int, change: int):
    data = bytearray(written(*recording))
    data[place % len(data)] ^= change
    found = attempt(bytes(data))
    assert isinstance(found, str), f"byte {place % len(data)} of {len(data)} was changed unseen"
    assert found.startswith("clip.aeth: ")


def check_any(data: bytes) -> None:
    """Reading raises a stated error or gives no more than its bytes can hold."""
    strict, found = attempt(data), attempt(data, tolerant=True)
    for outcome in (strict, found):
        assert not isinstance(outcome, str) or outcome.startswith("clip.aeth: ")
    if isinstance(found, str):
        assert isinstance(strict, str)
        return
    assert len(found.bits) == len(found.erased)
    blocks = (len(data) - HEADER_BYTES) // SMALLEST_BLOCK + 1
    assert len(found.bits) <= blocks * found.header.block_tokens
    assert 0 <= found.samples <= len(found.bits) * found.header.token_samples
    assert found.damage.erased_tokens == found.erased.sum()
    if not isinstance(strict, str):
        assert not found.damage
        np.testing.assert_array_equal(found.bits, strict.bits)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"AETH", b"AETH\x01"]))
def test_arbitrary_bytes_are_a_stated_error(data: bytes, start: bytes):
    check_any(start + data)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([300, 2400]), st.sampled_from([0, 1, 255]))
def test_arbitrary_bytes_after_a_good_header(data: bytes, rate: int, reset_blocks: int):
    check_any(header_of(rate, reset_blocks).to_bytes() + data)


@settings(max_examples=80, deadline=None)
@given(recordings(most_tokens=30), st.data())
def test_mutated_files(recording: tuple[Header, np.ndarray, int], data: st.DataObject):
    sent = written(*recording)
    for _ in range(data.draw(st.integers(1, 4))):
        a, b = sorted(data.draw(st.tuples(*[st.integers(HEADER_BYTES, max(HEADER_BYTES, len(sent)))] * 2)))
        piece = sent[a : min(b, a + 200)]
        junk = data.draw(st.binary(max_size=30) | st.just(SYNC_MARK + bytes(4)) | st.just(b"AEND"))
        sent = data.draw(
            st.sampled_from([sent[:a] + sent[b:], sent[:a] + junk + sent[a:], sent[:b] + piece + sent[b:], sent[:a]])
        )
    check_any(sent)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3)), max_size=5), st.integers(0, 2**32 - 1))
def test_crafted_coded_blocks_with_right_sums(blocks: list[tuple[bytes, int]], claimed: int):
    """An attacker can compute a CRC: lengths, block numbers and counts must hold without it."""
    header = header_of(300, 1)
    data, number = header.to_bytes(), 0
    for payload, jump in blocks:
        number += jump**12
        body = SYNC_MARK + number.to_bytes(4, "little") + bytes([len(payload)]) + payload
        data += body + block_crc(number, body)
        number += 1
    check_any(data + Trailer(claimed, 2**63, 0).to_bytes())
    check_any(data + Trailer(12 * number, 0, 0).to_bytes())
