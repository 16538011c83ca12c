"""Streaming encoder: samples in as they arrive, symbols or bits out, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.channels.channel import SNR_RANGE_DB, checked_number
from aether_lite.codec import Backend, Codec
from aether_lite.errors import AetherError, warn_renamed
from aether_lite.features import FRAME, NUM_FREE, ROW_LOOKAHEAD_SAMPLES, Conditioner, StreamingExtractor
from aether_lite.features.analysis import STATE_SHAPES
from aether_lite.features.layout import Float32
from aether_lite.features.samples import as_speech, own_precision
from aether_lite.payload import Bits, Symbols, elements_per_token, joined_tokens
from aether_lite.spi import State
from aether_lite.streaming.snapshot import LARGEST, LARGEST_SAMPLE, Snapshot, entry, flattened, present, rebuilt

LOOKAHEAD = ROW_LOOKAHEAD_SAMPLES - FRAME  # samples beyond a token's own that its last row needs
UNKNOWN = float("nan")  # target SNR of an encoder for any channel, in a snapshot


class Encoder:
    """One stream from samples to symbols, or to the bits of a hash codec.

    Tokens are encoded one by one, so the result does not depend on how the samples are cut. Token ``k`` of
    ``F = codec.token_frames`` frames is ready when sample ``160 F (k + 1) + 160`` has come. All symbols together equal
    ``codec.encode`` of all samples at once within rounding (1e-5), and all bits are the same. Memory is constant.

    Args:
        codec: gives the weights; several streams may share one.
        rate: one of the codec's [uses/s or bit/s], None for its default; see :attr:`rate`.
        target_snr_db: Es/N0 that symbols are designed for [dB]; None for any channel.
        backend: computes the networks; None for the codec's ``stream_backend``, and for bits, where another order of
            sums would round some to other bits, for the layers of its model.
        refine: steps of refinement (:mod:`aether_lite.codec.refinement`) of bits; 0 for none. They then come in windows
            of 8 s, too late for a conversation, at a fixed rate, and without a state to store.
        condition: remove DC and rumble first (:class:`~aether_lite.features.Conditioner`).

    Raises:
        AetherError: a rate or SNR out of range, or refinement without the recogniser.

    Example:
        >>> import aether_lite
        >>> encoder = aether_lite.streaming.Encoder(aether_lite.load(), rate=300)
        >>> encoder.push(np.zeros(1500, np.float32))
        Symbols([1, 2, 12], 300 uses/s, token_frames=4)
    """

    @own_precision
    def __init__(
        self,
        codec: Codec,
        rate: int | None = None,
        target_snr_db: float | None = None,
        *,
        backend: Backend | None = None,
        refine: int = 0,
        condition: bool = True,
        steps: Backend | None = None,
    ) -> None:
        if steps is not None:
            warn_renamed("steps", "backend")
        self._codec, self._model, self._frames = codec, codec.model, codec.token_frames
        self._of_bits, self._condition = codec.unit == Bits.unit, condition
        given = steps if backend is None else backend
        self._backend: Backend = given or (codec.model if self._of_bits else codec.stream_backend)
        self._refinement: Any = None
        self._rate = codec.checked_rate(rate)
        self.target_snr_db = target_snr_db
        if refine:
            if not self._of_bits:
                raise AetherError("refinement of a stream is for bits; codec.encode refines the symbols of a clip")
            self._refinement = codec.refinement(self._rate, None, refine)
        self.reset()

    @property
    def rate(self) -> int:
        """Rate [uses/s or bit/s] of the tokens that become ready from now on; may be set at any time."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        if self._refinement is not None:
            raise AetherError("the rate of a refined stream is fixed")
        self._rate = self._codec.checked_rate(rate)

    @property
    def target_snr_db(self) -> float | None:
        """Es/N0 [dB] that symbols from now on are designed for, None for any channel; may be set at any time."""
        return self._target_snr_db

    @target_snr_db.setter
    def target_snr_db(self, snr_db: float | None) -> None:
        if snr_db is not None and self._of_bits:
            raise AetherError("bits are the same for every channel: a hash codec takes no target_snr_db")
        self._target_snr_db = None if snr_db is None else checked_number("target_snr_db", snr_db, *SNR_RANGE_DB)

    def reset(self) -> None:
        """Forget all samples: the next one is the first of a new stream. Rate and target SNR stay."""
        self._speech = TokenFeatures(self._frames, self._condition)
        self._memory: State | None = None
        if self._refinement is not None:
            self._refinement.reset()

    @own_precision
    def push(self, samples: ArrayLike | Tensor) -> Any:
        """Take samples, return the :class:`Symbols` or :class:`Bits` of the tokens that are now complete.

        Args:
            samples: ``[n]`` at 16 kHz, float in [-1, 1] or int16; n may be 0.

        Returns:
            ``[1, K, n]``, K >= 0: complex64 of mean power 1 over speech, or float32 of +1 and -1.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        return self._encoded(self._speech.push(samples))

    @own_precision
    def flush(self) -> Any:
        """End the stream: the last tokens, the speech filled up with silence to a whole one; then :meth:`reset`."""
        payload = self._encoded(self._speech.flush(), end=True)
        self.reset()
        return payload

    def state_dict(self) -> Snapshot:
        """Everything the next symbols or bits depend on, rate, target SNR and conditioning included.

        Raises:
            AetherError: the stream is refined.
        """
        if self._refinement is not None:
            raise AetherError("a refined stream has no state to store")
        return {
            **self._speech.state_dict(),
            **flattened("rate", self._rate),
            **flattened("target_snr_db", UNKNOWN if self._target_snr_db is None else self._target_snr_db),
            **flattened("encoder", self._memory),
        }

    @own_precision
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not an encoder's state, or that of a codec of another size; nothing is changed then.
        """
        speech = TokenFeatures.restored(self._frames, state)
        rate, target = self._codec.checked_rate(int(entry("rate", state, ()))), UNKNOWN
        if present("target_snr_db", state):
            target = float(entry("target_snr_db", state, (), lost=True))
        target_snr_db = None if np.isnan(target) else checked_number("target_snr_db", target, *SNR_RANGE_DB)
        memory: State | None = None
        if present("encoder", state):
            _, template = self._model.encode(torch.zeros(1, self._frames, NUM_FREE), rate)
            memory = rebuilt("encoder", template, state)
        self._rate, self._target_snr_db, self._speech, self._memory = rate, target_snr_db, speech, memory
        self._condition = speech.conditioned

    def _encoded(self, tokens: list[Tensor], end: bool = False) -> Symbols | Bits:
        """Payload of the features ``[1, frames, 20]`` of tokens."""
        nothing = _no_tokens(self._of_bits, self._rate, self._frames)
        if self._refinement is not None:
            values = [self._refinement.push(features) for features in tokens]
            values += [self._refinement.flush()] if end else []
            return Bits(torch.cat([nothing.values, *values], dim=1), self._rate, self._frames)
        pieces = []
        for features in tokens:
            sent, self._memory = self._model.encode(
                features, self._rate, self._target_snr_db, self._memory, self._backend
            )
            pieces.append(sent)
        return joined_tokens(pieces) if pieces else nothing


class TokenFeatures:
    """Features of one stream of samples, a token of ``frames`` frames at a time, however the samples are cut."""

    def __init__(self, frames: int, condition: bool = True) -> None:
        self._frames = frames
        self._conditioner = Conditioner() if condition else None
        self._extractor = StreamingExtractor()
        self._waiting = np.zeros(0)
        self._started = False  # the extractor is LOOKAHEAD samples into the next token once a token is out

    def push(self, samples: ArrayLike | Tensor) -> list[Tensor]:
        """Features ``[1, frames, 20] float32`` of every token that samples ``[n]``, [-1, 1] or int16, complete."""
        given = as_speech(samples) if self._conditioner is None else self._conditioner.push(samples)
        joined = np.concatenate([self._waiting, given])
        tokens, start = [], 0
        while len(joined) - start >= (needed := self._frames * FRAME + (0 if self._started else LOOKAHEAD)):
            tokens.append(_free_columns(self._extractor.push(joined[start : start + needed])))
            start, self._started = start + needed, True
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
            **flattened("conditioner", None if self._conditioner is None else self._conditioner.state()),
            **flattened("features", self._extractor.state()),
            **flattened("waiting", self._waiting),
            **flattened("started", self._started),
        }

    @classmethod
    def restored(cls, frames: int, state: Mapping[str, Tensor]) -> TokenFeatures:
        """The object that gave ``state``; AetherError where that is not such a state."""
        arrays = {
            name: entry(f"features.{name}", state, shape, largest=LARGEST_SAMPLE).numpy()
            for name, shape in STATE_SHAPES.items()
        }
        speech = cls(frames, present("conditioner", state))
        if speech._conditioner is not None:
            parts = Conditioner.shapes.items()
            own = {name: entry(f"conditioner.{name}", state, shape, largest=LARGEST).numpy() for name, shape in parts}
            speech._conditioner.load(own)
        speech._extractor.load(arrays)
        speech._waiting = entry("waiting", state, (None,), largest=LARGEST).numpy()
        speech._started = bool(entry("started", state, ()))
        return speech

    @property
    def conditioned(self) -> bool:
        """Whether DC and rumble are removed."""
        return self._conditioner is not None


def _free_columns(rows: Float32) -> Tensor:
    return torch.from_numpy(rows[None, :, :NUM_FREE].copy())


@cache
def _no_tokens(of_bits: bool, rate: int, token_frames: int) -> Symbols | Bits:
    """No token at a rate: what most pushes of short blocks return."""
    shape = (1, 0, elements_per_token(rate, token_frames))
    if of_bits:
        return Bits(torch.zeros(shape), rate, token_frames)
    return Symbols(torch.zeros(shape, dtype=torch.complex64), rate, token_frames)
