"""``encode``, ``decode`` and ``info`` of .aeth files: round trips, lengths, damage, errors."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch

from aether_lite.audio import audio_blocks, read_audio, write_audio
from aether_lite.channels import ReceivedBits, bsc
from aether_lite.codec import Codec, SpiCodec, load, save_codec
from aether_lite.container.entropy import _constriction
from aether_lite.container.layout import HEADER_BYTES, TRAILER_BYTES, bit_array
from aether_lite.container.prior import adaptive_prior, read_label, save_prior
from aether_lite.container.streams import read_aeth
from aether_lite.container.weights import weights_id
from aether_lite.features import read_f32
from aether_lite.payload import BIT_RATES
from aether_lite.training.prior import PriorConfig, fit_prior

Run = Callable[..., Any]  # what it returns is the Result of conftest.py
SAMPLES = 16_000 + 77


@pytest.fixture(scope="module")
def codec(hash_file: Path) -> Codec:
    return load(hash_file)


@pytest.fixture
def clip(folder: Path, speech: np.ndarray) -> Path:
    """``in.wav``: one second of speech and a little, no whole token."""
    write_audio(folder / "in.wav", speech[0, :SAMPLES])
    return folder / "in.wav"


@pytest.fixture
def aeth(run: Run, hash_file: Path) -> Run:
    """A command with the untrained hash codec, whose outputs may be there."""

    def call(command: str, *arguments: object) -> Any:
        return run(command, *arguments, "--model", hash_file, "--force")

    return call


@pytest.mark.parametrize("rate", BIT_RATES)
def test_a_file_of_every_rate_holds_the_bits_of_the_codec(clip: Path, aeth: Run, codec: Codec, rate: int) -> None:
    made = aeth("encode", clip, "out.aeth", "--bitrate", rate, "--quiet")
    assert (made.code, made.out, made.err) == (0, "", "")
    recording = read_aeth("out.aeth", weights_id(codec.model.state_dict()))
    expected = codec.encode(read_audio(clip), rate)
    np.testing.assert_array_equal(recording.bits, bit_array(expected)[0])
    assert recording.header.bit_rate == rate
    assert recording.samples == SAMPLES
    assert Path("out.aeth").stat().st_size == 28 + 13 * rate * 8 // 800 + 2 * 2 + 22

    assert aeth("decode", "out.aeth", "heard.wav", "-q").code == 0
    heard = read_audio("heard.wav")
    assert len(heard) == SAMPLES
    offline = codec.decode(bsc(expected, 0.0, csi="perfect"))[0, :SAMPLES].numpy()
    np.testing.assert_allclose(heard, offline, atol=1e-4)


def test_the_default_is_600_bit_per_s_and_the_summary_says_what_was_made(clip: Path, aeth: Run) -> None:
    made = aeth("encode", clip, "out.aeth", "--json", "made.json")
    record = json.loads(Path("made.json").read_text())
    size = Path("out.aeth").stat().st_size
    assert (record["bit_rate"], record["bytes"], record["samples"], record["tokens"]) == (600, size, SAMPLES, 13)
    assert record["bits_per_s"] == pytest.approx(8 * size / SAMPLES * 16_000)
    assert made.out == ""
    assert "600 bit/s" in made.err
    assert f"{size} bytes" in made.err
    assert "real-time factor" in made.err
    heard = aeth("decode", "out.aeth", "heard.wav", "--json", "-")
    record = json.loads(heard.out)
    assert record["bytes"] == size
    assert set(record["real_time_factor"]) == {"read", "decode", "vocoder"}
    assert not any(record["damage"].values())
    assert "damage" not in heard.err


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".pcm", ".f32"])
def test_other_outputs(clip: Path, aeth: Run, suffix: str) -> None:
    aeth("encode", clip, "out.aeth", "--bitrate", 300)
    assert aeth("decode", "out.aeth", f"heard{suffix}").code == 0
    if suffix == ".f32":
        assert read_f32(f"heard{suffix}").shape == (100, 36)
    else:
        assert len(read_audio(f"heard{suffix}")) == SAMPLES


def test_features_go_in_and_out(clip: Path, run: Run, aeth: Run, codec: Codec) -> None:
    run("features", clip, "in.f32")
    assert aeth("encode", "in.f32", "out.aeth").code == 0
    rows = torch.from_numpy(read_f32("in.f32"))
    recording = read_aeth("out.aeth")
    np.testing.assert_array_equal(recording.bits, bit_array(codec.encode_features(rows[None]))[0])
    assert recording.samples == 160 * len(rows)


def test_other_sample_rates_and_any_short_clip(folder: Path, speech: np.ndarray, aeth: Run) -> None:
    write_audio("fast.wav", np.repeat(speech[0, :9000], 3), 48_000)
    assert aeth("encode", "fast.wav", "out.aeth").code == 0
    assert aeth("decode", "out.aeth", "heard.wav").code == 0
    assert len(read_audio("heard.wav")) == len(read_audio("fast.wav")) == 9000
    write_audio("short.wav", speech[0, :160])
    assert aeth("encode", "short.wav", "out.aeth").code == 0
    assert aeth("decode", "out.aeth", "heard.wav").code == 0
    assert len(read_audio("heard.wav")) == 160


def test_through_pipes(clip: Path, aeth: Run) -> None:
    def piped(data: bytes, *arguments: object) -> bytes:
        source, target = (io.TextIOWrapper(io.BytesIO(given)) for given in (data, b""))
        with mock.patch.multiple(sys, stdin=source, stdout=target):
            assert aeth(*arguments, "-", "-", "-q").code == 0
        target.flush()
        return target.buffer.getvalue()  # type: ignore[attr-defined]

    aeth("encode", clip, "out.aeth")
    aeth("decode", "out.aeth", "heard.wav")
    packed = piped(clip.read_bytes(), "encode")
    assert packed == Path("out.aeth").read_bytes()
    assert piped(packed, "decode") == Path("heard.wav").read_bytes()


@pytest.mark.parametrize("rate", BIT_RATES)
def test_entropy_coding_is_lossless(clip: Path, aeth: Run, rate: int) -> None:
    aeth("encode", clip, "plain.aeth", "--bitrate", rate)
    made = aeth("encode", clip, "coded.aeth", "--bitrate", rate, "--entropy", "--prior", "adaptive")
    assert "entropy coded" in made.err
    plain, coded = read_aeth("plain.aeth"), read_aeth("coded.aeth")
    np.testing.assert_array_equal(coded.bits, plain.bits)
    assert coded.header.prior_id == adaptive_prior(rate * 8 // 100).identity
    for name in ("plain", "coded"):
        assert aeth("decode", f"{name}.aeth", f"{name}.wav").code == 0
    assert Path("plain.wav").read_bytes() == Path("coded.wav").read_bytes()


def test_a_prior_of_a_file_and_a_released_one(
    clip: Path, aeth: Run, codec: Codec, speech_features: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = bit_array(codec.encode_features(speech_features, 300))
    prior = fit_prior(list(clips), PriorConfig(hidden=4, steps=5))
    save_prior(prior, "mine.safetensors", weights_id(codec.model.state_dict()))
    given = aeth("encode", clip, "given.aeth", "--bitrate", 300, "--entropy", "--prior", "mine.safetensors")
    assert given.code == 0
    assert "not a released one; give its file with --prior FILE" in aeth("decode", "given.aeth", "out.wav").stated
    assert aeth("decode", "given.aeth", "out.wav", "--prior", "mine.safetensors").code == 0
    wrong = aeth("encode", clip, "wrong.aeth", "--bitrate", 600, "--entropy", "--prior", "mine.safetensors")
    assert "mine.safetensors: prior for tokens of 24 bits, but this bit rate has 48" in wrong.stated
    none = aeth("encode", clip, "none.aeth", "--bitrate", 300, "--entropy")
    assert "no released prior for model" in none.stated
    assert not Path("none.aeth").exists()

    path = Path("mine.safetensors").absolute()
    monkeypatch.setattr("aether_lite.container.prior.released_priors", lambda: {path: read_label(path)})
    assert aeth("encode", clip, "found.aeth", "--bitrate", 300, "--entropy").code == 0
    assert Path("found.aeth").read_bytes() == Path("given.aeth").read_bytes()
    assert aeth("decode", "found.aeth", "out.wav").code == 0
    assert aeth("encode", clip, "none.aeth", "--bitrate", 600, "--entropy").code == 1


def test_an_absent_entropy_coder_says_what_to_install(clip: Path, aeth: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    _constriction.cache_clear()
    done = aeth("encode", clip, "out.aeth", "--entropy", "--prior", "adaptive")
    _constriction.cache_clear()
    assert "pip install '.[entropy]'" in done.stated
    assert not Path("out.aeth").exists()


def flip(path: str, at: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 0x10
    Path(path).write_bytes(data)


@pytest.mark.parametrize("coded", [False, True])
def test_tolerant_decoding_conceals_and_counts(folder: Path, speech: np.ndarray, aeth: Run, coded: bool) -> None:
    write_audio("long.wav", np.tile(speech[0], 2)[: 3 * 15_360 + 4000])
    options = ("--entropy", "--prior", "adaptive") if coded else ()
    aeth("encode", "long.wav", "out.aeth", "--bitrate", 1200, *options)
    aeth("decode", "out.aeth", "whole.wav")
    flip("out.aeth", HEADER_BYTES + 20)  # within block 0
    refused = aeth("decode", "out.aeth", "heard.wav")
    assert "out.aeth: block 0 (from token 0, 0.00 s) is damaged" in refused.stated
    assert not Path("heard.wav").exists()
    heard = aeth("decode", "out.aeth", "heard.wav", "--tolerant", "--json", "heard.json")
    assert heard.code == 0
    lost = 40 if coded else 12  # a coded block takes all to the next mark with it
    assert f"{lost} of 40 tokens in 1 place lost and concealed" in heard.err
    damage = json.loads(Path("heard.json").read_text())["damage"]
    assert (damage["erased_tokens"], damage["damaged_places"]) == (lost, 1)
    a, b = read_audio("whole.wav"), read_audio("heard.wav")
    assert len(a) == len(b)
    assert not np.array_equal(a[:15_360], b[:15_360])


def test_lost_tokens_take_the_erasure_path(clip: Path, aeth: Run, codec: Codec) -> None:
    aeth("encode", clip, "out.aeth", "--bitrate", 300)
    flip("out.aeth", -TRAILER_BYTES - 3)  # the last block, one token
    aeth("decode", "out.aeth", "heard.f32", "--tolerant")
    bits = 2.0 * torch.from_numpy(read_aeth("out.aeth", tolerant=True).bits.astype(np.float32)) - 1
    bits[12] = 0
    received = ReceivedBits(bits[None], 300, torch.arange(13)[None] == 12, token_frames=8)
    expected = codec.decode_features(received)[0, :100].numpy()
    np.testing.assert_allclose(read_f32("heard.f32")[:, :20], expected, atol=1e-5)


def cut(data: bytes) -> bytes:
    return data[:-30]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"RIFF" + data[4:], "is not an .aeth file"),
        (lambda data: data[:4] + b"\x02" + data[5:], "has version 2"),
        (lambda data: data[:7] + b"\xff" + data[8:], "header is damaged"),
        (lambda data: data[:20], "truncated within its header"),
        (cut, "truncated or its end damaged"),
        (lambda data: data + b"more", "goes on after its end mark"),
        (lambda data: b"", "is not an .aeth file"),
    ],
)
def test_files_that_cannot_be_decoded_are_one_line(
    clip: Path, aeth: Run, change: Callable[[bytes], bytes], message: str
) -> None:
    aeth("encode", clip, "out.aeth")
    Path("bad.aeth").write_bytes(change(Path("out.aeth").read_bytes()))
    Path("heard.wav").write_bytes(b"before")
    done = aeth("decode", "bad.aeth", "heard.wav")
    assert done.stated.startswith("aether-lite: bad.aeth: ")
    assert message in done.stated
    assert Path("heard.wav").read_bytes() == b"before"
    assert sorted(path.name for path in Path().iterdir()) == ["bad.aeth", "heard.wav", "in.wav", "out.aeth"]


def test_a_cut_file_and_bytes_behind_the_end_are_tolerated(clip: Path, aeth: Run) -> None:
    aeth("encode", clip, "out.aeth")
    data = Path("out.aeth").read_bytes()
    Path("bad.aeth").write_bytes(cut(data))
    heard = aeth("decode", "bad.aeth", "heard.wav", "--tolerant")
    assert "the end is missing" in heard.err
    assert len(read_audio("heard.wav")) == 12 * 1280
    Path("bad.aeth").write_bytes(data + b"more")
    assert "4 bytes after the end ignored" in aeth("decode", "bad.aeth", "heard.wav", "--tolerant").err
    assert len(read_audio("heard.wav")) == SAMPLES
    Path("bad.aeth").write_bytes(data[:HEADER_BYTES])
    assert "holds no speech" in aeth("decode", "bad.aeth", "heard.wav", "--tolerant").stated


def test_another_model_is_refused_even_tolerantly(clip: Path, run: Run, aeth: Run, tiny_hash: SpiCodec) -> None:
    aeth("encode", clip, "out.aeth")
    torch.manual_seed(1)
    other = SpiCodec(tiny_hash.config)
    save_codec(other.eval(), Path("other.safetensors"), {})
    done = run("decode", "out.aeth", "heard.wav", "--tolerant", "--model", "other.safetensors")
    assert "out.aeth: made by model" in done.stated


def test_what_cannot_be_encoded_is_one_line_and_leaves_nothing(
    clip: Path, run: Run, aeth: Run, codec_file: Path
) -> None:
    assert "no such file" in aeth("encode", "absent.wav", "out.aeth").stated
    assert "bit rate 500 bit/s is not one of 300, 600, 1200, 2400" in aeth(
        "encode", clip, "out.aeth", "--bitrate", 500
    ).stated  # fmt: skip
    assert "give .aeth" in aeth("encode", clip, "out.wav").stated
    assert "is a codec of symbols" in run("encode", clip, "out.aeth", "--model", codec_file).stated
    assert aeth("encode", clip, "out.aeth", "--prior", "adaptive").code == 2
    Path("cut.wav").write_bytes(clip.read_bytes()[:-1000])
    assert "truncated" in aeth("encode", "cut.wav", "out.aeth").stated
    damaged = np.zeros(80_000, np.float32)
    damaged[70_000] = np.nan
    soundfile.write("nan.wav", damaged, 16_000, subtype="FLOAT")
    assert "sample 70000" in aeth("encode", "nan.wav", "out.aeth").stated
    names = sorted(path.name for path in Path().iterdir())
    assert names == ["cut.wav", "in.wav", "nan.wav"]


def test_info_shows_header_and_trailer(clip: Path, run: Run, aeth: Run, codec: Codec) -> None:
    aeth("encode", clip, "out.aeth", "--bitrate", 1200, "--entropy", "--prior", "adaptive")
    record = json.loads(run("info", "out.aeth", "--json").out)
    assert (record["bit_rate"], record["tokens"], record["samples"]) == (1200, 13, SAMPLES)
    assert record["model_id"] == weights_id(codec.model.state_dict()).hex()
    assert (record["prior"], record["reset_blocks"]) == ("adaptive", 10)
    shown = run("info", "out.aeth").out
    assert "1.00 s, 16077 samples, 13 tokens" in shown
    Path("cut.aeth").write_bytes(cut(Path("out.aeth").read_bytes()))
    assert "no valid end mark" in run("info", "cut.aeth").out
    assert "cut.aeth: is truncated within its header" in _short(run)
    assert "absent.aeth: cannot be read" in run("info", "absent.aeth").stated


def _short(run: Run) -> str:
    Path("cut.aeth").write_bytes(b"AETH")
    return run("info", "cut.aeth").stated


def test_audio_in_pieces_is_the_audio(folder: Path, speech: np.ndarray) -> None:
    write_audio("in.wav", np.tile(speech[0], 4), 44_100)
    pieces = list(audio_blocks("in.wav"))
    assert len(pieces) > 2
    np.testing.assert_array_equal(np.concatenate(pieces), read_audio("in.wav"))


def test_searched_bits_are_those_of_the_codec(clip: Path, aeth: Run, codec: Codec) -> None:
    made = aeth("encode", clip, "out.aeth", "--refine", 2, "--json", "made.json", "-q")
    assert (made.code, made.err) == (0, "")
    assert json.loads(Path("made.json").read_text())["search_steps"] == 2
    searched = read_aeth("out.aeth", weights_id(codec.model.state_dict())).bits
    np.testing.assert_array_equal(searched, bit_array(codec.encode(read_audio(clip), 600, refine=2))[0])
    assert (searched != bit_array(codec.encode(read_audio(clip), 600))[0]).any()
    assert aeth("encode", clip, "heard.f32", "--refine", -1).code == 2
    assert aeth("decode", "out.aeth", "heard.wav", "-q").code == 0
    assert len(read_audio("heard.wav")) == SAMPLES
