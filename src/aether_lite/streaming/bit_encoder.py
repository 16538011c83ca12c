"""Speech as it arrives to bits, token by token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.codec import HashCodec
from aether_lite.codec.hash_codec import DEFAULT_RATE
from aether_lite.features import NUM_FREE
from aether_lite.hash import checked_bit_rate
from aether_lite.payload import Bits, elements_per_token
from aether_lite.spi import State
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.streaming.token_features import TokenFeatures


class BitEncoder:
    """One stream from samples to bits: :class:`~aether_lite.streaming.Encoder` for a hash codec.

    Tokens are ready at the same samples. All bits together are those of ``codec.encode`` of all samples at once, which
    is why the networks are the model's own layers here: other sums would round to other bits now and then.

    Args:
        codec: gives the weights; several streams may share one.
        rate: bit/s, one of 300, 600, 1200, 2400; see :attr:`rate`.
        condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.

    Raises:
        AetherError: an unknown rate.
    """

    def __init__(self, codec: HashCodec, rate: int = DEFAULT_RATE, *, condition: bool = True) -> None:
        self._model = codec.model
        self._frames, self._condition = codec.token_frames, condition
        self.rate = rate
        self.reset()

    @property
    def rate(self) -> int:
        """Bit/s of the tokens that become ready from now on; may be set at any time."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        self._rate = checked_bit_rate(rate)

    def reset(self) -> None:
        """Forget all samples: the next one is the first of a new stream. The rate stays."""
        self._speech = TokenFeatures(self._frames, self._condition)
        self._memory: State | None = None

    def push(self, samples: ArrayLike | Tensor) -> Bits:
        """Take samples, return the bits of the tokens that are now complete.

        Args:
            samples: ``[n]`` at 16 kHz, float in [-1, 1] or int16; n may be 0.

        Returns:
            ``[1, K, bits per token] float32``, +1 and -1, K >= 0.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        return self._bits(self._speech.push(samples))

    def flush(self) -> Bits:
        """End the stream: the last tokens, the speech filled up with silence to a whole one; then :meth:`reset`."""
        bits = self._bits(self._speech.flush())
        self.reset()
        return bits

    def state_dict(self) -> Snapshot:
        """Everything the next bits depend on, rate and conditioning included."""
        return {
            **self._speech.state_dict(),
            **flattened("rate", self._rate),
            **flattened("encoder", self._memory),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not such a state, or that of a codec of another size; nothing is changed then.
        """
        speech = TokenFeatures.restored(self._frames, state)
        rate = checked_bit_rate(int(entry("rate", state, ())))
        memory: State | None = None
        if present("encoder", state):
            _, template = self._model.encode(torch.zeros(1, self._frames, NUM_FREE), rate)
            memory = rebuilt("encoder", template, state)
        self._rate, self._speech, self._memory = rate, speech, memory
        self._condition = speech.conditioned

    def _bits(self, tokens: list[Tensor]) -> Bits:
        """Bits of the features ``[1, frames, 20]`` of tokens."""
        values = [torch.zeros(1, 0, elements_per_token(self._rate, self._frames))]
        for features in tokens:
            bits, self._memory = self._model.encode(features, self._rate, self._memory)
            values.append(bits.values)
        return Bits(torch.cat(values, dim=1), self._rate, self._frames)
