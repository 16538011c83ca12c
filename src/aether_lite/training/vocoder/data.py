"""Batches for the vocoder: feature rows and the pre-emphasised speech that belongs to them.

A share of the items gets the features that the codec makes of the same speech after a random channel: the vocoder
learns to be kind to decoding errors. These items bring a longer stretch of features along, so that the codec, which
remembers, is warm where the crop begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aether_lite.codec import SpiJscc
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.features.layout import FRAME
from aether_lite.training.conditions import ConditionRanges, draw
from aether_lite.training.distributed import Team
from aether_lite.training.vocoder.config import KNOWN_FRAMES, VocoderConfig
from aether_lite.training.vocoder.stages import stage_at
from aether_lite.vocoder.emphasis import emphasised_frames
from aether_lite.vocoder.fargan import CONTEXT_ROWS, FIRST_ROW

HISTORY_FRAMES = 64  # at least; what the codec hears before the crop (0.64 s)
_POLARITY_STREAM = 0x51C7


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        items: numbers of the crops within the step, over all processes; those for the codec first.
        features: ``[B, T, 20] float32`` with T = known frames + frames + 4.
        target: ``[B, 160 (known frames + frames)]``, pre-emphasised speech of rows 3 to T - 2.
        heard: ``[K, H, 20]``, longer stretches of the first K items that end where their ``features`` end: whole
            tokens for the codec.
    """

    items: tuple[int, ...]
    features: Tensor
    target: Tensor
    heard: Tensor

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the loader)."""
        return Batch(self.items, *(value.pin_memory() for value in (self.features, self.target, self.heard)))

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        moved = (value.to(device, non_blocking=True) for value in (self.features, self.target, self.heard))
        return Batch(self.items, *moved)


@dataclass(frozen=True)
class MakeBatch:
    """Batch of a step; picklable, and a function of the step alone. All ranks together make what one rank would."""

    corpus: Corpus
    config: VocoderConfig
    rank: int
    ranks: int
    token_frames: int

    def __call__(self, step: int) -> Batch:
        config, stage = self.config, stage_at(self.config, step)
        made = KNOWN_FRAMES + stage.frames
        rows = made + CONTEXT_ROWS
        share = stage.batch // self.ranks
        own = range(self.rank * share, (self.rank + 1) * share)
        decoded = [item for item in own if goes_through_codec(item, config.decoded_share)]
        items = [*decoded, *(item for item in own if item not in decoded)]
        heard = len(decoded)
        longest = rows + HISTORY_FRAMES
        longest += -longest % self.token_frames
        history = longest - rows
        long, long_speech = self._crops(step, items[:heard], longest)
        short, short_speech = self._crops(step, items[heard:], rows)
        speech = torch.cat((long_speech[:, history * FRAME :], short_speech))
        target = emphasised_frames(speech, FIRST_ROW, made) * self._polarities(step, items)
        return Batch(tuple(items), torch.cat((long[:, history:], short)), target, long)

    def _crops(self, step: int, items: Sequence[int], frames: int) -> tuple[Tensor, Tensor]:
        if not items:
            return torch.zeros(0, frames, 20), torch.zeros(0, frames * FRAME)
        return self.corpus.batch_with_audio(self.config.seed, step, items, frames)

    def _polarities(self, step: int, items: Sequence[int]) -> Tensor:
        """Signs ``[B, 1]``: turned speech has the same features."""
        signs = [np.random.default_rng((_POLARITY_STREAM, self.config.seed, step, i)).integers(2) for i in items]
        return 1.0 - 2.0 * torch.tensor(np.array(signs), dtype=torch.float32)[:, None]


def goes_through_codec(item: int, share: float) -> bool:
    """Whether an item of a step gets decoded features: ``share`` of the items, evenly spread over their numbers."""
    before, after = (math.floor(round(share * count, 6)) for count in (item, item + 1))
    return after > before


def batches(corpus: Corpus, config: VocoderConfig, team: Team, first: int, token_frames: int) -> Loader[Batch]:
    """This process's batches from step ``first`` to the end, prepared ahead by ``config.workers`` processes."""
    make = MakeBatch(corpus, config, team.rank, team.size, token_frames)
    cuda = team.device.type == "cuda"
    return Loader(make, range(first, config.steps), workers=config.workers, pin_memory=cuda)


@torch.no_grad()
def with_decoded(batch: Batch, codec: SpiJscc | None, seed: int, step: int) -> Tensor:
    """Features ``[B, T, 20]`` of which the first K have been through the codec and a channel of their own."""
    count, rows = len(batch.heard), batch.features.shape[1]
    if codec is None or count == 0:
        return batch.features
    conditions = draw(ConditionRanges(), seed, step, batch.items[:count]).to(batch.heard.device)
    sent = codec(batch.heard, conditions.rate, conditions.transmit, conditions.target_snr_db)
    decoded = sent.features[:, -rows:]
    return torch.cat((decoded, batch.features[count:]))
