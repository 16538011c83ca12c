"""Every byte of an `.aeth` file: header, packing, blocks, offsets, trailer; and the size that was promised."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from places import token_offset

from aether_lite import zoo
from aether_lite.codec import load
from aether_lite.container.layout import (
    HEADER_BYTES,
    TRAILER_BYTES,
    Header,
    crc16,
    pack_tokens,
    parse_header,
    token_bits,
    unpack_tokens,
)
from aether_lite.container.prior import adaptive_prior
from aether_lite.container.streams import TokenReader, TokenWriter, read_aeth, read_span, read_stream, write_aeth
from aether_lite.container.weights import check_model, released_weights, weights_id
from aether_lite.errors import AetherError

MODEL = bytes(range(0xA0, 0xA8))
FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "format.md"


def random_bits(tokens: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (tokens, width), dtype=np.uint8)


@pytest.mark.parametrize(("rate", "bits"), [(300, 24), (600, 48), (1200, 96), (2400, 192)])
def test_a_token_of_80_ms_has_whole_bytes(rate: int, bits: int) -> None:
    assert token_bits(rate) == bits


@pytest.mark.parametrize(("rate", "frames"), [(700, 8), (600, 0), (600, 101), (300, 4), (600, 3)])
def test_other_rates_and_token_lengths_are_refused(rate: int, frames: int) -> None:
    with pytest.raises(AetherError, match=r"must be|whole bytes|is not one of"):
        token_bits(rate, frames)


def test_first_bit_is_the_highest_of_the_first_byte() -> None:
    bits = np.zeros((2, 24), dtype=np.uint8)
    bits[0, 0] = bits[0, 15] = bits[1, 16] = 1
    assert pack_tokens(bits) == bytes([0x80, 0x01, 0, 0, 0, 0x80])
    np.testing.assert_array_equal(unpack_tokens(pack_tokens(bits), 24), bits)


def test_crc_is_the_catalogued_one() -> None:
    assert crc16(b"123456789") == 0x29B1  # check value of CRC-16/IBM-3740
    assert crc16(b"6789", start=b"12345") == 0x29B1


def test_header_is_28_bytes_and_says_what_it_was_given() -> None:
    for header in (Header(600, MODEL), Header(2400, MODEL, prior_id=b"priorxyz", reset_blocks=255)):
        assert len(header.to_bytes()) == HEADER_BYTES == 28
        assert parse_header(header.to_bytes(), "x") == header


@pytest.mark.parametrize(("extra", "size"), [(0, 4676), (1, 4682)])
def test_a_minute_at_600_bit_per_second_is_at_most_4700_bytes(tmp_path: Path, extra: int, size: int) -> None:
    bits = random_bits(750 + extra, 48)
    assert write_aeth(tmp_path / "x.aeth", Header(600, MODEL), bits, 960_000) == size <= 4700
    assert (tmp_path / "x.aeth").stat().st_size == size


@pytest.mark.parametrize("rate", [300, 600, 1200, 2400])
def test_offset_formula_finds_every_token(rate: int) -> None:
    header = Header(rate, MODEL)
    bits = random_bits(40, header.token_bits)
    writer = TokenWriter(header)
    data = writer.push(bits) + writer.finish(100)
    for token in range(40):
        start = token_offset(header, token)
        np.testing.assert_array_equal(unpack_tokens(data[start : start + rate // 100], rate * 8 // 100)[0], bits[token])


def test_a_span_is_read_without_the_rest(tmp_path: Path) -> None:
    path, header, bits = tmp_path / "x.aeth", Header(600, MODEL), random_bits(64, 48)
    write_aeth(path, header, bits, 1000)
    data = bytearray(path.read_bytes())
    data[token_offset(header, 2)] ^= 1  # block 0 is damaged; nothing of it is needed
    path.write_bytes(data)
    for first, count in ((12, 12), (13, 30), (60, 4), (64, 0), (40, 0)):
        np.testing.assert_array_equal(read_span(path, first, count), bits[first : first + count])
    with pytest.raises(AetherError, match="block 0"):
        read_span(path, 11, 2)
    with pytest.raises(AetherError, match=r"x\.aeth: has tokens 0\.\.63"):
        read_span(path, 60, 5)
    with pytest.raises(AetherError, match=r"x\.aeth: made by model"):
        read_span(path, 20, 5, model_id=bytes(8))
    path.write_bytes(data[:-1])
    with pytest.raises(AetherError, match=r"x\.aeth: has no valid end mark"):
        read_span(path, 20, 5)


def test_plain_tokens_leave_the_writer_at_once() -> None:
    writer = TokenWriter(Header(600, MODEL))
    sizes = [len(writer.push(random_bits(1, 48, seed))) for seed in range(13)]
    assert sizes == [HEADER_BYTES + 6] + [6] * 10 + [6 + 2] + [6]
    assert len(writer.finish(13 * 1280)) == 2 + TRAILER_BYTES


def test_reader_gives_a_block_as_soon_as_it_is_sure() -> None:
    writer, reader, bits = TokenWriter(Header(300, MODEL)), TokenReader("x"), random_bits(40, 24)
    out = [len(reader.feed(writer.push(row[None])).bits) for row in bits]
    assert sum(out) == 24
    assert max(np.flatnonzero(out)) <= 24 + 7  # 22 bytes of a possible trailer are 7.3 tokens
    assert len(reader.feed(writer.finish(9)).bits) + len(reader.finish().bits) == 16
    assert (reader.samples, bool(reader.damage)) == (9, False)


def test_a_file_of_no_tokens_is_50_bytes() -> None:
    for header in (Header(300, MODEL), coded_header(24)):
        writer = TokenWriter(header, adaptive_prior(24) if header.prior_id else None)
        data = writer.finish(0)
        assert len(data) == HEADER_BYTES + TRAILER_BYTES
        recording = read_stream(io.BytesIO(data), "x")
        assert recording.bits.shape == (0, 24)
        assert recording.samples == 0


def coded_header(width: int) -> Header:
    return Header(width * 100 // 8, MODEL).coded(adaptive_prior(width).identity)


def test_writer_refuses_what_does_not_fit() -> None:
    for bits in (np.zeros((2, 24)), np.zeros(48), np.full((1, 48), 2), np.full((1, 48), 0.5), np.full((1, 48), "1")):
        with pytest.raises(AetherError, match="bits"):
            TokenWriter(Header(600, MODEL)).push(bits)
    writer = TokenWriter(Header(600, MODEL))
    writer.push(np.ones((1, 48), dtype=bool))
    with pytest.raises(AetherError, match=r"sample count 1281: must be 0\.\.1280"):
        writer.finish(1281)
    writer.finish(1280)
    with pytest.raises(AetherError, match="finished"):
        writer.push(np.ones((1, 48)))
    with pytest.raises(AetherError, match="finished"):
        writer.finish(1280)
    with pytest.raises(AetherError, match="needs no prior"):
        TokenWriter(Header(300, MODEL), adaptive_prior(24))
    with pytest.raises(AetherError, match="none was given"):
        TokenWriter(coded_header(24))
    with pytest.raises(AetherError, match="must be 8 bytes"):
        Header(300, b"short")
    with pytest.raises(AetherError, match=r"must be 1\.\.255"):
        Header(300, MODEL, prior_id=bytes(8), reset_blocks=0)


def test_model_id_depends_on_the_weights_alone() -> None:
    state = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}
    same = {"a": torch.ones(2, 2, dtype=torch.float16), "b": torch.arange(3.0)}
    assert weights_id(state) == weights_id(same)
    assert len(weights_id(state)) == 8
    others = [{**state, "b": torch.arange(3.0) + 1e-6}, {**state, "a": torch.ones(4)}, {"b": state["b"]}]
    assert len({weights_id(other) for other in [state, *others]}) == 4


def documented_bytes(title: str) -> bytes:
    """Bytes of the hex dump below ``title`` on the format's page."""
    section = FORMAT_PAGE.read_text().split(title, 1)[1]
    dump = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert dump is not None
    return bytes.fromhex("".join(line.split("  ")[1] for line in dump[1].splitlines()))


def test_documented_examples_are_what_the_writer_writes(tmp_path: Path) -> None:
    plain, coded = tmp_path / "plain.aeth", tmp_path / "coded.aeth"
    bits = np.unpackbits(np.arange(18, dtype=np.uint8)).reshape(3, 48)
    write_aeth(plain, Header(600, MODEL), bits, 3000)
    assert plain.read_bytes() == documented_bytes("### A plain file")
    bits = np.tile(np.unpackbits(np.array([0xF0, 0x0F, 0x5A], dtype=np.uint8)), (13, 1))
    write_aeth(coded, coded_header(24), bits, 16_000, adaptive_prior(24))
    assert coded.read_bytes() == documented_bytes("### An entropy-coded file")
    np.testing.assert_array_equal(read_aeth(coded, MODEL).bits, bits)


def test_a_file_of_earlier_weights_says_which_and_where_they_are() -> None:
    current, first = bytes.fromhex("0d6a9abed9416223"), bytes.fromhex("305c13110b31c50e")
    check_model(first, first, "x")
    check_model(first, None, "x")
    with pytest.raises(AetherError, match=r"hash_small@1 \(305c13.*\), not by hash_small@5 \(0d6a.*git show"):
        check_model(first, current, "x")
    with pytest.raises(AetherError, match=r"not by a0a1a2a3a4a5a6a7; give --model hash_small"):
        check_model(current, MODEL, "x")
    with pytest.raises(AetherError, match=r"made by model a0a1a2a3a4a5a6a7, not by .*; give the weights that made it"):
        check_model(MODEL, first, "x")


@pytest.mark.parametrize("name", zoo.names("hash codec"))
def test_released_weights_are_the_newest_listed_version(name: str) -> None:
    weights = released_weights(weights_id(load(name).model.state_dict()))
    assert weights is not None
    assert weights.current
    assert zoo.find(weights.name) == zoo.find(name)
