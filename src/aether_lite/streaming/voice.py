"""Decoded features to heard samples, token by token; what streams of symbols and of bits share after the codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aether_lite.features import FRAME, NUM_FREE
from aether_lite.streaming.muting import MuteState, faded
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.vocoder import LOOKAHEAD_FRAMES, FrameVocoder


@dataclass(frozen=True)
class Heard:
    """What a push makes known.

    Attributes:
        samples: ``[m] float32`` speech in [-1, 1] at 16 kHz.
        features: ``[F, 20] float32`` decoded features of K tokens (concealed ones included).
        muted: ``[K] bool``: tokens that are muted.
    """

    samples: Tensor
    features: Tensor
    muted: Tensor


def joined(pieces: Sequence[Heard]) -> Heard:
    """Pieces in a row."""
    if not pieces:
        return Heard(torch.zeros(0), torch.zeros(0, NUM_FREE), torch.zeros(0, dtype=torch.bool))
    return Heard(
        torch.cat([piece.samples for piece in pieces]),
        torch.cat([piece.features for piece in pieces]),
        torch.cat([piece.muted for piece in pieces]),
    )


class Voice:
    """The vocoder of one stream, with the fades of muting.

    Args:
        vocoder: makes the sound.
        mute: False to hear everything.

    Attributes:
        muting: the decision for every token, which the decoder updates before :meth:`speak`.
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

    def speak(self, rows: Tensor, muting: MuteState) -> Heard:
        """Rows ``[1, n, 20]`` that a token made known, with the decision ``muting``, of no effect where nothing mutes.

        Args:
            rows: n is 0 where the decoder still waits.
        """
        if self._mute:
            self.muting = muting
        if not rows.shape[1]:
            return joined(())
        return Heard(self._samples(rows), rows[0], torch.tensor([self.muted]))

    def flush(self) -> Heard:
        """The last 240 samples (none if no token came); then :meth:`reset`."""
        samples = torch.zeros(0)
        if self._state is not None:
            rows = self._last_row.expand(-1, 1 + LOOKAHEAD_FRAMES, -1)
            samples = self._samples(rows)[: -FRAME // 2]
        self.reset()
        return Heard(samples, torch.zeros(0, NUM_FREE), torch.zeros(0, dtype=torch.bool))

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on."""
        return {
            **flattened("last_row", self._last_row),
            **flattened("vocoder", self._state),
            **flattened("muting", self.muting),
        }

    def restored(self, state: Mapping[str, Tensor]) -> Voice:
        """A voice like this one where the one stood that gave ``state``; raises AetherError if it is no such state."""
        voice = Voice(self._vocoder, self._mute)
        voice.muting = rebuilt("muting", MuteState(), state)
        voice._last_row = entry("last_row", state, (1, None, NUM_FREE))
        if present("vocoder", state):
            voice._state = rebuilt("vocoder", self._vocoder.prime(torch.zeros(1, NUM_FREE)), state)
        return voice

    def _samples(self, rows: Tensor) -> Tensor:
        """Samples ``[m]`` that new rows ``[1, n, 20]`` make known."""
        cut = 0
        self._last_row = rows[:, -1:]
        if self._state is None:
            self._state = self._vocoder.prime(rows[:, 0])
            rows, cut = rows[:, 1:], FRAME // 2  # the first frame begins half a frame before the speech
        samples, self._state = self._vocoder.render(rows, self._state)
        heard, self.muting = faded(samples[0, cut:].clamp(-1.0, 1.0).to(torch.float32), self.muting)
        return heard
