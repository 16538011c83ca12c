"""The objective of a training step is the sum of its parts, and every part gives its gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.features import extract_features
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_pass import PassOutput, TrainingPass
from aether_lite.training.conditions import draw
from aether_lite.training.curriculum import position
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Batch
from aether_lite.vocoder import load_network
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators
from aether_lite.vocoder.network import VocoderNetwork

CONFIG = TrainConfig(preset="tiny", batch=2, audio_items=2, frames=64, audio_frames=28, gan_ratio=0.5)
HERE = DistributedContext(0, 1, torch.device("cpu"))


class Shape(VocoderNetwork):
    """What a training pass asks a vocoder for beside :func:`speak`."""

    first_row, context_rows = 3, 4


def speak(rows: Tensor, periods: Tensor) -> Tensor:
    """A vocoder of one line: noise whose level follows the features."""
    noise = torch.randn(periods.shape[1] - 4, 160, generator=torch.Generator().manual_seed(1))
    return (rows[:, 2:-2].square().mean(-1, keepdim=True) * noise).flatten(1)


@pytest.fixture(scope="module")
def batch(speech_features: Tensor) -> Batch:
    audio = 0.1 * torch.randn(2, 64 * 160, generator=torch.Generator().manual_seed(2))
    return Batch((0, 1), speech_features[:, 100:164], audio)


def ran(batch: Batch, step: int, config: TrainConfig, gan: bool) -> tuple[PassOutput, Tensor]:
    """One pass, and the gradient of all of the codec's weights."""
    torch.manual_seed(0)
    codec = SpiCodec(preset("tiny")).eval()
    start(codec, batch.features)
    discriminator = SpectrogramDiscriminators((64,)) if gan else None
    module = TrainingPass(codec, Shape(), discriminator, config, HERE, speak)
    output = module(batch, draw(TrainConfig(), 0, 0, batch.items), position(step), step)
    output.total.backward()
    return output, torch.cat([p.grad.flatten() for p in codec.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", ["fargan", "hnsf"])
def test_either_vocoder_is_aligned_with_the_original_and_passes_gradients(
    speech: np.ndarray, tiny: SpiCodec, name: str
) -> None:
    config = replace(CONFIG, frames=200, audio_frames=200)
    samples = speech[48_000 : 48_000 + 200 * 160].astype(np.float32) / 32768
    audio = torch.from_numpy(samples).expand(2, -1)
    given = torch.from_numpy(extract_features(samples)[:, :20]).repeat(2, 1, 1).requires_grad_()
    module = TrainingPass(tiny, load_network(name), None, config, HERE)
    made, real, rows = module._vocode(given, Batch((0, 1), given, audio), 0)
    assert made.shape == real.shape == (2, 160 * rows.shape[1])
    levels = [x.detach().unfold(1, 80, 40).square().mean(2).add(1e-8).log() for x in (made, real)]
    one, other = (level - level.mean(1, keepdim=True) for level in levels)
    lags = range(-12, 13)  # of 2.5 ms
    match = [float((one[:, 12 + lag : one.shape[1] - 12 + lag] * other[:, 12:-12]).sum()) for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 1
    made.square().sum().backward()
    assert given.grad is not None
    assert (given.grad[..., :19].abs().amax((0, 1)) > 0).all()


@pytest.mark.parametrize(
    ("step", "gan", "groups"),
    [(0, True, ["spi"]), (2000, False, ["spi", "wave"]), (2000, True, ["spi", "wave", "adv"])],
)
def test_the_total_is_the_sum_of_its_groups(batch: Batch, step: int, gan: bool, groups: list[str]) -> None:
    output, _ = ran(batch, step, CONFIG, gan)
    found = {name: float(output.parts[name]) for name in ("spi", "wave", "adv") if name in output.parts}
    assert list(found) == groups
    assert all(found.values())
    assert float(output.total.detach()) == pytest.approx(sum(found.values()), rel=1e-5)


def test_gradients_of_features_audio_and_gan_add_up(batch: Batch) -> None:
    def gradient(gan: bool, **changes: float) -> Tensor:
        return ran(batch, 2000, replace(CONFIG, **changes), gan)[1]

    features, audio = gradient(False, lambda_wave=0.0, lambda_adv=0.0), gradient(False, lambda_spi=0.0)
    together, balanced = gradient(False), gradient(True)
    scale = float(together.abs().max())
    assert float(audio.abs().max()) > 0.01 * scale
    torch.testing.assert_close(together, features + audio, atol=1e-4 * scale, rtol=0)
    torch.testing.assert_close(gradient(True, gan_ratio=0.0), together, atol=1e-4 * scale, rtol=0)
    assert float((balanced - together).abs().max()) > 1e-3 * scale
