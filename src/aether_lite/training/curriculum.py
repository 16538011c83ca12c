"""The Anti-Buzz curriculum: four stages with fixed names, and all that each of them switches on.

====================  ===========  ==============================================================
stage                 from step    what trains, and on what
====================  ===========  ==============================================================
``feature_focus``     0            codec; features and semantics; no audio, no GAN
``audio_weak_gan``    1000         codec; audio terms through the frozen vocoder; a weak GAN
``progressive_gan``   3000         codec; the GAN's weight rises to full
``end_to_end``        5000         codec and vocoder, the vocoder at a tenth of the rate
====================  ===========  ==============================================================

:data:`STAGES` has the factor of each group of loss terms, :mod:`aether_lite.losses.registry` the weight of each term
within its group: together they are the whole truth, the trainer holds no other switch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from aether_lite import losses
from aether_lite.losses.registry import TermGroup
from aether_lite.training.codec_config import TrainConfig

for _module in pkgutil.iter_modules(losses.__path__):  # each registers its terms
    importlib.import_module(f"{losses.__name__}.{_module.name}")


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Attributes:
        spi, wave: factors on ``lambda_spi`` and ``lambda_wave``.
    """

    name: str  # fixed name
    spi: float
    wave: float
    adv: tuple[float, float]  # factor on ``lambda_adv`` at the stage's first and last step; linear between
    trains_vocoder: bool  # whether the vocoder learns (otherwise it is frozen, gradients pass through it)

    @property
    def makes_audio(self) -> bool:
        """Whether the vocoder runs."""
        return self.wave > 0 or max(self.adv) > 0


STAGES: tuple[Stage, ...] = (
    Stage("feature_focus", 1.0, 0.0, (0.0, 0.0), trains_vocoder=False),
    Stage("audio_weak_gan", 1.0, 1.0, (0.1, 0.1), trains_vocoder=False),
    Stage("progressive_gan", 1.0, 1.0, (0.1, 1.0), trains_vocoder=False),
    Stage("end_to_end", 1.0, 1.0, (1.0, 1.0), trains_vocoder=True),
)
DEFAULT_BORDERS = (1000, 3000, 5000)


@dataclass(frozen=True)
class Position:
    """Where a step lies in the curriculum: its stage, and the GAN factor there."""

    stage: Stage
    adv: float

    def total(self, group: TermGroup[Any], terms: Mapping[str, Tensor], config: TrainConfig) -> Tensor:
        """What the terms of a group add to the loss here; ValueError for one that is not registered in it."""
        factor = {"spi": self.stage.spi, "wave": self.stage.wave, "adv": self.adv}[group.name]
        scale = {"spi": config.lambda_spi, "wave": config.lambda_wave, "adv": config.lambda_adv}[group.name]
        return factor * scale * group.total(terms, group.weights(config))


def position(step: int, borders: Sequence[int] = DEFAULT_BORDERS) -> Position:
    """Stage and GAN factor of a step (counted from 0); ``borders`` are the first steps of stages 2 to 4."""
    index = sum(step >= border for border in borders)
    stage = STAGES[index]
    first, last = stage.adv
    if first == last or index in (0, len(STAGES) - 1):
        return Position(stage, last)
    length = max(borders[index] - borders[index - 1], 1)
    return Position(stage, first + (last - first) * (step - borders[index - 1]) / length)
