"""A process's share of every step's batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.training.config import TrainConfig
from aether_lite.training.curriculum import position
from aether_lite.training.distributed import Team


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        items: numbers of the crops within the step, over all processes.
        features: ``[B, F, 20] float32``.
        audio: ``[B, 160 F] float32``, speech aligned with the features; None where nothing asks for it.
    """

    items: tuple[int, ...]
    features: Tensor
    audio: Tensor | None

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the loader)."""
        audio = None if self.audio is None else self.audio.pin_memory()
        return Batch(self.items, self.features.pin_memory(), audio)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        audio = None if self.audio is None else self.audio.to(device, non_blocking=True)
        return Batch(self.items, self.features.to(device, non_blocking=True), audio)


@dataclass(frozen=True)
class MakeBatch:
    """Batch of a step; picklable, and a function of the step alone."""

    corpus: Corpus
    seed: int
    items: Sequence[int]
    frames: int
    borders: Sequence[int]
    recorded: bool  # whether every batch has audio, not only those of stages that make some

    def __call__(self, step: int) -> Batch:
        place = self.corpus, self.seed, step, self.items, self.frames
        if self.recorded or position(step, self.borders).stage.hears:
            features, audio = Corpus.batch_with_audio(*place)
            return Batch(tuple(self.items), features, audio)
        return Batch(tuple(self.items), Corpus.batch(*place), None)


def batches(corpus: Corpus, config: TrainConfig, team: Team, first: int) -> Loader[Batch]:
    """This process's batches from step ``first`` to the end, prepared ahead by ``config.workers`` processes."""
    items = tuple(team.items(config.batch))
    borders = tuple(config.stage_borders)
    make = MakeBatch(corpus, config.seed, items, config.frames, borders, config.listens_to_recordings)
    cuda = team.device.type == "cuda"
    return Loader(make, range(first, config.steps), workers=config.workers, pin_memory=cuda)
