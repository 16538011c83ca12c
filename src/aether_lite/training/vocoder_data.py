"""Batches for the vocoder: feature rows and the pre-emphasised speech that belongs to them.

A share of the items gets the features that the codec makes of the same speech after a random channel, so that the
vocoder learns to cope with decoding errors. These items bring a longer stretch of features along: the codec's memory is
warm where the crop begins, and its decoder has the token behind the crop to look ahead to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aether_lite.codec import SpiCodec
from aether_lite.data.corpus import Corpus
from aether_lite.features.layout import FRAME
from aether_lite.training.batches import Batch
from aether_lite.training.conditions import ConditionRanges, draw
from aether_lite.training.vocoder_config import KNOWN_FRAMES, VocoderConfig
from aether_lite.vocoder.fargan import CONTEXT_ROWS, FIRST_ROW, emphasised_frames

HISTORY_FRAMES = 64  # at least; what the codec gets before the crop (0.64 s)
_POLARITY_STREAM = 0x51C7


@dataclass(frozen=True)
class MakeBatch:
    """Batch of a step; picklable, and a function of the step alone. All ranks together make what one rank would.

    A batch has ``features [B, T, 20]`` with T = known frames + frames + 4, ``audio [B, 160 (T - 4)]``, the
    pre-emphasised speech of rows 3 to T - 2, and as ``history [K, H, 20]`` whole tokens for the codec that end
    ``lookahead`` tokens behind the first K crops.

    Attributes:
        corpus: clips with their samples.
        config: options.
        rank, ranks: this process among all.
        token_frames, lookahead: of the codec.
    """

    corpus: Corpus
    config: VocoderConfig
    rank: int
    ranks: int
    token_frames: int
    lookahead: int = 0

    def __call__(self, step: int) -> Batch:
        config = self.config
        adversarial = step >= config.spectral_steps
        made = KNOWN_FRAMES + (config.adversarial_frames if adversarial else config.frames)
        rows = made + CONTEXT_ROWS
        share = (config.adversarial_batch if adversarial else config.batch) // self.ranks
        own = range(self.rank * share, (self.rank + 1) * share)
        decoded = [item for item in own if goes_through_codec(item, config.decoded_share)]
        items = [*decoded, *(item for item in own if item not in decoded)]
        before = HISTORY_FRAMES + -(rows + HISTORY_FRAMES) % self.token_frames
        long, speech = self._crops(step, items[: len(decoded)], before + rows + self.lookahead * self.token_frames)
        short, short_speech = self._crops(step, items[len(decoded) :], rows)
        crop = slice(before, before + rows)
        joined = torch.cat((speech[:, before * FRAME : (before + rows) * FRAME], short_speech))
        target = emphasised_frames(joined, FIRST_ROW, made) * self._polarities(step, items)
        return Batch(tuple(items), torch.cat((long[:, crop], short)), target, long)

    def _crops(self, step: int, items: Sequence[int], frames: int) -> tuple[Tensor, Tensor]:
        if not items:
            return torch.zeros(0, frames, 20), torch.zeros(0, frames * FRAME)
        return self.corpus.batch_with_audio(self.config.seed, step, items, frames)

    def _polarities(self, step: int, items: Sequence[int]) -> Tensor:
        """Signs ``[B, 1]``: inverted speech has the same features."""
        signs = [np.random.default_rng((_POLARITY_STREAM, self.config.seed, step, i)).integers(2) for i in items]
        return 1.0 - 2.0 * torch.tensor(np.array(signs), dtype=torch.float32)[:, None]


def goes_through_codec(item: int, share: float) -> bool:
    """Whether an item of a step gets decoded features: ``share`` of the items, evenly spread over their numbers."""
    before, after = (math.floor(round(share * count, 6)) for count in (item, item + 1))
    return after > before


@torch.no_grad()
def with_decoded(batch: Batch, codec: SpiCodec | None, seed: int, step: int) -> Tensor:
    """Features ``[B, T, 20]`` of which the first K have been through the codec and a channel of their own."""
    if codec is None or batch.history is None or len(batch.history) == 0:
        return batch.features
    count, rows = len(batch.history), batch.features.shape[1]
    conditions = draw(ConditionRanges(), seed, step, batch.items[:count]).to(batch.history.device)
    sent = codec(batch.history, conditions.rate, conditions.transmit, conditions.target_snr_db)
    end = sent.features.shape[1] - codec.config.lookahead * codec.config.token_frames  # the last token lacks its next
    return torch.cat((sent.features[:, end - rows : end], batch.features[count:]))
