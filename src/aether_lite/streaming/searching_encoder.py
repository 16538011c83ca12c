"""Speech as it arrives to bits found by search, a window at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.channels.bits import Bits
from aether_lite.codec import HashCodec
from aether_lite.features import FRAME
from aether_lite.features.analysis import int16_scale
from aether_lite.features.layout import INT16_SCALE
from aether_lite.streaming.token_features import TokenFeatures


class SearchingEncoder:
    """One stream from samples to bits of a search; :class:`~aether_lite.streaming.BitEncoder` without one.

    Bits come in windows of 8 s, too late for a conversation. All together are those of ``codec.encode`` of all samples
    at once.

    Args:
        codec: gives weights and listener.
        rate: bit/s, one of 300, 600, 1200, 2400.
        steps: of the search.

    Raises:
        AetherError: an unknown rate, or the recogniser is not installed.
    """

    def __init__(self, codec: HashCodec, rate: int, steps: int) -> None:
        self._speech = TokenFeatures(codec.token_frames)
        self._search = codec.searching(rate, steps)
        self._rate, self._frames = rate, codec.token_frames
        self._samples = np.zeros(0)  # of tokens whose features are not there yet

    def push(self, samples: ArrayLike | Tensor) -> Bits:
        """Bits ``[1, K, n]`` of the tokens that samples ``[n]`` at 16 kHz decide, K >= 0."""
        array = samples.numpy(force=True) if isinstance(samples, Tensor) else np.asarray(samples)
        self._samples = np.concatenate([self._samples, int16_scale(array) / INT16_SCALE])
        return self._bits(self._speech.push(array))

    def flush(self) -> Bits:
        """End the stream: the last tokens. The object is of no use after it."""
        last = self._bits(self._speech.flush())
        return Bits(torch.cat([last.values, self._search.flush()], dim=1), self._rate, self._frames)

    def _bits(self, tokens: list[Tensor]) -> Bits:
        """What a search decides with the features of further tokens."""
        pieces, length = [self._search.none], self._frames * FRAME
        for features in tokens:
            own, self._samples = self._samples[:length], self._samples[length:]
            filled = torch.from_numpy(np.pad(own, (0, length - len(own)))).float()
            pieces.append(self._search.push(features, filled[None]))
        return Bits(torch.cat(pieces, dim=1), self._rate, self._frames)
