"""Native streams of speech: those of :mod:`aether_lite.streaming`, with concealment, muting and saved states."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import aether_lite
from aether_lite.codec import Codec
from aether_lite.core import weights
from aether_lite.core.library import Decoder, Encoder, Features, Library, Model
from aether_lite.errors import AetherError
from aether_lite.export.native import codec_sections, vocoder_sections
from aether_lite.features import condition
from aether_lite.vocoder import vocoder_path

TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=[("small", "fargan"), ("hash_small", "hnsf")])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Codec of symbols, and of bits, and vocoder of either kind."""
    codec, vocoder = request.param
    return codec, vocoder


@pytest.fixture(scope="module")
def codec(pair: tuple[str, str]) -> Codec:
    """The codec."""
    return aether_lite.load(pair[0])


@pytest.fixture(scope="module")
def model(core: Library, pair: tuple[str, str], codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same as native weights, with the vocoder."""
    path = tmp_path_factory.mktemp("stream") / "codec.aether"
    weights.write(path, codec_sections(codec.model) | vocoder_sections(vocoder_path(pair[1])))
    return Model(core, path)


@pytest.fixture(scope="module")
def tokens(model: Model, speech: np.ndarray) -> np.ndarray:
    """``[K, n]`` of three seconds of speech."""
    encoder = Encoder(model)
    return np.concatenate([encoder.push(speech[0]), encoder.flush()])


def _expected_tokens(codec: Codec, model: Model, samples: np.ndarray, conditioned: bool) -> np.ndarray:
    """By torch, of the core's features: of the speech filled up with silence to whole tokens behind the filter."""
    given = (condition(samples) if conditioned else samples).astype(np.float32)
    features = Features(model)
    padded = np.pad(given, (0, -len(given) % (160 * codec.token_frames)))
    rows = np.concatenate([features.push(padded), features.flush()])[None, :, :20]
    values = codec.model.encode(torch.from_numpy(rows), codec.model.bottleneck.default_rate)[0].values
    return (torch.view_as_real(values).flatten(-2) if values.is_complex() else values)[0].numpy()


@pytest.mark.parametrize("length", [1, 159, 160, 320, 6400, 6560, 6561, 20000])
def test_tokens_are_those_of_the_features(model: Model, codec: Codec, speech: np.ndarray, length: int) -> None:
    for conditioned in (True, False):
        encoder, samples = Encoder(model, conditioned), speech[1, :length]
        found = np.concatenate([encoder.push(samples), encoder.flush()])
        expected = _expected_tokens(codec, model, samples, conditioned)
        assert found.shape == expected.shape
        assert found == pytest.approx(expected, abs=TOLERANCE)


def test_pieces_of_any_size_give_the_same_tokens(model: Model, speech: np.ndarray, tokens: np.ndarray) -> None:
    encoder, random = Encoder(model), np.random.default_rng(1)
    for _ in range(2):  # the second time after a flush
        cuts = [0, *sorted(random.integers(0, 48000, 30).tolist()), 48000]
        pieces = [encoder.push(speech[0, a:b]) for a, b in pairwise(cuts)]
        assert np.concatenate([*pieces, encoder.flush()]).tobytes() == tokens.tobytes()


def test_the_rate_may_change_between_tokens(model: Model, speech: np.ndarray) -> None:
    encoder, decoder = Encoder(model), Decoder(model)
    for rate in (300, 1200, 600):
        encoder.rate = decoder.rate = rate
        for token in encoder.push(speech[0, :6400]):
            assert len(token) == rate * model.info.token_frames // 100 * (1 if model.info.bits else 2)
            assert np.isfinite(decoder.push(token)[0]).all()


def test_saved_states_go_on_to_the_bit_in_the_middle_of_everything(
    model: Model, speech: np.ndarray, tokens: np.ndarray
) -> None:
    encoder, other = Encoder(model), Encoder(model, condition=False)
    if model.info.has_target_powers:
        encoder.set_target(5.0)
    encoder.push(speech[0, :10001])
    other.load(encoder.save())
    assert other.push(speech[0, 10001:30000]).tobytes() == encoder.push(speech[0, 10001:30000]).tobytes()
    decoder, another = Decoder(model), Decoder(model)
    for k in range(20):
        decoder.push(None if k > 5 else tokens[k])  # muted by now
        another.load(decoder.save())
    assert decoder.muted
    assert another.muted
    for k in range(20, 30):
        assert another.push(tokens[k])[0].tobytes() == decoder.push(tokens[k])[0].tobytes()


def test_states_that_are_damaged_or_of_another_kind_change_nothing(model: Model, tokens: np.ndarray) -> None:
    decoder = Decoder(model)
    decoder.push(tokens[0])
    state = decoder.save()
    for wrong, words in (
        (Encoder(model).save(), "no state of such a stream"),
        (state[:-1], "checksum"),
        (state[:100] + b"\x55" + state[101:], "checksum"),
        (b"", "no state of such a stream"),
        (state[:8] + b"\x09" + state[9:], "another version"),
    ):
        with pytest.raises(AetherError, match=words):
            decoder.load(wrong)
        assert decoder.save() == state


def test_streams_in_several_threads_share_one_model(model: Model, tokens: np.ndarray) -> None:
    def spoken(_: int) -> bytes:
        decoder = Decoder(model)
        return b"".join(decoder.push(token)[0].tobytes() for token in tokens[:12])

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(spoken, range(4)))) == 1


def test_features_come_without_a_vocoder_too(
    core: Library, codec: Codec, model: Model, tokens: np.ndarray, tmp_path: Path
) -> None:
    weights.write(tmp_path / "codec.aether", codec_sections(codec.model))
    alone, whole = Decoder(Model(core, tmp_path / "codec.aether")), Decoder(model)
    for token in tokens[:4]:
        samples, rows = alone.push(token)
        assert len(samples) == 0
        assert rows.tobytes() == whole.push(token)[1].tobytes()
