"""Streaming decoder: received symbols or soft bits in as they arrive, samples out, token by token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from aether_lite.codec import Backend, Codec
from aether_lite.errors import AetherError, warn_renamed
from aether_lite.features.samples import own_precision
from aether_lite.payload import FRAMES_PER_SECOND, Bits, ChannelState, Received, ReceivedBits, elements_per_token
from aether_lite.reception import accepted
from aether_lite.spi import State
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.streaming.synthesis import DecodedSpeech, Synthesis, joined, judged
from aether_lite.vocoder import FrameVocoder

NAN = float("nan")
ABSURD = 1e30  # a noise variance that erases its tokens
LOST_SYMBOL = torch.tensor([NAN, NAN, NAN], dtype=torch.complex64)  # symbol, gain, noise variance
LOST_BIT = torch.tensor(NAN, dtype=torch.float32)


class Decoder:
    """One stream from received symbols, or from soft bits of a hash codec, to samples.

    A token of a codec without look-ahead gives its samples at once: the first all of its own but 240, each later one
    as many as its own, and :meth:`flush` the last 240. Where the decoder looks a token ahead, each gives those of the
    token before, and :meth:`flush` the last token's. Samples line up with the speech sent. Features equal
    ``codec.decode_features`` of everything at once within rounding (1e-5). Memory is constant. A lost token is
    concealed by the decoder; after a long gap, and where symbols are noise only, the output is muted
    (:mod:`aether_lite.streaming.synthesis`).

    Args:
        codec: gives the weights; several streams may share one.
        rate: of :meth:`push_symbols`, :meth:`push_bits` and :meth:`lose` [uses/s or bit/s], None for the codec's
            default; see :attr:`rate`.
        vocoder: makes the samples; None for the codec's ``stream_vocoder``.
        backend: computes the networks; None for the codec's ``stream_backend``.
        mute: False for whatever the decoder makes of gaps and noise.

    Raises:
        AetherError: an unknown rate.

    Example:
        >>> import aether_lite
        >>> codec = aether_lite.load()
        >>> sent = aether_lite.streaming.Encoder(codec).push(torch.zeros(16000))
        >>> received = aether_lite.channels.awgn(sent, snr_db=10, seed=0)
        >>> decoder = aether_lite.streaming.Decoder(codec)
        >>> samples = len(decoder.push(received).samples) + len(decoder.flush().samples)
        >>> samples == sent.values.shape[1] * codec.token_frames * 160
        True
    """

    @own_precision
    def __init__(
        self,
        codec: Codec,
        rate: int | None = None,
        *,
        vocoder: FrameVocoder | None = None,
        backend: Backend | None = None,
        mute: bool = True,
        steps: Backend | None = None,
    ) -> None:
        if steps is not None:
            warn_renamed("steps", "backend")
        self._codec, self._model, self._frames = codec, codec.model, codec.token_frames
        self._lost_element = LOST_BIT if codec.unit == Bits.unit else LOST_SYMBOL
        given = steps if backend is None else backend
        self._backend: Backend = given or codec.stream_backend
        self._synthesis = Synthesis(codec.stream_vocoder if vocoder is None else vocoder, mute)
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
        self._rate = rate

    @property
    def muted(self) -> bool:
        """Whether the newest token was muted."""
        return self._synthesis.muted

    def reset(self) -> None:
        """Forget everything: the next token is the first of a new stream. The rate stays."""
        self._waiting = self._lost_element.expand(0, *self._lost_element.shape)  # elements of a part token
        self._levels: Tensor | None = None
        self._memory: State | None = None
        self._synthesis.reset()

    @own_precision
    def push(self, received: Received | ReceivedBits) -> DecodedSpeech:
        """Take whole tokens, with the rate and the channel state that belong to them.

        Args:
            received: ``[1, K, n]``, K >= 0; its rate becomes the stream's :attr:`rate`.

        Raises:
            AetherError: more than one stream, tokens of another length or payload, or part of a token is waiting.
        """
        self._model.check_received(received)
        if received.values.shape[0] != 1 or received.token_frames != self._frames:
            raise AetherError(
                f"a stream takes [1, K, n] in tokens of {self._frames} frames, "
                f"not {list(received.values.shape)} in tokens of {received.token_frames}"
            )
        if len(self._waiting):
            raise AetherError(f"{self._count()} of a token are waiting; push the rest of it first")
        received = received.tensors()
        self.rate = int(received.rates[0])
        return joined([self._token(received.tokens(slice(k, k + 1))) for k in range(received.values.shape[1])])

    @own_precision
    def push_symbols(
        self, values: Tensor, noise_variance: float | None = None, gain: Tensor | None = None
    ) -> DecodedSpeech:
        """Take any number of symbols of :attr:`rate`; a token with a NaN or another absurd value in it is lost.

        Args:
            values: ``[m] complex64``, in sending order from the first symbol of a token on; m may be 0.
            noise_variance: the receiver's estimate of N0, in the units of ``|values|^2``; None if unknown. A token gets
                the greatest that came with its symbols.
            gain: ``[m] complex64``, the receiver's estimate of each symbol's gain; None if unknown: it is then 1 if a
                noise variance is given, else a constant that the power of the symbols tells.

        Raises:
            AetherError: a codec of bits, or another shape.
        """
        known = NAN if noise_variance is None else max(min(float(noise_variance), ABSURD), -ABSURD)  # NaN stays NaN
        if values.ndim != 1 or (gain is not None and gain.shape != values.shape):
            shapes = f"{list(values.shape)}" + ("" if gain is None else f" and {list(gain.shape)}")
            raise AetherError(f"symbols, and gains if there are any, must be one row [m], not {shapes}")
        gains = torch.full_like(values, NAN if noise_variance is None else 1.0) if gain is None else gain
        return self._push_elements(
            torch.stack((values, gains, torch.full_like(values, known)), dim=1).to(torch.complex64)
        )

    @own_precision
    def push_bits(self, soft: Tensor) -> DecodedSpeech:
        """Take any number of soft bits of :attr:`rate`; a token with a NaN, or one out of range, among them is lost.

        Args:
            soft: ``[m] float32`` in [-1, 1], in sending order from the first bit of a token on; m may be 0.

        Raises:
            AetherError: a codec of symbols, or another shape.
        """
        if soft.ndim != 1:
            raise AetherError(f"soft bits must be one row [m], not {list(soft.shape)}")
        return self._push_elements(soft.float())

    @own_precision
    def lose(self, tokens: int = 1) -> DecodedSpeech:
        """Mark the next tokens (of :attr:`rate`) as lost; elements of a part token are dropped."""
        self._waiting = self._waiting[:0]
        return joined([self._token(self._lost(self._rate)) for _ in range(tokens)])

    @own_precision
    def flush(self) -> DecodedSpeech:
        """End the stream: the samples still to come, none if no token came; :meth:`reset`."""
        pieces = []
        if self._model.config.lookahead and self._memory is not None:
            rows = self._features(accepted(self._lost(self._rate))[0])
            pieces.append(self._synthesis.samples_of(rows, self._synthesis.muting))
        pieces.append(self._synthesis.flush())
        self.reset()
        return joined(pieces)

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on, the rate included."""
        waiting = torch.view_as_real(self._waiting) if self._waiting.is_complex() else self._waiting
        return {
            **flattened("waiting", waiting),
            **flattened("rate", self._rate),
            **flattened("levels", self._levels),
            **flattened("decoder", self._memory),
            **self._synthesis.state_dict(),
        }

    @own_precision
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not a decoder's state, or that of a codec of another size; nothing is changed then.
        """
        if self._waiting.is_complex():
            waiting = torch.view_as_complex(entry("waiting", state, (None, 3, 2), lost=True))
        else:
            waiting = entry("waiting", state, (None,), lost=True)
        rate, synthesis = self._codec.checked_rate(int(entry("rate", state, ()))), self._synthesis.restored(state)
        levels: Tensor | None = None
        memory: State | None = None
        if present("decoder", state):
            _, (empty, *template) = self._model.decode(self._lost(rate))
            levels, memory = entry("levels", state, tuple(empty.shape)), rebuilt("decoder", tuple(template), state)
        self._waiting, self._rate, self._synthesis = waiting, rate, synthesis
        self._levels, self._memory = levels, memory

    def _push_elements(self, elements: Tensor) -> DecodedSpeech:
        """Elements in the form of the waiting ones."""
        if elements.shape[1:] != self._waiting.shape[1:]:
            raise AetherError("push_symbols is for codecs of symbols, push_bits for hash codecs")
        elements = torch.where(elements.isfinite(), elements, NAN)  # what waits may be stored
        self._waiting = torch.cat((self._waiting, elements))
        n = elements_per_token(self._rate, self._frames)
        whole = len(self._waiting) // n * n
        blocks = torch.split(self._waiting[:whole], n) if whole else ()
        self._waiting = self._waiting[whole:].clone()
        return joined([self._token(self._received(block, self._rate)) for block in blocks])

    def _received(self, elements: Tensor, rate: int) -> Received | ReceivedBits:
        """The token of elements ``[n]`` or ``[n, 3]``."""
        # As whole tokens are laid out: strided rows are rounded another way.
        columns = elements.transpose(0, -1).contiguous()
        values = columns if elements.ndim == 1 else columns[0]
        lost = values.isnan().any()[None, None]
        values = values.masked_fill(lost[0], 0)[None, None]
        if elements.ndim == 1:
            return ReceivedBits(values, rate, lost, self._frames)
        state = ChannelState(columns[1][None, None], columns[2].real.max()[None, None], lost)
        return Received(values, rate, state, self._frames)

    def _lost(self, rate: int) -> Received | ReceivedBits:
        """A token that did not come."""
        n = elements_per_token(rate, self._frames)
        return self._received(self._lost_element.expand(n, *self._lost_element.shape), rate)

    def _token(self, received: Received | ReceivedBits) -> DecodedSpeech:
        """What one token ``[1, 1, n]`` makes known."""
        received, self._levels = accepted(received, self._levels)
        rows = self._features(received)
        muting = judged(self._synthesis.muting, received, self._frames / FRAMES_PER_SECOND)
        return self._synthesis.samples_of(rows, muting)

    def _features(self, received: Received | ReceivedBits) -> Tensor:
        """Features ``[1, n, 20]`` that one token ``[1, 1, n]`` makes known."""
        first = self._memory is None
        rows, self._memory = self._model.decode_accepted(received, self._memory, self._backend)
        return rows[:, :0] if first and self._model.config.lookahead else rows

    def _count(self) -> str:
        return f"{len(self._waiting)} {'symbols' if self._waiting.is_complex() else 'bits'}"
