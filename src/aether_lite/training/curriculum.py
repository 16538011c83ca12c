"""The Anti-Buzz curriculum: four stages with fixed names, and all that each of them switches on.

====================  ===========  ==============================================================
stage                 from step    what trains, and on what
====================  ===========  ==============================================================
``feature_focus``     0            codec; features and semantics; no audio, no GAN
``audio_weak_gan``    1000         codec; audio terms through the frozen vocoder; a weak GAN
``progressive_gan``   3000         codec; the GAN's weight rises to full
``end_to_end``        5000         codec and vocoder, the vocoder at a tenth of the rate
====================  ===========  ==============================================================

:data:`STAGES` has the factor of each group of loss terms and :data:`TERMS` the weight of each term within its group:
together they are the whole truth, the trainer holds no other switch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aether_lite.training.codec_config import TrainConfig

Group = Literal["spi", "wave", "adv"]


@dataclass(frozen=True)
class Term:
    """A loss term.

    Attributes:
        group: SPI, audio or GAN terms; scaled by ``lambda_spi``, ``lambda_wave`` or ``lambda_adv`` and by the stage.
        weight: within the group; a number, or the option that holds it.
    """

    group: Group
    weight: float | str


TERMS: dict[str, Term] = {
    "feature": Term("spi", 1.0),  # the public feature loss
    "pitch": Term("spi", "lambda_pitch"),
    "delta": Term("spi", 0.05),  # the same on first differences over time
    "image": Term("spi", 0.1),  # L1 of the normalised speech images
    "voicing": Term("spi", "lambda_voicing"),
    "loudness": Term("spi", "lambda_loudness"),
    "semantic": Term("spi", 0.02),  # read-outs on the encoder's and the decoder's tokens
    "envelope": Term("spi", "lambda_envelope"),
    "asr": Term("spi", "lambda_asr"),
    "f0_contour": Term("spi", 0.02),  # 1 - correlation of the F0 contour
    "f0_spread": Term("spi", 0.05),  # spread of F0 below 0.9 of the original's
    "silence": Term("spi", 0.02),  # decoded energy where the original is silent
    "log_mel": Term("wave", 1.0),  # nepers
    "audio_f0": Term("wave", 2.0),  # octaves, on voiced frames, by soft YIN
    "stft": Term("wave", 1.0),  # sum of the root, log and convergence forms; only with use_stft_loss
    "adversarial": Term("adv", 1.0),
    "feature_matching": Term("adv", 1.0),
}


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Attributes:
        name: fixed name.
        spi, wave: factors on ``lambda_spi`` and ``lambda_wave``.
        adv: factor on ``lambda_adv`` at the stage's first and last step; linear between.
        trains_vocoder: whether the vocoder learns (otherwise it is frozen, gradients pass through it).
    """

    name: str
    spi: float
    wave: float
    adv: tuple[float, float]
    trains_vocoder: bool

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
    """Where a step lies in the curriculum.

    Attributes:
        stage: the stage of the step.
        adv: the GAN factor at the step.
    """

    stage: Stage
    adv: float

    def total(self, group: Group, terms: Mapping[str, Tensor], config: TrainConfig) -> Tensor:
        """What the terms of a group add to the loss at this place.

        Raises:
            ValueError: a term that :data:`TERMS` does not have in this group.
        """
        factor = {"spi": self.stage.spi, "wave": self.stage.wave, "adv": self.adv}[group]
        scale = {"spi": config.lambda_spi, "wave": config.lambda_wave, "adv": config.lambda_adv}[group]
        return factor * scale * weighted_sum(group, terms, config)


def weights(group: Group, config: TrainConfig) -> dict[str, float]:
    """Weight of every term of a group, relative to the others."""
    found = {name: term.weight for name, term in TERMS.items() if term.group == group}
    return {name: float(getattr(config, w)) if isinstance(w, str) else w for name, w in found.items()}


def weighted_sum(group: Group, terms: Mapping[str, Tensor], config: TrainConfig) -> Tensor:
    """Weighted sum of terms of one group; raises ValueError for a term without a weight."""
    known = weights(group, config)
    missing = terms.keys() - known.keys()
    if missing:
        raise ValueError(f"loss terms without a weight among the {group} terms: {', '.join(sorted(missing))}")
    return sum((known[name] * value for name, value in terms.items()), start=torch.zeros(()))


def position(step: int, borders: Sequence[int] = DEFAULT_BORDERS) -> Position:
    """Stage and GAN factor of a step (counted from 0); ``borders`` are the first steps of stages 2 to 4."""
    index = sum(step >= border for border in borders)
    stage = STAGES[index]
    first, last = stage.adv
    if first == last or index in (0, len(STAGES) - 1):
        return Position(stage, last)
    length = max(borders[index] - borders[index - 1], 1)
    return Position(stage, first + (last - first) * (step - borders[index - 1]) / length)


def table(borders: Sequence[int], end: int) -> list[tuple[str, str, str, str, str, str]]:
    """Rows (stage, steps, SPI factor, audio factor, GAN factor, vocoder) for people to read."""
    edges = [0, *borders, max(end, borders[-1])]
    rows = []
    for stage, first, last in zip(STAGES, edges[:-1], edges[1:], strict=True):
        adv = f"{stage.adv[0]:g}" if stage.adv[0] == stage.adv[1] else f"{stage.adv[0]:g} to {stage.adv[1]:g}"
        vocoder = "trained" if stage.trains_vocoder else "frozen" if stage.makes_audio else "unused"
        rows.append((stage.name, f"{first}-{last}", f"{stage.spi:g}", f"{stage.wave:g}", adv, vocoder))
    return rows
