"""The released hash codec and its priors: what the card promises, on bundled speech."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

import pytest
import torch

from aether_lite.audio import read_audio
from aether_lite.channels import bsc
from aether_lite.codec import Codec, load
from aether_lite.container.layout import Header, bit_array, token_bits
from aether_lite.container.prior import prior_for_model
from aether_lite.container.streams import TokenWriter, read_stream
from aether_lite.container.weights import weights_id
from aether_lite.losses.feature import feature_loss
from aether_lite.payload import BIT_RATES

CLIP = Path(str(resources.files("aether_lite"))) / "assets" / "samples" / "en_f_intro.flac"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load("hash_small")


@pytest.fixture(scope="module")
def features(codec: Codec) -> torch.Tensor:
    """``[1, F, 20]`` of at most eight seconds."""
    return codec.features(read_audio(CLIP)[: 8 * 16_000])


def test_errors_cost_what_the_card_says_and_every_rate_helps(codec: Codec, features: torch.Tensor) -> None:
    losses = {}
    for rate in BIT_RATES:
        bits = codec.encode_features(features, rate)
        for error_rate in (0.0, 0.01, 0.05):
            decoded = codec.decode_features(bsc(bits, error_rate, seed=1))
            losses[rate, error_rate] = float(feature_loss(decoded, features[:, : decoded.shape[1], :20]).mean())
    clean = [losses[rate, 0.0] for rate in BIT_RATES]
    assert clean == sorted(clean, reverse=True)
    assert clean[0] < 0.42
    assert clean[-1] < 0.2
    for rate in BIT_RATES:
        assert losses[rate, 0.01] < 1.15 * losses[rate, 0.0]
        assert losses[rate, 0.05] < 1.5 * losses[rate, 0.0]


@pytest.mark.parametrize(("rate", "most"), [(300, 1.0), (600, 0.9), (1200, 0.8), (2400, 0.75)])
def test_every_rate_has_a_prior_that_makes_the_file_smaller_and_loses_nothing(
    codec: Codec, features: torch.Tensor, rate: int, most: float
) -> None:
    bits = bit_array(codec.encode_features(features, rate))[0]
    plain = Header(rate, weights_id(codec.model.state_dict()), codec.token_frames)
    prior = prior_for_model(plain.model_id, token_bits(rate, codec.token_frames))

    def written(writer: TokenWriter) -> bytes:
        return writer.push(bits) + writer.finish(1280 * len(bits))

    coded_header = plain.coded(prior.identity)
    stored = written(TokenWriter(plain))
    coded = written(TokenWriter(coded_header, prior))
    assert len(coded) < most * len(stored)
    again = read_stream(io.BytesIO(coded), "coded", plain.model_id, None, tolerant=False)
    assert (again.bits == bits).all()
    assert again.header.bit_rate == rate
