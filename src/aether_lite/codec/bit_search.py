"""Bits of recorded speech found by search; see :mod:`aether_lite.codec.search`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from aether_lite.codec.bit_model import SpiHash
from aether_lite.codec.model import ended
from aether_lite.codec.search import WindowSearch
from aether_lite.hash import checked_bit_rate, signs
from aether_lite.hash.bottleneck import on_sphere
from aether_lite.losses.asr import Listener
from aether_lite.payload import ReceivedBits, elements_per_token
from aether_lite.spi import State

STEPS = 20  # 40 make the goal 1 % smaller (docs/experiments.md)


class BitSearch(WindowSearch):
    """One stream of features to bits; the channel is without errors, and the best bits seen are kept.

    What moves are the scaled latents of the encoder; their gradient goes straight through the thresholds.

    Args:
        model: the hash codec, in evaluation mode.
        listener: frozen.
        rate: bit/s, one of 300, 600, 1200, 2400.
        steps: of the search.

    Raises:
        AetherError: an unknown rate.
    """

    learning_rate: ClassVar[float] = 0.1
    betas: ClassVar[tuple[float, float]] = (0.8, 0.95)
    noisy: ClassVar[bool] = False
    every_block: ClassVar[bool] = False  # see docs/experiments.md
    _model: SpiHash

    def __init__(self, model: SpiHash, listener: Listener, rate: int, steps: int = STEPS) -> None:
        self._rate = checked_bit_rate(rate)
        self._bits = elements_per_token(rate, model.config.token_frames)
        super().__init__(model, listener, steps, torch.zeros(1, 0, self._bits))

    def _proposed(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        latents, new_state = self._model.latents(features, None, state)
        return on_sphere(latents.float())[..., : self._bits], new_state

    def _sent(self, moved: Tensor, proposals: Tensor) -> Tensor:
        smooth = torch.tanh(moved)
        return signs(moved) + (smooth - smooth.detach())

    def _decoded(self, values: Tensor, end: bool) -> tuple[Tensor, State]:
        erased = torch.zeros(values.shape[:2], dtype=torch.bool)
        received = ReceivedBits(values, self._rate, erased, self._frames)
        received = ended(received, self._model.config.lookahead) if end else received
        return self._heard(*self._model.jscc_decoder.inputs(received))
