"""Speech as it arrives to the features of whole tokens; what streams of symbols and of bits share before the codec."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.features import FRAME, NUM_FREE, ROW_LOOKAHEAD_SAMPLES, Conditioner, StreamingExtractor, conditioning
from aether_lite.features.analysis import STATE_SHAPES, int16_scale
from aether_lite.features.layout import INT16_SCALE, Float32
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present

LOOKAHEAD = ROW_LOOKAHEAD_SAMPLES - FRAME  # samples beyond a token's own that its last row needs


class TokenFeatures:
    """Features of one stream, a token at a time, the same for every way of cutting the samples.

    Args:
        frames: frames of 10 ms a token.
        condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.
    """

    def __init__(self, frames: int, condition: bool = True) -> None:
        self._frames = frames
        self._conditioner = Conditioner() if condition else None
        self._extractor = StreamingExtractor()
        self._waiting = np.zeros(0)
        self._started = False  # the extractor is LOOKAHEAD samples into the next token once a token is out

    def push(self, samples: ArrayLike | Tensor) -> list[Tensor]:
        """``[1, frames, 20] float32`` of every token that samples ``[n]``, float in [-1, 1] or int16, complete.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        array = samples.numpy(force=True) if isinstance(samples, Tensor) else np.asarray(samples)
        given = int16_scale(array) / INT16_SCALE if self._conditioner is None else self._conditioner.push(array)
        joined = np.concatenate([self._waiting, given])
        tokens, start = [], 0
        while len(joined) - start >= self._needed:
            end = start + self._needed
            tokens.append(_free_columns(self._extractor.push(joined[start:end])))
            start, self._started = end, True
        self._waiting = joined[start:].copy()
        return tokens

    def flush(self) -> list[Tensor]:
        """The last tokens, the speech filled up with silence to a whole one. The object is of no use after it."""
        ahead = LOOKAHEAD if self._started else 0
        missing = -(ahead + len(self._waiting)) % (self._frames * FRAME)
        last = self._extractor.push(np.concatenate([self._waiting, np.zeros(missing)]))
        rows = np.concatenate([last, self._extractor.flush()])
        return [_free_columns(rows[start : start + self._frames]) for start in range(0, len(rows), self._frames)]

    def state_dict(self) -> Snapshot:
        """Everything the next tokens depend on."""
        return {
            **flattened("features", self._extractor.state()),
            **flattened("waiting", self._waiting),
            **flattened("started", self._started),
            **flattened("conditioner", None if self._conditioner is None else self._conditioner.state()),
        }

    @classmethod
    def restored(cls, frames: int, state: Mapping[str, Tensor]) -> TokenFeatures:
        """The object that gave ``state``; raises AetherError where that is not such a state."""
        arrays = {name: entry(f"features.{name}", state, shape).numpy() for name, shape in STATE_SHAPES.items()}
        speech = cls(frames, present("conditioner", state))
        speech._extractor.load(arrays)
        speech._waiting = entry("waiting", state, (None,)).numpy()
        speech._started = bool(entry("started", state, ()))
        if speech._conditioner is not None:
            shapes = conditioning.STATE_SHAPES.items()
            own = {name: entry(f"conditioner.{name}", state, shape).numpy() for name, shape in shapes}
            speech._conditioner.load(own)
        return speech

    @property
    def conditioned(self) -> bool:
        """Whether DC and rumble are removed."""
        return self._conditioner is not None

    @property
    def _needed(self) -> int:
        """Samples that complete the next token."""
        return self._frames * FRAME + (0 if self._started else LOOKAHEAD)


def _free_columns(rows: Float32) -> Tensor:
    return torch.from_numpy(rows[None, :, :NUM_FREE].copy())
