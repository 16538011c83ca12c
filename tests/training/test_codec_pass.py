"""The objective of a training step is the sum of its parts, and every part gives its gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_pass import PassOutput, TrainingPass
from aether_lite.training.conditions import draw
from aether_lite.training.curriculum import position
from aether_lite.training.discriminator import Discriminator
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Batch

CONFIG = TrainConfig(preset="tiny", batch=2, audio_items=2, frames=64, audio_frames=28, gan_ratio=0.5)
HERE = DistributedContext(0, 1, torch.device("cpu"))


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
    discriminator = Discriminator((64,), (3,)) if gan else None
    module = TrainingPass(codec, nn.Identity(), discriminator, config, HERE, speak)
    output = module(batch, draw(TrainConfig(), 0, 0, batch.items), position(step), step)
    output.total.backward()
    return output, torch.cat([p.grad.flatten() for p in codec.parameters() if p.grad is not None])


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
