"""Streaming synthesis: decoded features to samples by a vocoder, with the fades of muting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from aether_lite.features import FRAME, NUM_FREE
from aether_lite.streaming.muting import MuteState, faded
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.vocoder import LOOKAHEAD_FRAMES, FrameVocoder


@dataclass(frozen=True)
class DecodedSpeech:
    """What a push makes known.

    Attributes:
        samples: ``[m] float32`` speech in [-1, 1] at 16 kHz.
        features: ``[F, 20] float32`` decoded features of K tokens (concealed ones included).
        muted: ``[K] bool``: tokens that are muted.
    """

    samples: Tensor
    features: Tensor
    muted: Tensor


NOTHING = DecodedSpeech(torch.zeros(0), torch.zeros(0, NUM_FREE), torch.zeros(0, dtype=torch.bool))


def joined(pieces: Sequence[DecodedSpeech]) -> DecodedSpeech:
    """Pieces in a row."""
    if not pieces:
        return NOTHING
    return DecodedSpeech(*(torch.cat([getattr(p, field.name) for p in pieces]) for field in fields(DecodedSpeech)))


class Synthesis:
    """The vocoder of one stream.

    Args:
        vocoder: makes the samples.
        mute: False to mute nothing.

    Attributes:
        muting: the decision of the newest token.
    """

    def __init__(self, vocoder: FrameVocoder, mute: bool) -> None:
        self._vocoder, self._mute = vocoder, mute
        self.reset()

    @property
    def muted(self) -> bool:
        """Whether the newest token is muted."""
        return self._mute and self.muting.muted

    def reset(self) -> None:
        """Forget everything."""
        self.muting = MuteState()
        self._last_row = torch.zeros(1, 0, NUM_FREE)
        self._state: Any = None

    def samples_of(self, rows: Tensor, muting: MuteState) -> DecodedSpeech:
        """What rows ``[1, n, 20]`` of one token make known, muted by ``muting``; n is 0 while the decoder waits."""
        if self._mute:
            self.muting = muting
        if not rows.shape[1]:
            return NOTHING
        return DecodedSpeech(self._rendered(rows), rows[0], torch.tensor([self.muted]))

    def flush(self) -> DecodedSpeech:
        """The last 240 samples (none if no token came); then :meth:`reset`."""
        samples = NOTHING.samples
        if self._state is not None:
            samples = self._rendered(self._last_row.expand(-1, 1 + LOOKAHEAD_FRAMES, -1))[: -FRAME // 2]
        self.reset()
        return DecodedSpeech(samples, NOTHING.features, NOTHING.muted)

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on."""
        return {
            **flattened("last_row", self._last_row),
            **flattened("vocoder", self._state),
            **flattened("muting", self.muting),
        }

    def restored(self, state: Mapping[str, Tensor]) -> Synthesis:
        """One like this where the one stood that gave ``state``; AetherError if it is no such state."""
        made = Synthesis(self._vocoder, self._mute)
        made.muting = rebuilt("muting", MuteState(), state)
        made._last_row = entry("last_row", state, (1, None, NUM_FREE))
        if present("vocoder", state):
            made._state = rebuilt("vocoder", self._vocoder.prime(torch.zeros(1, NUM_FREE)), state)
        return made

    def _rendered(self, rows: Tensor) -> Tensor:
        """Samples ``[m]`` that new rows ``[1, n, 20]`` make known."""
        cut = 0
        self._last_row = rows[:, -1:]
        if self._state is None:
            self._state = self._vocoder.prime(rows[:, 0])
            rows, cut = rows[:, 1:], FRAME // 2  # the first frame begins half a frame before the speech
        samples, self._state = self._vocoder.render(rows, self._state)
        shaped, self.muting = faded(samples[0, cut:].clamp(-1.0, 1.0).to(torch.float32), self.muting)
        return shaped
