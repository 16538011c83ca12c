"""Speech as it arrives to symbols, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
from aether_lite.codec import Codec, Steps
from aether_lite.errors import AetherError
from aether_lite.features import NUM_FREE
from aether_lite.jscc import RATES
from aether_lite.payload import Symbols, elements_per_token
from aether_lite.spi import State
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.streaming.token_features import TokenFeatures

BLIND = float("nan")  # target SNR of a transmitter that is told none


def checked_rate(rate: int) -> int:
    """``rate`` [uses/s] if the codec serves it; else a stated error."""
    if rate not in RATES:
        raise AetherError(f"rate {rate} uses/s is not one of {', '.join(map(str, RATES))}")
    return int(rate)


class Encoder:
    """One stream from samples to symbols.

    Tokens are encoded one by one, so that every way of cutting the samples gives the same bits. Token ``k`` is
    ready when sample ``1280 k + 1440`` has come (tokens of 80 ms). All symbols together equal ``codec.encode`` of
    all samples at once within rounding (1e-5). Memory is constant.

    Args:
        codec: gives the weights; several streams may share one.
        rate: channel uses per second, one of 150, 300, 500, 600, 700, 1000, 1200; see :attr:`rate`.
        target_snr_db: Es/N0 the link is designed for [dB]; None encodes for any channel.
        steps: computes the networks; None for the codec's ``stream_steps``.
        condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.

    Raises:
        AetherError: a rate or SNR out of range.

    Example:
        >>> import aether_lite
        >>> encoder = aether_lite.streaming.Encoder(aether_lite.load(), rate=300)
        >>> encoder.push(np.zeros(1500, np.float32)).values.shape
        torch.Size([1, 2, 12])
    """

    def __init__(
        self,
        codec: Codec,
        rate: int = 1000,
        target_snr_db: float | None = None,
        *,
        steps: Steps | None = None,
        condition: bool = True,
    ) -> None:
        self._model = codec.model
        self._steps = codec.stream_steps if steps is None else steps
        self._frames, self._condition = codec.token_frames, condition
        self.rate = rate
        self.target_snr_db = target_snr_db
        self.reset()

    @property
    def rate(self) -> int:
        """Channel uses per second of the tokens that become ready from now on; may be set at any time."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        self._rate = checked_rate(rate)

    @property
    def target_snr_db(self) -> float | None:
        """Es/N0 told to the encoder [dB] for the tokens that become ready from now on; may be set at any time."""
        return self._target_snr_db

    @target_snr_db.setter
    def target_snr_db(self, snr_db: float | None) -> None:
        self._target_snr_db = None if snr_db is None else checked_number("target_snr_db", snr_db, *SNR_RANGE_DB)

    def reset(self) -> None:
        """Forget all samples: the next one is the first of a new stream. Rate and target SNR stay."""
        self._speech = TokenFeatures(self._frames, self._condition)
        self._memory: State | None = None

    def push(self, samples: ArrayLike | Tensor) -> Symbols:
        """Take samples, return the symbols of the tokens that are now complete.

        Args:
            samples: ``[n]`` at 16 kHz, float in [-1, 1] or int16; n may be 0.

        Returns:
            ``[1, K, uses per token] complex64`` with K >= 0, mean power 1 over speech.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        return self._symbols(self._speech.push(samples))

    def flush(self) -> Symbols:
        """End the stream: the last tokens, the speech filled up with silence to a whole one; then :meth:`reset`."""
        symbols = self._symbols(self._speech.flush())
        self.reset()
        return symbols

    def state_dict(self) -> Snapshot:
        """Everything the next symbols depend on, rate, target SNR and conditioning included."""
        target = BLIND if self._target_snr_db is None else self._target_snr_db
        return {
            **self._speech.state_dict(),
            **flattened("rate", self._rate),
            **flattened("target_snr_db", target),
            **flattened("encoder", self._memory),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not an encoder's state, or that of a codec of another size; nothing is changed then.
        """
        speech = TokenFeatures.restored(self._frames, state)
        rate, told = checked_rate(int(entry("rate", state, ()))), float(entry("target_snr_db", state, ()))
        target = None if np.isnan(told) else checked_number("target_snr_db", told, *SNR_RANGE_DB)
        memory: State | None = None
        if present("encoder", state):
            _, template = self._model.encode(torch.zeros(1, self._frames, NUM_FREE), rate)
            memory = rebuilt("encoder", template, state)
        self._rate, self._target_snr_db, self._speech, self._memory = rate, target, speech, memory
        self._condition = speech.conditioned

    def _symbols(self, tokens: list[Tensor]) -> Symbols:
        """Symbols of the features ``[1, frames, 20]`` of tokens."""
        if not tokens:
            return _no_symbols(self._rate, self._frames)
        values = []
        for features in tokens:
            symbols, self._memory = self._model.encode(
                features, self._rate, self._target_snr_db, self._memory, self._steps
            )
            values.append(symbols.values)
        return Symbols(torch.cat(values, dim=1), self._rate, self._frames)


@cache
def _no_symbols(rate: int, token_frames: int) -> Symbols:
    """No token at a rate; what most pushes of short blocks return."""
    uses = elements_per_token(rate, token_frames)
    return Symbols(torch.zeros(1, 0, uses, dtype=torch.complex64), rate, token_frames)
