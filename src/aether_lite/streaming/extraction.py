"""The state of a feature extractor as tensors, and back: a restored extractor gives the same bits.

:class:`~aether_lite.features.StreamingExtractor` keeps its state to itself; this is the one place that knows what
it consists of. Working memory (the tracker's padded row) is not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from aether_lite.features import StreamingExtractor
from aether_lite.features.correlation import HISTORY_ROWS
from aether_lite.features.layout import FRAME, NUM_ALL
from aether_lite.features.pitch import NUM_LAGS, STATE_PERIODS
from aether_lite.streaming.snapshot import Snapshot, entry, flattened

_STATES = len(STATE_PERIODS)
_PIECE = (HISTORY_ROWS + 1) * FRAME


def extractor_state(extractor: StreamingExtractor, name: str) -> Snapshot:
    """Everything that later rows depend on, under ``name``."""
    frames, tracker = extractor._frames, extractor._tracker
    origins = np.array(tracker._origins, dtype=np.int64).reshape(-1, _STATES)
    values = {
        "waiting": extractor._waiting,
        "held_rows": extractor._held_rows,
        "held_pieces": extractor._held_pieces,
        "held_scores": extractor._held_scores,
        "last_sample": frames._last_sample,
        "emphasised": frames._emphasised,
        "residual": frames._residual,
        "lowpassed": frames._lowpassed,
        "tracker_total": tracker._total,
        "tracker_best": tracker._best,
        "tracker_origins": origins,
    }
    return {key: leaf for part, value in values.items() for key, leaf in flattened(f"{name}.{part}", value).items()}


def restored_extractor(snapshot: Mapping[str, Tensor], name: str) -> StreamingExtractor:
    """An extractor that goes on where the stored one stood.

    Raises:
        AetherError: an entry is missing or of another shape.
    """
    extractor = StreamingExtractor()
    frames, tracker = extractor._frames, extractor._tracker

    def stored(part: str, *shape: int | None) -> Tensor:
        return entry(f"{name}.{part}", snapshot, shape)

    extractor._waiting = stored("waiting", None).numpy()
    extractor._held_rows = stored("held_rows", None, NUM_ALL).numpy()
    extractor._held_pieces = stored("held_pieces", None, _PIECE).numpy()
    extractor._held_scores = stored("held_scores", None, NUM_LAGS).numpy()
    frames._last_sample = float(stored("last_sample"))
    frames._emphasised = stored("emphasised", 1, FRAME).numpy()
    frames._residual = stored("residual", 1, FRAME).numpy()
    frames._lowpassed = stored("lowpassed", HISTORY_ROWS, FRAME).numpy()
    tracker._total = stored("tracker_total", None).numpy()
    tracker._best = int(stored("tracker_best"))
    tracker._origins = list(stored("tracker_origins", None, _STATES).numpy())
    return extractor
