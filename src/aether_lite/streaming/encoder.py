"""Streaming encoder: samples in as they arrive, symbols or bits out, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.codec.base import check_codec
from aether_lite.core import library
from aether_lite.core.files import vocoder_model
from aether_lite.errors import AetherError
from aether_lite.features import FRAME, NUM_FREE, Conditioner
from aether_lite.features.layout import Float32
from aether_lite.features.samples import as_speech
from aether_lite.payload import Bits, elements_per_token
from aether_lite.streaming.snapshot import Snapshot, number, saved_core

if TYPE_CHECKING:
    from torch import Tensor

    from aether_lite.link import AnyCodec

UNKNOWN = float("nan")  # target SNR of an encoder for any channel, in a snapshot


class Encoder:
    """One stream from samples to symbols, or to the bits of a hash codec, in the native core.

    Tokens are encoded one by one, so the result does not depend on how the samples are cut. Token ``k`` of
    ``F = codec.token_frames`` frames is ready when sample ``160 F (k + 1) + 160`` has come. All symbols together equal
    ``codec.encode`` of all samples at once within rounding. Memory is constant. What comes out is of the codec's kind:
    tensors of torch, or arrays.

    Args:
        codec: gives the weights as they are now; several streams may share one.
        rate: one of the codec's [uses/s or bit/s], None for its default; see :attr:`rate`.
        target_snr_db: Es/N0 that symbols are designed for [dB]; None for any channel.
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

    def __init__(
        self,
        codec: AnyCodec,
        rate: int | None = None,
        target_snr_db: float | None = None,
        *,
        refine: int = 0,
        condition: bool = True,
    ) -> None:
        check_codec(codec)
        self._codec, self._frames, self._of_bits = codec, codec.token_frames, codec.unit == Bits.unit
        self._condition = condition
        self._refinement: Any = None
        self._rate = codec.checked_rate(rate)
        self._target_snr_db = self._checked_target(target_snr_db)
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
        self._core.rate = self._rate

    @property
    def target_snr_db(self) -> float | None:
        """Es/N0 [dB] that symbols from now on are designed for, None for any channel; may be set at any time."""
        return self._target_snr_db

    @target_snr_db.setter
    def target_snr_db(self, snr_db: float | None) -> None:
        self._target_snr_db = self._checked_target(snr_db)
        self._core.set_target(self._target_snr_db)

    def reset(self) -> None:
        """Forget all samples: the next one is the first of a new stream. Rate and target SNR stay."""
        if self._refinement is not None:
            self._speech = TokenFeatures(self._frames, self._condition)
            self._refinement.reset()
            return
        self._core = library.Encoder(self._codec.core, self._condition)
        self._core.rate = self._rate
        self._core.set_target(self._target_snr_db)

    def push(self, samples: ArrayLike | Tensor) -> Any:
        """Take samples, return the :class:`Symbols` or :class:`Bits` of the tokens that are now complete.

        Args:
            samples: ``[n]`` at 16 kHz, float in [-1, 1] or int16; n may be 0.

        Returns:
            ``[1, K, n]``, K >= 0: complex64 of mean power 1 over speech, or float32 of +1 and -1.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        given = as_speech(samples)
        if self._refinement is not None:
            return self._refined(self._speech.push(given))
        return self._codec.payload(self._core.push(given)[None], self._rate)

    def flush(self) -> Any:
        """End the stream: the last tokens, the speech filled up with silence to a whole one; then :meth:`reset`."""
        if self._refinement is not None:
            payload = self._refined(self._speech.flush(), end=True)
            self.reset()
            return payload
        return self._codec.payload(self._core.flush()[None], self._rate)

    def state_dict(self) -> Snapshot:
        """Everything the next symbols or bits depend on, rate, target SNR and conditioning included.

        Raises:
            AetherError: the stream is refined.
        """
        if self._refinement is not None:
            raise AetherError("a refined stream has no state to store")
        target = UNKNOWN if self._target_snr_db is None else self._target_snr_db
        state = {"encoder": np.frombuffer(self._core.save(), np.uint8), "rate": np.array(self._rate),
                 "target_snr_db": np.array(target)}  # fmt: skip
        return {name: self._codec.given(value) for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not an encoder's state, or that of another codec; nothing is changed then.
        """
        rate, target = self._codec.checked_rate(number("rate", state)), number("target_snr_db", state)
        target_snr_db = self._checked_target(None if np.isnan(target) else target)
        self._core.load(saved_core("encoder", state))
        self._rate, self._target_snr_db = rate, target_snr_db
        self._core.rate = rate
        self._core.set_target(target_snr_db)

    def _checked_target(self, snr_db: float | None) -> float | None:
        if snr_db is None:
            return None
        if self._of_bits:
            raise AetherError("bits are the same for every channel: a hash codec takes no target_snr_db")
        return self._codec.checked_target(snr_db)

    def _refined(self, tokens: list[Float32], end: bool = False) -> Bits:
        """Bits of the features ``[1, frames, 20]`` of tokens."""
        none = np.zeros((1, 0, elements_per_token(self._rate, self._frames)), np.float32)
        import torch

        values = [self._refinement.push(torch.from_numpy(features.copy())) for features in tokens]
        values += [self._refinement.flush()] if end else []
        bits = np.concatenate([none, *(value.numpy(force=True) for value in values)], axis=1)
        return self._codec.payload(bits, self._rate)  # type: ignore[no-any-return]


class TokenFeatures:
    """Features of one stream of samples, a token of ``frames`` frames at a time, however the samples are cut.

    Together they are the rows of ``codec.features`` to the bit.
    """

    def __init__(self, frames: int, condition: bool = True) -> None:
        self._frames = frames
        self._conditioner = Conditioner() if condition else None
        self._extractor = library.Features(vocoder_model())
        self._waiting = np.zeros((0, NUM_FREE), np.float32)  # rows of a token that is not whole
        self._samples = 0

    def push(self, samples: ArrayLike | Tensor) -> list[Float32]:
        """Features ``[1, frames, 20] float32`` of every token that samples ``[n]``, [-1, 1] or int16, complete."""
        given = as_speech(samples) if self._conditioner is None else self._conditioner.push(samples)
        self._samples += len(given)
        return self._tokens(self._extractor.push(given))

    def flush(self) -> list[Float32]:
        """The last tokens, the speech filled up with silence to a whole one. The object is of no use after it."""
        silence = np.zeros(-self._samples % (self._frames * FRAME), np.float32)
        return self._tokens(np.concatenate([self._extractor.push(silence), self._extractor.flush()]))

    def _tokens(self, rows: Float32) -> list[Float32]:
        joined = np.concatenate([self._waiting, rows[:, :NUM_FREE]])
        whole = len(joined) // self._frames * self._frames
        self._waiting = joined[whole:]
        return [joined[None, start : start + self._frames] for start in range(0, whole, self._frames)]
