"""Speech as any array that holds numbers, and nothing that a caller sets for other computations changes a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aether_lite import audio, channels
from aether_lite.codec import Codec
from aether_lite.core.codec import CoreCodec
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, write_f32, write_pcm
from aether_lite.link import LinkConfig, run_link
from aether_lite.metrics import clip_feature_loss, estoi
from aether_lite.modem import Receiver, Transmitter, find
from aether_lite.modem.onair import OnAir
from aether_lite.payload import Symbols
from aether_lite.streaming import Decoder, Encoder
from aether_lite.vocoder import synthesize

SAMPLES = 6400


@pytest.fixture(scope="module")
def pcm(speech: np.ndarray) -> np.ndarray:
    return np.rint(speech[0, 4000 : 4000 + SAMPLES] * 32768).astype(np.int16)


def read_only(values: np.ndarray) -> np.ndarray:
    frozen = values.copy()
    frozen.flags.writeable = False
    return frozen


SAME: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "int16": lambda pcm, real: pcm,
    "big-endian int16": lambda pcm, real: pcm.astype(">i2"),
    "float64": lambda pcm, real: real.astype(np.float64),
    "big-endian float32": lambda pcm, real: real.astype(">f4"),
    "negative stride": lambda pcm, real: real[::-1].copy()[::-1],
    "every other": lambda pcm, real: np.repeat(real, 2)[::2],
    "read-only": lambda pcm, real: read_only(real),
    "list": lambda pcm, real: real.tolist(),
    "tensor": lambda pcm, real: torch.from_numpy(real),
    "int16 tensor": lambda pcm, real: torch.from_numpy(pcm),
    "tensor with gradient": lambda pcm, real: torch.from_numpy(real).requires_grad_(),
    "strided tensor": lambda pcm, real: torch.from_numpy(np.repeat(real, 2))[::2],
}
NARROW: dict[str, Callable[[np.ndarray], Any]] = {
    "float16": lambda real: real.astype(np.float16),
    "float16 tensor": lambda real: torch.from_numpy(real).half(),
    "bfloat16": lambda real: torch.from_numpy(real).bfloat16(),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_speech_gives_the_same_symbols(tiny_codec: Codec, pcm: np.ndarray, kind: str) -> None:
    real = (pcm / 32768).astype(np.float32)
    given = SAME[kind](pcm, real)
    assert torch.equal(tiny_codec.encode(given, 600).values, tiny_codec.encode(real, 600).values)
    assert torch.equal(Encoder(tiny_codec, 600).push(given).values, Encoder(tiny_codec, 600).push(real).values)
    assert np.array_equal(extract_features(given), extract_features(real))
    link = LinkConfig("clean", 600)
    assert torch.equal(run_link(tiny_codec, given, link).decoded, run_link(tiny_codec, real, link).decoded)


@pytest.mark.parametrize("kind", NARROW)
def test_narrow_floats_are_taken(tiny_codec: Codec, pcm: np.ndarray, kind: str) -> None:
    given = NARROW[kind]((pcm / 32768).astype(np.float32))
    wide = np.asarray(given.float() if isinstance(given, torch.Tensor) else given, np.float64)
    assert torch.equal(tiny_codec.encode(given, 600).values, tiny_codec.encode(wide, 600).values)


def test_samples_are_written_as_they_are(pcm: np.ndarray, tmp_path: Any) -> None:
    real = torch.from_numpy((pcm / 32768).astype(np.float32))
    for given in (pcm, pcm.astype(">i2"), real, real[None], real.double()):
        audio.write_audio(tmp_path / "a.wav", given)
        assert np.array_equal(np.rint(audio.read_audio(tmp_path / "a.wav") * 32768), pcm)
    with pytest.raises(AetherError, match="not int32"):
        audio.write_audio(tmp_path / "a.wav", pcm.astype(np.int32))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda real: np.stack([real, real], 1), r"mix them by \w+\.mean\(axis=1\)"),
        (lambda real: torch.from_numpy(np.stack([real] * 6, 1)), r"mix them by \w+\.mean\(axis=1\)"),
        (lambda real: real[:, None], r"take \w+\[:, 0\]"),
        (lambda real: real * 32768, "far beyond full scale 1"),
        (lambda real: np.append(real, np.nan), "is not finite"),
        (lambda real: (real * 32768).astype(np.int32), r"not int32; divide .* / 2\*\*31"),
        (lambda real: np.float32(0.5), r"not \(\)"),
        (lambda real: real[None, None], r"not \(1, 1, "),
        (lambda real: real + 1j, "real numbers, not complex"),
        (lambda real: np.array([*real[:3], None], dtype=object), "real numbers, not object"),
        (lambda real: [[0.0, 0.1], [0.2]], "rows of one length"),
        (lambda real: real > 0, "real numbers, not bool"),
        (lambda real: "speech.wav", "not a file name"),
        (lambda real: None, "real numbers, not object"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    tiny_codec: Codec, pcm: np.ndarray, spoil: Callable[[np.ndarray], Any], says: str
) -> None:
    given = spoil((pcm / 32768).astype(np.float32))
    calls: list[Callable[[Any], object]] = [
        tiny_codec.encode, Encoder(tiny_codec).push, extract_features, Receiver().push,
        lambda speech: OnAir().receive(speech, 16_000),
        lambda speech: run_link(tiny_codec, speech, LinkConfig("clean", 600)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(AetherError, match=says) as refused:
            call(given)
        assert "\n" not in str(refused.value)


def test_received_symbols_of_any_kind(tiny_codec: Codec, pcm: np.ndarray) -> None:
    sent = channels.awgn(tiny_codec.encode(pcm, 600), 10.0, seed=0).arrays().values.ravel()
    expected = Decoder(tiny_codec, 600).push_symbols(sent).features
    kinds = [sent.tolist(), torch.from_numpy(sent), torch.from_numpy(sent.conj()).conj(), sent.astype(">c8"),
             read_only(sent), torch.from_numpy(sent).requires_grad_()]  # fmt: skip
    for given in kinds:
        assert torch.equal(Decoder(tiny_codec, 600).push_symbols(given).features, expected)
    real = torch.from_numpy(sent.real.copy()).bfloat16()
    assert len(Decoder(tiny_codec, 600).push_symbols(real).samples)
    lost = Decoder(tiny_codec, 600).push_symbols(np.full(24, 1e300 + 0j))  # beyond float32
    assert lost.features.isfinite().all()


@pytest.mark.parametrize("given", ["in.wav", None, [[1], [2, 3]], object(), np.array(["1"])])
def test_what_cannot_be_received_is_one_line(tiny_codec: Codec, tiny_hash_codec: Codec, given: Any) -> None:
    profile = find("narrow", 700)
    calls: list[Callable[[Any], object]] = [
        Decoder(tiny_codec).push_symbols, Decoder(tiny_hash_codec).push_bits, Transmitter(profile).push,
        lambda values: Symbols(values, 600, 4), tiny_codec.encode_features,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(AetherError) as refused:
            call(given)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", ["in.wav", None, [[1], [2, 3]], object(), np.ones((2, 20)) * 1j])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, given: Any) -> None:
    for write in (write_f32, write_pcm):
        with pytest.raises(AetherError, match="numbers"):
            write(tmp_path / "a", given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [0, -1, 1 << 40, 16000.0, np.nan, "16000", None])
def test_files_have_a_sample_rate(tmp_path: Path, rate: Any) -> None:
    with pytest.raises(AetherError, match=r"a\.wav: sample_rate must be an integer in"):
        audio.write_audio(tmp_path / "a.wav", np.zeros(160), rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 1e300])
def test_absurd_features_are_refused(tiny_codec: Codec, value: float) -> None:
    rows = np.zeros((1, 8, 20))
    rows[0, 3, 4] = value
    for call in (tiny_codec.encode_features, tiny_codec.speak, lambda given: synthesize(given, tiny_codec.core)):
        for given in (rows, torch.from_numpy(rows), read_only(rows)):
            with pytest.raises(AetherError, match="row 3 holds a value that is not finite, or beyond"):
                call(given)


@pytest.mark.parametrize("value", ["6", b"6", np.nan, np.inf, -31.0, 10**400, [6.0], np.array([1.0, 2.0]), 1j])
def test_numbers_that_are_none_are_one_line(tiny_codec: Codec, pcm: np.ndarray, value: Any) -> None:
    for call in (
        lambda: tiny_codec.encode(pcm, 600, value), lambda: CoreCodec("small").encode(pcm, 600, value),
        lambda: OnAir(value), lambda: OnAir(lead_s=value), lambda: OnAir(carrier_db=[value]),
    ):  # fmt: skip
        with pytest.raises(AetherError, match="must be in"):
            call()


@pytest.mark.parametrize("tokens", [-1, 1.0, "1", None])
def test_lost_tokens_are_a_number(tiny_codec: Codec, tokens: Any) -> None:
    with pytest.raises(AetherError, match="tokens must be an integer, 0 or more"):
        Decoder(tiny_codec).lose(tokens)


def everything(codec: Codec, pcm: np.ndarray) -> list[torch.Tensor]:
    """What the package makes of speech, by every way."""
    features = codec.features(pcm)
    sent = codec.encode(pcm, 600)
    received = channels.rician(sent, 9.0, seed=1)
    decoded = codec.decode(received)
    encoder, decoder = Encoder(codec, 600), Decoder(codec, 600)
    pushed = [encoder.push(pcm), encoder.flush()]
    spoken = [decoder.push(channels.awgn(part, 9.0, seed=2)) for part in pushed]
    raw = decoder.push_symbols(sent.values.flatten(), 0.1)
    linked = run_link(codec, pcm, LinkConfig("awgn", 600, 6.0))
    speech = torch.from_numpy(pcm / 32768).float()
    rounded = clip_feature_loss(codec.decode_features(received), features)
    scores = rounded, estoi(decoded[0, :SAMPLES].repeat(3), speech.repeat(3))
    made = [features, sent.values, received.values, decoded, linked.decoded, synthesize(features, codec.vocoder)]
    made += [part.values for part in pushed] + [part.samples for part in spoken] + [raw.features, *scores]
    return made


def test_default_dtype_and_autocast_change_nothing(tiny_codec: Codec, pcm: np.ndarray) -> None:
    expected = everything(tiny_codec, pcm)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = everything(tiny_codec, pcm)
        assert torch.is_autocast_enabled("cpu")
    torch.set_default_dtype(torch.float64)
    try:
        under_double = everything(tiny_codec, pcm)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for number, (plain, *others) in enumerate(zip(expected, under_autocast, under_double, strict=True)):
        for other in others:
            assert other.dtype == plain.dtype, number
            assert torch.equal(other, plain), number
