"""What is sent of recorded speech, found by search: what the encoder proposes, changed until the decoder gives it back
better.

An encoder answers once and hears nothing of its answer. Here its answer is only the start: it goes through the channel
and the decoder, the decoded features are compared with the true ones, and the gradient moves what is sent (Adam, with a
rate that falls to zero)::

    goal = feature loss + 0.5 envelope loss + 0.1 voicing loss + w listening loss

(:mod:`aether_lite.losses`). Decoder and formats stay what they are. A search wants a listener: by features alone it
finds less feature loss and fewer words (docs/experiments.md). Where a search is given the speech itself, the listener's
states are compared with the recogniser's of the recording (w = 2), so that the search makes up for what features leave
out and the vocoder loses; with features alone, with the listener's of the true ones (w = 1). Speech is searched in
windows that see a little further than they decide: memory is bounded, and a stream gets what the whole would get.
Results may differ between machines; what a decoder makes of them does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from aether_lite.codec.model import SpeechImageCodec
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.losses.asr import Listener
from aether_lite.losses.asr.recogniser import FRAMES_PER_STATE
from aether_lite.losses.asr.spectra import Spectra
from aether_lite.losses.envelope import SEGMENT, envelope_loss
from aether_lite.losses.feature import feature_loss
from aether_lite.losses.listening import listening_loss
from aether_lite.losses.voicing import voicing_loss
from aether_lite.spi import State

ENVELOPE, VOICING = 0.5, 0.1  # weights of losses, that of features being 1
TO_FEATURES, TO_SPEECH = 1.0, 2.0  # of the listening loss: distance to what is heard of features or of the recording
WINDOW = 800  # frames decided at a time; 8 s
AHEAD = 96  # frames that are searched with them and decided with the next
BEFORE = 96  # decoded frames that are heard before them


def wait_ms(steps: int, token_frames: int) -> float:
    """What a search adds to the latency [ms]: a token waits for its window and what is seen behind, not for itself."""
    return 10 * (WINDOW + AHEAD - token_frames) if steps else 0


@dataclass(frozen=True)
class Goal:
    """What a search makes small.

    Args:
        listener: frozen.
        true: features ``[1, F, 20]``.
        speech: ``[1, 160 F]`` in [-1, 1] that they are of; None where it is not known.
        before: decoded features ``[1, N, 20]`` of the first N of these frames, already decided.
        every_block: whether the states behind every block of the recogniser count, or those behind its last alone.
    """

    listener: Listener
    true: Tensor
    speech: Tensor | None
    before: Tensor
    every_block: bool

    @torch.no_grad()
    def wanted(self) -> Tensor:
        """The states to come near to: the recogniser's of the recording, or the listener's of the true features."""
        if self.speech is None:
            return self.states(self.true)
        frames = self._heard_frames
        return self._counted(self.listener.heard(Spectra()(self.speech[:, : frames * FRAME], frames)))

    def states(self, features: Tensor) -> Tensor:
        """What the listener makes of features ``[1, F, 20]``."""
        return self._counted(self.listener(features[:, : self._heard_frames]))

    def _counted(self, states: Tensor) -> Tensor:
        return states if self.every_block else self.listener.last(states)

    @property
    def _heard_frames(self) -> int:
        """Frames that make whole states."""
        return self.true.shape[1] // FRAMES_PER_STATE * FRAMES_PER_STATE

    def distance(self, decoded: Tensor, wanted: Tensor) -> Tensor:
        """The goal, a scalar, of decoded features ``[1, F - N, 20]`` whose states should be those of :meth:`wanted`."""
        made = torch.cat([self.before, decoded], 1)
        loss = feature_loss(made, self.true) + VOICING * voicing_loss(made, self.true)
        weight = TO_FEATURES if self.speech is None else TO_SPEECH
        loss = loss + weight * listening_loss(self.states(made), wanted)
        if made.shape[1] >= SEGMENT:
            loss = loss + ENVELOPE * envelope_loss(made, self.true)
        return loss.sum()


class WindowSearch(ABC):
    """One stream of features to what is sent of them; what bits and symbols share.

    Args:
        model: the codec, in evaluation mode.
        listener: frozen, see :func:`aether_lite.losses.asr.load_listener`.
        steps: of the search, 0 or more; each takes about as long as it takes to hear the speech once.
        none: what is sent of no token, ``[1, 0, n]``.
    """

    learning_rate: ClassVar[float]
    betas: ClassVar[tuple[float, float]]
    noisy: ClassVar[bool]
    """Whether the same values are heard differently at every step, so that the last count and not the best."""
    every_block: ClassVar[bool]
    """Whether the states behind every block of the recogniser count, or those behind its last alone."""

    def __init__(self, model: SpeechImageCodec, listener: Listener, steps: int, none: Tensor) -> None:
        self._model, self._listener, self._steps, self.none = model, listener, steps, none
        self._frames = model.config.token_frames
        self._window, self._ahead = WINDOW // self._frames, AHEAD // self._frames
        self.reset()

    def reset(self) -> None:
        """Forget all features: the next are the first of a new stream."""
        rows = torch.zeros(1, 0, NUM_FREE + FRAME)  # true features and the samples of their frames, NaN if not known
        self._waiting = rows  # of tokens that are not decided
        self._proposals = self.none  # and what the encoder makes of them
        self._undecoded = rows  # of tokens that are decided, and not yet decoded
        self._before = (rows[..., :NUM_FREE], rows)  # decoded features, and what is true
        self._encoder: State | None = None
        self._decoder: State | None = None

    @torch.inference_mode(False)
    def push(self, features: Tensor, speech: Tensor | None = None) -> Tensor:
        """Take whole tokens; returns what is sent ``[1, K, n]`` of those that are now decided.

        Args:
            features: ``[1, F, 20]``.
            speech: ``[1, 160 F]`` in [-1, 1] that they are of; None where it is not known.
        """
        samples = torch.full((1, features.shape[1], FRAME), torch.nan)
        if speech is not None:
            samples = speech.view(1, -1, FRAME)
        for token in torch.split(torch.cat([features, samples], 2), self._frames, dim=1):
            with torch.no_grad():
                proposal, self._encoder = self._proposed(token[..., :NUM_FREE], self._encoder)
            self._waiting = torch.cat([self._waiting, token], 1)
            self._proposals = torch.cat([self._proposals, proposal], 1)
        decided = [self.none]
        while self._proposals.shape[1] >= self._window + self._ahead:
            decided.append(self._decided())
        return torch.cat(decided, 1)

    @torch.inference_mode(False)
    def flush(self) -> Tensor:
        """What is sent ``[1, K, n]`` of the tokens that are left; the stream ends."""
        values = self.none
        if self._proposals.shape[1]:
            values = self._found(torch.cat([self._undecoded, self._waiting], 1), self._proposals, end=True)
        self.reset()
        return values

    def each(self, features: Tensor, speech: Tensor | None = None) -> Tensor:
        """What is sent ``[B, K, n]`` of whole clips ``[B, F, 20]``, of speech ``[B, 160 F]``, one after the other."""
        found = []
        for item in range(len(features)):
            one = slice(item, item + 1)
            pushed = self.push(features[one], None if speech is None else speech[one])
            found.append(torch.cat([pushed, self.flush()], 1))
        return torch.cat(found)

    @abstractmethod
    def _proposed(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The encoder's proposal for a token ``[1, 1, n]``, and its state after it."""

    @abstractmethod
    def _sent(self, moved: Tensor, proposals: Tensor) -> Tensor:
        """What is sent where a search has moved proposals, with a gradient."""

    @abstractmethod
    def _decoded(self, values: Tensor, end: bool) -> tuple[Tensor, State]:
        """Features that values ``[1, K, n]`` add, and the decoder's state after them; ``end``: no token follows."""

    def _heard(self, planes: Tensor, conditions: Tensor) -> tuple[Tensor, State]:
        """The decoder's features and state, with a gradient; see :meth:`SpeechImageCodec.decoded`."""
        image, _, state = self._model.decoded(planes, conditions, self._decoder)
        first = self._model.config.lookahead * self._frames if self._decoder is None else 0
        return self._model.image.to_features(image)[:, first:], state

    def _decided(self) -> Tensor:
        """Search the tokens of a window and those behind it, and decide the window."""
        late = self._model.config.lookahead * self._frames
        seen = self._window + self._ahead
        true = torch.cat([self._undecoded, self._waiting[:, : seen * self._frames]], 1)
        found = self._found(true[:, : true.shape[1] - late], self._proposals[:, :seen], end=False)
        values = found[:, : self._window]
        with torch.no_grad():
            decoded, self._decoder = self._decoded(values, end=False)
        before, true_before = self._before
        made = torch.cat([before, decoded], 1)
        known = torch.cat([true_before, true], 1)[:, : made.shape[1]]
        self._before = (made[:, -BEFORE:], known[:, -BEFORE:])
        self._undecoded = true[:, decoded.shape[1] : decoded.shape[1] + late]
        self._waiting = self._waiting[:, self._window * self._frames :]
        self._proposals = self._proposals[:, self._window :]
        return values

    @torch.enable_grad()
    def _found(self, true: Tensor, proposals: Tensor, end: bool) -> Tensor:
        """What a search from proposals ``[1, K, n]`` finds for true rows ``[1, F, 180]``."""
        before, true_before = self._before
        rows = torch.cat([true_before, true], 1)
        features, samples = rows[..., :NUM_FREE], rows[..., NUM_FREE:]
        speech = None if samples.isnan().any() else samples.flatten(1)
        goal = Goal(self._listener, features, speech, before, self.every_block)
        wanted = goal.wanted()
        moved = proposals.clone().requires_grad_(True)
        adam = torch.optim.Adam([moved], lr=self.learning_rate, betas=self.betas)
        least, best = float("inf"), self._sent(moved, proposals).detach()
        for step in range(self._steps + 1):
            values = self._sent(moved, proposals)
            distance = goal.distance(self._decoded(values, end)[0], wanted)
            if (value := float(distance.detach())) < least or self.noisy:
                least, best = value, values.detach()
            if step == self._steps:
                break
            (moved.grad,) = torch.autograd.grad(distance, moved)
            adam.param_groups[0]["lr"] = self.learning_rate * (1 - step / self._steps)
            adam.step()
        return best
