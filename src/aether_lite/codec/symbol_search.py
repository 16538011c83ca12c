"""Symbols of recorded speech found by search; see :mod:`aether_lite.codec.search`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.channels.randomness import seeded
from aether_lite.codec.model import ended
from aether_lite.codec.search import WindowSearch
from aether_lite.codec.symbol_model import SpiJscc
from aether_lite.errors import AetherError
from aether_lite.jscc import RATES
from aether_lite.losses.asr import Listener
from aether_lite.payload import Symbols, elements_per_token
from aether_lite.spi import State

STEPS = 100  # noise hides the way: 40 leave a tenth more of the goal (docs/experiments.md)
SEED = 0  # of the noise that a search hears, which is never that of the channel


class SymbolSearch(WindowSearch):
    """One stream of features to symbols for white noise of a known level.

    Every step hears new noise, so the last symbols count and not the best. They spend the power of the encoder's own:
    in every window, or in every token where that is the codec's constraint.

    Args:
        model: the codec, in evaluation mode.
        listener: frozen.
        rate: channel uses per second, one of 150, 300, 500, 600, 700, 1000, 1200.
        snr_db: Es/N0 [dB] that is searched for; the encoder is told it.
        steps: of the search.

    Raises:
        AetherError: an unknown rate, or a codec that cannot be told an SNR.
    """

    learning_rate: ClassVar[float] = 0.05
    betas: ClassVar[tuple[float, float]] = (0.6, 0.9)
    noisy: ClassVar[bool] = True
    every_block: ClassVar[bool] = True
    _model: SpiJscc

    def __init__(self, model: SpiJscc, listener: Listener, rate: int, snr_db: float, steps: int = STEPS) -> None:
        if rate not in RATES:
            raise AetherError(f"rate {rate} uses/s is not one of {', '.join(map(str, RATES))}")
        self._rate, self._snr_db = rate, snr_db
        self._noise = seeded(SEED, stream=4)
        uses = elements_per_token(rate, model.config.token_frames)
        super().__init__(model, listener, steps, torch.zeros(1, 0, uses, dtype=torch.complex64))

    def reset(self) -> None:
        """See :meth:`WindowSearch.reset`."""
        super().reset()
        self._noise = seeded(SEED, stream=4)

    def _proposed(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        symbols, new_state = self._model.encode(features, self._rate, self._snr_db, state)
        return symbols.values, new_state

    def _sent(self, moved: Tensor, proposals: Tensor) -> Tensor:
        over = (1, 2) if self._model.session else 2
        pieces = []
        for now, first in zip(*(torch.split(each, self._window, 1) for each in (moved, proposals)), strict=True):
            power, allowed = (each.abs().square().mean(over, keepdim=True) for each in (now, first))
            pieces.append(now * (allowed / power.clamp_min(torch.finfo(power.dtype).tiny)).sqrt())
        return torch.cat(pieces, 1)

    def _decoded(self, values: Tensor, end: bool) -> tuple[Tensor, State]:
        received = awgn(Symbols(values, self._rate, self._frames), self._snr_db, generator=self._noise)
        received = ended(received, self._model.config.lookahead) if end else received
        return self._heard(*self._model.jscc_decoder.inputs(received, self._model.power))
