"""Bits found by search: what the encoder proposes, changed until the decoder gives the speech back better.

An encoder answers once and hears nothing of its answer. Here its scaled latents are only the start: the bits go through
the decoder, the decoded features are compared with the true ones, and the gradient, straight through the thresholds,
moves the latents (Adam); the best bits seen are kept. The decoder, and so the format, stay what they are, and a search
never ends with bits that are worse by its own goal::

    goal = feature loss + 0.5 envelope loss + listening loss

(:mod:`aether_lite.losses`). It wants a listener: by features alone a search finds bits with less feature loss and fewer
words (docs/experiments.md). Long speech is searched in windows that see a little further than they decide, so that
memory is bounded and the bits of a stream are those of the whole. The bits may differ between machines; what a decoder
makes of them does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.channels.bits import ReceivedBits, bits_per_token
from aether_lite.codec.bit_model import SpiHash
from aether_lite.codec.model import ended
from aether_lite.features.layout import NUM_FREE
from aether_lite.hash import checked_bit_rate, signs
from aether_lite.hash.bottleneck import on_sphere
from aether_lite.listener import Listener
from aether_lite.listener.recogniser import FRAMES_PER_STATE
from aether_lite.losses.envelope import SEGMENT, envelope_loss
from aether_lite.losses.feature import feature_loss
from aether_lite.losses.listening import listening_loss
from aether_lite.spi import State

STEPS = 40
ENVELOPE, LISTENING = 0.5, 1.0  # weights, as the released weights were trained
WINDOW = 100  # tokens decided at a time; 8 s
AHEAD = 12  # tokens that are searched with them and decided with the next
BEFORE = 96  # frames heard before them
LEARNING_RATE, BETAS = 0.06, (0.8, 0.95)  # of Adam; the rate falls to zero in a straight line


@dataclass(frozen=True)
class Goal:
    """What a search makes small.

    Args:
        listener: frozen.
        true: features ``[1, F, 20]``.
        before: decoded features ``[1, N, 20]`` of the N first of these frames, already decided.
    """

    listener: Listener
    true: Tensor
    before: Tensor

    def states(self, features: Tensor) -> Tensor:
        """What the listener makes of features ``[1, F, 20]``."""
        states: Tensor = self.listener(features[:, : features.shape[1] // FRAMES_PER_STATE * FRAMES_PER_STATE])
        return states

    def distance(self, decoded: Tensor, wanted: Tensor) -> Tensor:
        """The goal, a scalar, of decoded features ``[1, F - N, 20]``; ``wanted`` are the states of the true ones."""
        made = torch.cat([self.before, decoded], 1)
        loss = feature_loss(made, self.true) + LISTENING * listening_loss(self.states(made), wanted)
        if made.shape[1] >= SEGMENT:
            loss = loss + ENVELOPE * envelope_loss(made, self.true)
        return loss.sum()


class BitSearch:
    """One stream of features to bits, searched.

    Args:
        model: the hash codec, in evaluation mode.
        listener: frozen, see :func:`aether_lite.listener.load_listener`.
        rate: bit/s, one of 300, 600, 1200, 2400.
        steps: of the search, 0 or more; each takes about as long as it takes to hear the speech once.

    Raises:
        AetherError: an unknown rate.
    """

    def __init__(self, model: SpiHash, listener: Listener, rate: int, steps: int = STEPS) -> None:
        self._model, self._listener = model, listener
        self._rate, self._steps = checked_bit_rate(rate), steps
        self._frames = model.config.token_frames
        self._bits = int(bits_per_token(rate, self._frames))
        self.none = torch.zeros(1, 0, self._bits)  # the bits of no token
        self.reset()

    def reset(self) -> None:
        """Forget all features: the next are the first of a new stream."""
        self._waiting = torch.zeros(1, 0, NUM_FREE)  # true features of tokens that are not decided
        self._latents = self.none  # and what the encoder makes of them
        self._undecoded = torch.zeros(1, 0, NUM_FREE)  # true features of tokens that are decided, and not yet decoded
        self._before = (torch.zeros(1, 0, NUM_FREE), torch.zeros(1, 0, NUM_FREE))  # decoded and true
        self._encoder: State | None = None
        self._decoder: State | None = None

    @torch.inference_mode(False)
    def push(self, features: Tensor) -> Tensor:
        """Take features ``[1, F, 20]`` of whole tokens; returns bits ``[1, K, n]`` of those that are now decided."""
        # token by token, as HashCodec.encode_features, so that a stream starts where the whole does
        for token in torch.split(features.clone(), self._frames, dim=1):
            latents, self._encoder = self._model.latents(token, None, self._encoder)
            scaled = on_sphere(latents.float())[..., : self._bits]
            self._waiting = torch.cat([self._waiting, token], 1)
            self._latents = torch.cat([self._latents, scaled], 1)
        decided = [self.none]
        while self._latents.shape[1] >= WINDOW + AHEAD:
            decided.append(self._window())
        return torch.cat(decided, 1)

    @torch.inference_mode(False)
    def flush(self) -> Tensor:
        """Bits ``[1, K, n]`` of the tokens that are left; the stream ends."""
        bits = self.none
        if self._latents.shape[1]:
            bits = self._found(torch.cat([self._undecoded, self._waiting], 1), self._latents, end=True)
        self.reset()
        return bits

    def _window(self) -> Tensor:
        """Search the tokens of a window and those behind it, and decide the window."""
        late = self._model.config.lookahead * self._frames
        true = torch.cat([self._undecoded, self._waiting[:, : (WINDOW + AHEAD) * self._frames]], 1)
        bits = self._found(true[:, : true.shape[1] - late], self._latents[:, : WINDOW + AHEAD], end=False)[:, :WINDOW]
        with torch.no_grad():
            decoded, self._decoder = self._decoded(bits, end=False)
        before, true_before = self._before
        made = torch.cat([before, decoded], 1)
        known = torch.cat([true_before, true], 1)[:, : made.shape[1]]
        self._before = (made[:, -BEFORE:], known[:, -BEFORE:])
        self._undecoded = true[:, decoded.shape[1] : decoded.shape[1] + late]
        self._waiting = self._waiting[:, WINDOW * self._frames :]
        self._latents = self._latents[:, WINDOW:]
        return bits

    @torch.enable_grad()
    def _found(self, true: Tensor, latents: Tensor, end: bool) -> Tensor:
        """The best bits for features ``[1, F, 20]`` among those that a search from latents ``[1, K, n]`` sees."""
        before, true_before = self._before
        goal = Goal(self._listener, torch.cat([true_before, true], 1), before)
        with torch.no_grad():
            wanted = goal.states(goal.true)
        moved = latents.clone().requires_grad_(True)
        adam = torch.optim.Adam([moved], lr=LEARNING_RATE, betas=BETAS)
        least, best = float("inf"), signs(latents)
        for step in range(self._steps + 1):
            bits = signs(moved)
            smooth = torch.tanh(moved)
            distance = goal.distance(self._decoded(bits + (smooth - smooth.detach()), end)[0], wanted)
            if (value := float(distance.detach())) < least:
                least, best = value, bits
            if step == self._steps:
                break
            (moved.grad,) = torch.autograd.grad(distance, moved)
            adam.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / self._steps)
            adam.step()
            with torch.no_grad():
                moved.clamp_(-1, 1)
        return best

    def _decoded(self, bits: Tensor, end: bool) -> tuple[Tensor, State]:
        """Features that bits ``[1, K, n]`` add, and the decoder's state after them; ``end``: and none follow."""
        erased = torch.zeros(bits.shape[:2], dtype=torch.bool)
        received = ReceivedBits(bits, self._rate, erased, self._frames)
        ahead = self._model.config.lookahead
        received = ended(received, ahead) if end else received
        image, _, state = self._model.decoded(*self._model.jscc_decoder.inputs(received), self._decoder)
        first = ahead * self._frames if self._decoder is None else 0
        return self._model.image.to_features(image)[:, first:], state
