"""Streaming decoder: received symbols or soft bits in as they arrive, samples out, token by token.

Muting is decided causally for every token, in the native core (``core/src/muting.c`` has the test in full). The decoder
bridges a few lost tokens; in a longer run of them, and while received power says that nobody sends, speech is faded out
within 20 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.codec.base import check_codec
from aether_lite.core import library
from aether_lite.core.codec import received_tokens
from aether_lite.errors import AetherError, is_integer
from aether_lite.features.layout import NUM_FREE
from aether_lite.features.samples import numbers
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, elements_per_token
from aether_lite.streaming.snapshot import Snapshot, entry, number, saved_core

if TYPE_CHECKING:
    from torch import Tensor

    from aether_lite.link import AnyCodec

NAN = float("nan")
ABSURD = 1e30  # a noise variance that erases its tokens


@dataclass(frozen=True)
class DecodedSpeech:
    """What a push makes known, in tensors or arrays as the codec has them.

    Attributes:
        samples: ``[m] float32`` speech in [-1, 1] at 16 kHz.
        features: ``[F, 20] float32`` decoded features of K tokens (concealed ones included).
        muted: ``[K] bool``: tokens that are muted.
    """

    samples: Any
    features: Any
    muted: Any


class Decoder:
    """One stream from received symbols, or from soft bits of a hash codec, to samples, in the native core.

    A token of a codec without look-ahead gives its samples at once: the first all of its own but the vocoder's delay
    (240), each later one as many as its own, and :meth:`flush` the last 240. Where the decoder looks a token ahead,
    each gives those of the token before, and :meth:`flush` the last token's. Samples line up with the speech sent.
    Features equal ``codec.decode_features`` of everything at once within rounding (1e-5). Memory is constant. A lost
    token is concealed by the decoder; after a long gap (0.4 s), and where symbols are noise only, the output is muted.

    Args:
        codec: gives the weights as they are now, and the vocoder; several streams may share one.
        rate: of :meth:`push_symbols`, :meth:`push_bits` and :meth:`lose` [uses/s or bit/s], None for the codec's
            default; see :attr:`rate`.
        mute: False for whatever the decoder makes of gaps and noise.

    Raises:
        AetherError: an unknown rate.

    Example:
        >>> import aether_lite
        >>> codec = aether_lite.load()
        >>> sent = aether_lite.streaming.Encoder(codec).push(np.zeros(16000))
        >>> received = aether_lite.channels.awgn(sent, snr_db=10, seed=0)
        >>> decoder = aether_lite.streaming.Decoder(codec)
        >>> samples = len(decoder.push(received).samples) + len(decoder.flush().samples)
        >>> samples == sent.values.shape[1] * codec.token_frames * 160
        True
    """

    def __init__(self, codec: AnyCodec, rate: int | None = None, *, mute: bool = True) -> None:
        check_codec(codec)
        self._codec, self._frames, self._mute = codec, codec.token_frames, mute
        self._of_bits = codec.unit == Bits.unit
        self._rate = codec.checked_rate(rate)
        self.reset()

    @property
    def rate(self) -> int:
        """Rate [uses/s or bit/s] of the tokens that come; may be set between two tokens."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        if self._codec.checked_rate(rate) != self._rate and len(self._waiting):
            raise AetherError(f"rate {rate}: {self._count()} of a token at {self._rate} are waiting")
        self._rate = self._core.rate = rate

    @property
    def muted(self) -> bool:
        """Whether the newest token was muted."""
        return self._core.muted

    def reset(self) -> None:
        """Forget everything: the next token is the first of a new stream. The rate stays."""
        self._waiting: Any = np.zeros(0, np.float32) if self._of_bits else np.zeros((0, 3), np.complex64)
        self._core = library.Decoder(self._codec.core, self._mute)
        self._core.rate = self._rate

    def push(self, received: Received | ReceivedBits) -> DecodedSpeech:
        """Take whole tokens, with the rate and the channel state that belong to them.

        Args:
            received: ``[1, K, n]``, K >= 0; its rate becomes the stream's :attr:`rate`.

        Raises:
            AetherError: more than one stream, tokens of another length or payload, or part of a token is waiting.
        """
        self._codec.check_received(received)
        if received.values.shape[0] != 1 or received.token_frames != self._frames:
            raise AetherError(
                f"a stream takes [1, K, n] in tokens of {self._frames} frames, "
                f"not {list(received.values.shape)} in tokens of {received.token_frames}"
            )
        if len(self._waiting):
            raise AetherError(f"{self._count()} of a token are waiting; push the rest of it first")
        self.rate = int(received.rates[0])
        pieces = [(*self._core.push(*token), self._core.muted) for token in received_tokens(received.arrays())]
        return self._joined(pieces)

    def push_symbols(
        self, values: ArrayLike | Tensor, noise_variance: float | None = None, gain: ArrayLike | Tensor | None = None
    ) -> DecodedSpeech:
        """Take any number of symbols of :attr:`rate`; a token with a NaN or another absurd value in it is lost.

        Args:
            values: ``[m] complex64``, in sending order from the first symbol of a token on; m may be 0.
            noise_variance: the receiver's estimate of N0, in the units of ``|values|^2``; None if unknown. A token gets
                the greatest that came with its symbols.
            gain: ``[m] complex64``, the receiver's estimate of each symbol's gain; None if unknown: it is then 1 if a
                noise variance is given, else a constant that the power of the symbols tells.

        Raises:
            AetherError: a codec of bits, another shape, or no numbers.
        """
        known = NAN if noise_variance is None else _array(noise_variance, "noise_variance", np.float64)
        if np.size(known) != 1:
            raise AetherError(f"noise_variance must be one number, not {list(np.shape(known))}")
        known = max(min(float(np.reshape(known, ())), ABSURD), -ABSURD)  # NaN stays NaN
        symbols = _array(values, "symbols", np.complex64)
        gains = None if gain is None else _array(gain, "gain", np.complex64)
        if symbols.ndim != 1 or (gains is not None and gains.shape != symbols.shape):
            shapes = f"{list(symbols.shape)}" + ("" if gains is None else f" and {list(gains.shape)}")
            raise AetherError(f"symbols, and gains if there are any, must be one row [m], not {shapes}")
        if gains is None:
            gains = np.full_like(symbols, NAN if noise_variance is None else 1.0)
        return self._push_elements(np.stack((symbols, gains, np.full_like(symbols, known)), axis=1))

    def push_bits(self, soft: ArrayLike | Tensor) -> DecodedSpeech:
        """Take any number of soft bits of :attr:`rate`; a token with a NaN, or one out of range, among them is lost.

        Args:
            soft: ``[m] float32`` in [-1, 1], in sending order from the first bit of a token on; m may be 0.

        Raises:
            AetherError: a codec of symbols, another shape, or no numbers.
        """
        bits = _array(soft, "soft bits", np.float32)
        if bits.ndim != 1:
            raise AetherError(f"soft bits must be one row [m], not {list(bits.shape)}")
        return self._push_elements(bits)

    def lose(self, tokens: int = 1) -> DecodedSpeech:
        """Mark the next tokens (of :attr:`rate`) as lost; elements of a part token are dropped."""
        if not is_integer(tokens, 0, sys.maxsize):
            raise AetherError(f"tokens must be an integer, 0 or more, not {tokens!r}")
        n = elements_per_token(self._rate, self._frames)
        self._waiting = np.full_like(self._waiting, NAN, shape=(tokens * n, *self._waiting.shape[1:]))
        return self._push_elements(self._waiting[:0])

    def flush(self) -> DecodedSpeech:
        """End the stream: the samples still to come, none if no token came; :meth:`reset`."""
        muted = self._core.muted
        done = self._joined([(*self._core.flush(), muted)])
        self.reset()
        return done

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on, the rate included."""
        waiting = self._waiting if self._of_bits else self._waiting.view(np.float32)
        state = {"decoder": np.frombuffer(self._core.save(), np.uint8), "waiting": waiting,
                 "rate": np.array(self._rate)}  # fmt: skip
        return {name: self._codec.given(np.array(value)) for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not a decoder's state, or that of another codec; nothing is changed then.
        """
        shape = (None,) if self._of_bits else (None, 6)
        waiting = np.array(entry("waiting", state, shape), np.float32, order="C")
        rate = self._codec.checked_rate(number("rate", state))
        if len(waiting) >= elements_per_token(rate, self._frames):
            raise AetherError(f"stream state: 'waiting' holds {len(waiting)} elements, a whole token; give another")
        self._core.load(saved_core("decoder", state))
        self._waiting = waiting if self._of_bits else waiting.view(np.complex64)
        self._rate = self._core.rate = rate

    def _push_elements(self, elements: Any) -> DecodedSpeech:
        """Elements in the form of the waiting ones."""
        if elements.shape[1:] != self._waiting.shape[1:]:
            raise AetherError("push_symbols is for codecs of symbols, push_bits for hash codecs")
        elements = np.where(np.isfinite(elements), elements, np.array(NAN, elements.dtype))  # what waits may be stored
        joined = np.concatenate((self._waiting, elements))
        n = elements_per_token(self._rate, self._frames)
        whole = len(joined) // n * n
        self._waiting = joined[:0]
        speech = self.push(self._received(joined[:whole].reshape(1, -1, n, *joined.shape[1:])))
        self._waiting = joined[whole:].copy()
        return speech

    def _received(self, elements: Any) -> Received | ReceivedBits:
        """Tokens of elements ``[1, K, n, ...]``."""
        erased: Any = np.zeros(elements.shape[:2], np.bool_)
        if self._of_bits:
            return ReceivedBits(elements, self._rate, erased, self._frames)
        noise: Any = elements[..., 2].real
        with np.errstate(invalid="ignore"):
            state = ChannelState(elements[..., 1], noise.max(-1, initial=-ABSURD), erased)
        return Received(elements[..., 0], self._rate, state, self._frames)

    def _joined(self, pieces: list[tuple[Any, Any, bool]]) -> DecodedSpeech:
        """Samples, rows and muting of tokens in a row."""
        samples = np.concatenate([np.zeros(0, np.float32), *(piece[0] for piece in pieces)])
        features = np.concatenate([np.zeros((0, NUM_FREE), np.float32), *(piece[1] for piece in pieces)])
        muted = np.array([piece[2] for piece in pieces if len(piece[1])], np.bool_)
        return DecodedSpeech(*map(self._codec.given, (samples, features, muted)))

    def _count(self) -> str:
        return f"{len(self._waiting)} {'bits' if self._of_bits else 'symbols'}"


def joined(pieces: list[DecodedSpeech]) -> DecodedSpeech:
    """Pieces in a row, at least one."""
    from aether_lite.payload import namespace

    xp = namespace(pieces[0].samples)
    return DecodedSpeech(*(xp.concatenate([getattr(p, n) for p in pieces]) for n in ("samples", "features", "muted")))


def _array(values: Any, name: str, dtype: Any) -> Any:
    """Values as an array of this type, infinite where they are beyond its range; AetherError where it cannot be."""
    given = numbers(values, name, real=dtype != np.complex64)
    with np.errstate(over="ignore"):
        return given.astype(dtype)
