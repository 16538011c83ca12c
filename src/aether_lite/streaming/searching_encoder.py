"""Speech as it arrives to bits found by search, a window at a time."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.codec import HashCodec
from aether_lite.payload import Bits
from aether_lite.streaming.token_features import TokenFeatures


class SearchingEncoder:
    """One stream from samples to bits of a search; :class:`~aether_lite.streaming.BitEncoder` without one.

    Bits come in windows of 8 s, too late for a conversation. All together are those of ``codec.encode`` of all samples
    at once.

    Args:
        codec: gives weights and listener.
        rate: bit/s, one of 300, 600, 1200, 2400.
        steps: of the search.
        condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.

    Raises:
        AetherError: an unknown rate, or the recogniser is not installed.
    """

    def __init__(self, codec: HashCodec, rate: int, steps: int, *, condition: bool = True) -> None:
        self._speech = TokenFeatures(codec.token_frames, condition)
        self._search = codec.searching(rate, steps)
        self._rate, self._frames = rate, codec.token_frames

    def push(self, samples: ArrayLike | Tensor) -> Bits:
        """Bits ``[1, K, n]`` of the tokens that samples ``[n]`` at 16 kHz decide, K >= 0."""
        return self._bits([self._search.push(features) for features in self._speech.push(samples)])

    def flush(self) -> Bits:
        """End the stream: the last tokens. The object is of no use after it."""
        last = [self._search.push(features) for features in self._speech.flush()]
        return self._bits([*last, self._search.flush()])

    def _bits(self, pieces: list[Tensor]) -> Bits:
        return Bits(torch.cat([self._search.none, *pieces], dim=1), self._rate, self._frames)
