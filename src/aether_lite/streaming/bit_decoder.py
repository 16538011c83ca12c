"""Soft bits as they arrive to speech, token by token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from aether_lite.codec import HashCodec, Steps
from aether_lite.codec.hash_codec import DEFAULT_RATE
from aether_lite.errors import AetherError
from aether_lite.hash import checked_bit_rate
from aether_lite.payload import FRAMES_PER_SECOND, ReceivedBits, elements_per_token
from aether_lite.spi import State
from aether_lite.streaming.muting import judged_bits
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.streaming.voice import Heard, Voice, joined
from aether_lite.vocoder import FrameVocoder


class BitDecoder:
    """One stream from soft bits to samples: :class:`~aether_lite.streaming.Decoder` for a hash codec.

    Samples come at the same tokens. Features equal ``codec.decode_features`` of everything at once within rounding
    (1e-5). A lost token is concealed by the decoder; after a long gap the output is muted. Nothing tells bits of noise
    from bits of speech, so noise that is not marked is heard.

    Args:
        codec: gives the weights; several streams may share one.
        rate: bit/s of :meth:`push_bits` and :meth:`lose`; see :attr:`rate`.
        vocoder: makes the sound; None for the codec's ``stream_vocoder``.
        mute: False to hear whatever the decoder makes of gaps.
        steps: computes the networks; None for the codec's ``stream_steps``.

    Raises:
        AetherError: an unknown rate.
    """

    def __init__(
        self,
        codec: HashCodec,
        rate: int = DEFAULT_RATE,
        *,
        vocoder: FrameVocoder | None = None,
        mute: bool = True,
        steps: Steps | None = None,
    ) -> None:
        self._model = codec.model
        self._steps = codec.stream_steps if steps is None else steps
        self._frames = codec.token_frames
        self._voice = Voice(codec.stream_vocoder if vocoder is None else vocoder, mute)
        self._rate = checked_bit_rate(rate)
        self.reset()

    @property
    def rate(self) -> int:
        """Bit/s of the tokens that come; may be set between two tokens."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        if checked_bit_rate(rate) != self._rate and len(self._waiting):
            raise AetherError(f"rate {rate} bit/s: {len(self._waiting)} bits of a token at {self._rate} are waiting")
        self._rate = rate

    @property
    def muted(self) -> bool:
        """Whether the newest token was muted."""
        return self._voice.muted

    def reset(self) -> None:
        """Forget everything: the next token is the first of a new stream. The rate stays."""
        self._waiting = torch.zeros(0)
        self._memory: State | None = None
        self._voice.reset()

    def push(self, received: ReceivedBits) -> Heard:
        """Take whole tokens, with the rate that belongs to them.

        Args:
            received: ``[1, K, n]``, K >= 0; becomes the stream's :attr:`rate`.

        Raises:
            AetherError: more than one stream, tokens of another length, soft bits out of range, or part of a token is
                waiting.
        """
        if received.values.shape[0] != 1 or received.token_frames != self._frames:
            raise AetherError(
                f"a stream takes [1, K, n] in tokens of {self._frames} frames, "
                f"not {list(received.values.shape)} in tokens of {received.token_frames}"
            )
        if len(self._waiting):
            raise AetherError(f"{len(self._waiting)} bits of a token are waiting; push the rest of it first")
        received.validate()
        self.rate = int(torch.as_tensor(received.rate).reshape(-1)[0])
        tokens = zip(received.values[0], received.erased[0].tolist(), strict=True)
        return joined([self._token(soft, erased) for soft, erased in tokens])

    def push_bits(self, soft: Tensor) -> Heard:
        """Take any number of soft bits of :attr:`rate`; a token with a NaN among its bits is lost.

        Args:
            soft: ``[m] float32`` in [-1, 1], in sending order from the first bit of a token on; m may be 0.

        Raises:
            AetherError: another shape, or a soft bit out of range.
        """
        if soft.ndim != 1 or bool((soft.abs() > 1).any()):
            shape = "" if soft.ndim == 1 else f", not {list(soft.shape)}"
            raise AetherError(f"soft bits must be one row [m] in -1..1, or NaN where they are lost{shape}")
        self._waiting = torch.cat((self._waiting, soft.float()))
        n = self._token_bits
        whole = len(self._waiting) // n * n
        tokens = self._waiting[:whole].reshape(-1, n)
        self._waiting = self._waiting[whole:].clone()
        lost = tokens.isnan().any(dim=1)
        tokens = tokens.masked_fill(lost[:, None], 0)
        return joined([self._token(*token) for token in zip(tokens, lost.tolist(), strict=True)])

    def lose(self, tokens: int = 1) -> Heard:
        """Mark the next tokens (of :attr:`rate`) as lost; bits of a part token are dropped."""
        self._waiting = self._waiting[:0]
        return joined([self._token(self._lost(), True) for _ in range(tokens)])

    def flush(self) -> Heard:
        """End the stream: the samples still to come (none if no token came); then :meth:`reset`.

        Bits of a part token are dropped.
        """
        self._waiting = self._waiting[:0]
        pieces = []
        if self._model.config.lookahead and self._memory is not None:
            pieces.append(self._voice.speak(self._rows(self._lost(), True), self._voice.muting))
        pieces.append(self._voice.flush())
        self.reset()
        return joined(pieces)

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on, the rate included."""
        return {
            **flattened("waiting", self._waiting),
            **flattened("rate", self._rate),
            **flattened("decoder", self._memory),
            **self._voice.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not such a state, or that of a codec of another size; nothing is changed then.
        """
        waiting, voice = entry("waiting", state, (None,)), self._voice.restored(state)
        rate = checked_bit_rate(int(entry("rate", state, ())))
        memory: State | None = None
        if present("decoder", state):
            _, template = self._model.decode(self._received(torch.zeros(self._bits_at(rate)), True, rate))
            memory = rebuilt("decoder", template, state)
        self._waiting, self._rate, self._memory, self._voice = waiting, rate, memory, voice

    @property
    def _token_bits(self) -> int:
        return self._bits_at(self._rate)

    def _bits_at(self, rate: int) -> int:
        return elements_per_token(rate, self._frames)

    def _received(self, soft: Tensor, erased: bool, rate: int) -> ReceivedBits:
        return ReceivedBits(soft[None, None], rate, torch.tensor([[erased]]), self._frames)

    def _lost(self) -> Tensor:
        return torch.zeros(self._token_bits)

    def _rows(self, soft: Tensor, erased: bool) -> Tensor:
        """Features ``[1, n, 20]`` that one more token makes known."""
        first = self._memory is None
        rows, self._memory = self._model.decode(self._received(soft, erased, self._rate), self._memory, self._steps)
        return rows[:, :0] if first and self._model.config.lookahead else rows

    def _token(self, soft: Tensor, erased: bool) -> Heard:
        rows = self._rows(soft, erased)
        muting = judged_bits(self._voice.muting, soft, erased, self._frames / FRAMES_PER_SECOND)
        return self._voice.speak(rows, muting)
