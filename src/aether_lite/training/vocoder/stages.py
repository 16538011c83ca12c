"""The two stages of the vocoder's training, and all that each of them switches on.

===============  =======================  =========================================  ==========================
stage            from step                losses                                     what trains
===============  =======================  =========================================  ==========================
``spectral``     0                        spectral, continuation                     the whole vocoder
``adversarial``  ``spectral_steps``       spectral, feature matching, GAN            discriminators; after
                                                                                     ``critic_steps`` also the
                                                                                     sub-frame network
===============  =======================  =========================================  ==========================

The conditioning network and the gain stay as they are in the second stage, as in the public recipe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from aether_lite.training.vocoder.config import VocoderConfig
from aether_lite.vocoder import FARGAN

FROZEN_IN_ADVERSARIAL = ("cond_net.", "sig_net.cond_gain_dense.")


@dataclass(frozen=True)
class Stage:
    """Where a step lies in a run.

    Attributes:
        name: ``spectral`` or ``adversarial``.
        batch, frames: items, and frames made of each.
        trains: whether the vocoder learns in this step.
        rate: its learning rate.
    """

    name: str
    batch: int
    frames: int
    trains: bool
    rate: float

    @property
    def adversarial(self) -> bool:
        """Whether discriminators take part."""
        return self.name == "adversarial"


def stage_at(config: VocoderConfig, step: int) -> Stage:
    """Stage of a step, counted from 0."""
    if step < config.spectral_steps:
        rate = config.learning_rate * _factor(config, step, config.spectral_steps)
        return Stage("spectral", config.batch, config.frames, True, rate)
    within = step - config.spectral_steps - config.critic_steps
    rate = config.adversarial_rate * _factor(config, max(within, 0), config.adversarial_steps - config.critic_steps)
    return Stage("adversarial", config.adversarial_batch, config.adversarial_frames, within >= 0, rate)


def adversarial_parameters(vocoder: FARGAN) -> Iterator[nn.Parameter]:
    """Parameters of the vocoder that learn in the adversarial stage; in the spectral stage all of them do."""
    for name, parameter in vocoder.named_parameters():
        if not name.startswith(FROZEN_IN_ADVERSARIAL):
            yield parameter


def freeze(vocoder: FARGAN, stage: Stage) -> None:
    """Let gradients flow to the parameters that learn in a stage, and to no others."""
    for name, parameter in vocoder.named_parameters():
        parameter.requires_grad_(not (stage.adversarial and name.startswith(FROZEN_IN_ADVERSARIAL)))


def _factor(config: VocoderConfig, step: int, steps: int) -> float:
    """Share of the peak learning rate: linear rise, then a cosine to ``final_rate``."""
    rise = min(1.0, (step + 1) / max(config.warmup, 1))
    progress = min(step / max(steps, 1), 1.0)
    return rise * (config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress)))
