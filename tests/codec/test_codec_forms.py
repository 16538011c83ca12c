"""Forms of the codec: without an image, without a linear path, with short tokens."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.base import latency
from aether_lite.codec.growth import start
from aether_lite.losses.feature import feature_loss
from aether_lite.training.codec_config import TrainConfig


def started(features: Tensor, **changes: object) -> SpiCodec:
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), **changes))  # type: ignore[arg-type]
    start(model, features)
    return model.eval()


def sent(model: SpiCodec, features: Tensor, snr_db: float) -> float:
    """Feature loss at 1000 uses/s over AWGN."""
    with torch.no_grad():
        decoded, _ = model.decode(awgn(model.encode(features, 1000)[0], snr_db, seed=0))
    return float(feature_loss(decoded, features).mean())


def test_a_form_undoes_the_linear_path_and_the_power_of_the_session() -> None:
    config = TrainConfig(preset="small", form={"linear": False, "power": "token"}).codec_form
    assert (config.linear, config.power) == (False, "token")


def test_a_linear_path_carries_speech_before_any_training(speech_features: Tensor) -> None:
    linear, networks = started(speech_features), started(speech_features, linear=False)
    assert sent(linear, speech_features, 30.0) < 0.1 * sent(networks, speech_features, 30.0)
    assert (
        sent(linear, speech_features, 30.0) < sent(linear, speech_features, 10.0) < sent(linear, speech_features, 0.0)
    )


def test_short_tokens_keep_their_latency_and_size(speech_features: Tensor) -> None:
    config = preset("lowdelay")
    assert latency(config.token_frames).milliseconds <= 60
    torch.manual_seed(0)
    model = SpiCodec(config)
    start(model, speech_features)
    model.eval()
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    for rate, uses in ((150, 3), (1000, 20)):
        assert model.encode(speech_features, rate)[0].values.shape == (2, 240, uses)
    assert sent(model, speech_features, 20.0) < 0.2


def test_bits_may_start_from_a_linear_path(speech_features: Tensor) -> None:
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), hash="sign"))
    start(model, speech_features)
    bits, _ = model.eval().encode(speech_features, 2400)
    assert bits.values.abs().eq(1).all()
    assert 0.2 < float(bits.values.gt(0).float().mean()) < 0.8
