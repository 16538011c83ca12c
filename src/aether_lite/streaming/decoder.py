"""Received symbols as they arrive to speech, token by token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from aether_lite.codec import Codec, Steps
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, ChannelState, Received, elements_per_token
from aether_lite.spi import State
from aether_lite.streaming.encoder import checked_rate
from aether_lite.streaming.muting import judged
from aether_lite.streaming.snapshot import Snapshot, entry, flattened, present, rebuilt
from aether_lite.streaming.voice import Heard, Voice, joined
from aether_lite.vocoder import FrameVocoder

WITHHELD = float("nan")  # noise variance of a receiver that is told none


class Decoder:
    """One stream from received symbols to samples.

    A token of a codec that does not look ahead gives its samples at once: the first all of its own but 240, each later
    one as many as its own, and :meth:`flush` the last 240. Where the decoder looks a token ahead, each gives those of
    the token before, and :meth:`flush` the last token's. Samples line up with the speech sent. Features equal
    ``codec.decode_features`` of everything at once within rounding (1e-5). Memory is constant. A token that is lost is
    concealed by the decoder; after a long gap, and when only noise comes, the output is muted
    (:mod:`aether_lite.streaming.muting`); what is muted is the sound that the deciding token makes known.

    Args:
        codec: gives the weights; several streams may share one.
        rate: channel uses per second of :meth:`push_symbols` and :meth:`lose`; see :attr:`rate`.
        vocoder: makes the sound; None for the codec's ``stream_vocoder``.
        steps: computes the networks; None for the codec's ``stream_steps``.
        mute: False to hear whatever the decoder makes of gaps and noise.

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

    def __init__(
        self,
        codec: Codec,
        rate: int = 1000,
        *,
        vocoder: FrameVocoder | None = None,
        steps: Steps | None = None,
        mute: bool = True,
    ) -> None:
        self._model = codec.model
        self._steps = codec.stream_steps if steps is None else steps
        self._frames = codec.token_frames
        self._voice = Voice(codec.stream_vocoder if vocoder is None else vocoder, mute)
        self._rate = checked_rate(rate)
        self.reset()

    @property
    def rate(self) -> int:
        """Channel uses per second of the tokens that come; may be set between two tokens."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        if checked_rate(rate) != self._rate and len(self._waiting):
            raise AetherError(
                f"rate {rate} uses/s: {len(self._waiting)} symbols of a token at {self._rate} are waiting"
            )
        self._rate = rate

    @property
    def muted(self) -> bool:
        """Whether the newest token was muted."""
        return self._voice.muted

    def reset(self) -> None:
        """Forget everything: the next token is the first of a new stream. The rate stays."""
        self._waiting = torch.zeros(0, 3, dtype=torch.complex64)  # columns: symbol, gain, noise variance
        self._memory: State | None = None
        self._voice.reset()

    def push(self, received: Received) -> Heard:
        """Take whole tokens, with the rate and the channel state that belong to them.

        Args:
            received: ``[1, K, n]``, K >= 0; becomes the stream's :attr:`rate`.

        Raises:
            AetherError: more than one stream, tokens of another length, values that are not finite, or part of
                a token is waiting.
        """
        if received.values.shape[0] != 1 or received.token_frames != self._frames:
            raise AetherError(
                f"a stream takes [1, K, n] in tokens of {self._frames} frames, "
                f"not {list(received.values.shape)} in tokens of {received.token_frames}"
            )
        if len(self._waiting):
            raise AetherError(f"{len(self._waiting)} symbols of a token are waiting; push the rest of it first")
        received.validate()
        self.rate = int(torch.as_tensor(received.rate).reshape(-1)[0])
        state = received.state
        noise = (
            torch.full(received.values.shape[1:2], WITHHELD)
            if state.noise_variance is None
            else state.noise_variance[0]
        )
        gain = torch.ones_like(received.values) if state.gain is None else state.gain
        tokens = zip(received.values[0], gain[0], noise.tolist(), state.erased[0].tolist(), strict=True)
        return joined([self._token(*token) for token in tokens])

    def push_symbols(self, values: Tensor, noise_variance: float | None = None, gain: Tensor | None = None) -> Heard:
        """Take any number of symbols of :attr:`rate`; a token with a NaN among its symbols is lost.

        Args:
            values: ``[m] complex64``, in sending order from the first symbol of a token on; m may be 0.
            noise_variance: the receiver's estimate of N0; None where it is withheld. A token gets the
                greatest that was told with its symbols.
            gain: ``[m] complex64``, the receiver's estimate of each symbol's gain; None for 1.

        Raises:
            AetherError: another shape, infinite symbols, gains that are not finite, or a negative noise variance.
        """
        told = WITHHELD if noise_variance is None else float(noise_variance)
        if told < 0 or told == float("inf"):
            raise AetherError(f"noise_variance must be finite and not negative, not {noise_variance!r}")
        if values.ndim != 1 or (gain is not None and gain.shape != values.shape):
            shapes = f"{list(values.shape)}" + ("" if gain is None else f" and {list(gain.shape)}")
            raise AetherError(f"symbols, and gains if there are any, must be one row [m], not {shapes}")
        gains = torch.ones_like(values) if gain is None else gain
        if bool(torch.isinf(values.abs()).any()) or not bool(torch.isfinite(gains.abs()).all()):
            raise AetherError("symbols must be finite, or NaN where they are lost; gains must be finite")
        rows = torch.stack((values, gains, torch.full_like(values, told)), dim=1).to(torch.complex64)
        self._waiting = torch.cat((self._waiting, rows))
        uses = elements_per_token(self._rate, self._frames)
        whole = len(self._waiting) // uses * uses
        blocks = torch.split(self._waiting[:whole], uses) if whole else ()
        self._waiting = self._waiting[whole:].clone()
        return joined([self._block(block) for block in blocks])

    def lose(self, tokens: int = 1) -> Heard:
        """Mark the next tokens (of :attr:`rate`) as lost; symbols of a part token are dropped."""
        self._waiting = self._waiting[:0]
        return joined([self._token(*self._lost()) for _ in range(tokens)])

    def flush(self) -> Heard:
        """End the stream: the samples still to come (none if no token came); then :meth:`reset`.

        Symbols of a part token are dropped.
        """
        self._waiting = self._waiting[:0]
        pieces = []
        if self._model.config.lookahead and self._memory is not None:
            pieces.append(self._voice.speak(self._rows(*self._lost()), self._voice.muting))
        pieces.append(self._voice.flush())
        self.reset()
        return joined(pieces)

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on, the rate included."""
        return {
            **flattened("waiting", torch.view_as_real(self._waiting)),
            **flattened("rate", self._rate),
            **flattened("decoder", self._memory),
            **self._voice.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the stream stood that gave ``state``, to the bit.

        Raises:
            AetherError: not a decoder's state, or that of a codec of another size; nothing is changed then.
        """
        waiting = torch.view_as_complex(entry("waiting", state, (None, 3, 2)))
        rate, voice = int(entry("rate", state, ())), self._voice.restored(state)
        memory: State | None = None
        if present("decoder", state):
            empty = torch.zeros(1, 1, elements_per_token(checked_rate(rate), self._frames), dtype=torch.complex64)
            lost = ChannelState(None, None, torch.ones(1, 1, dtype=torch.bool))
            _, template = self._model.decode(Received(empty, rate, lost, self._frames))
            memory = rebuilt("decoder", template, state)
        self._waiting, self._rate, self._memory, self._voice = waiting, checked_rate(rate), memory, voice

    def _block(self, block: Tensor) -> Heard:
        """One token of waiting symbols."""
        # As whole tokens are laid out: strided rows are rounded another way.
        values, gain, noise = block.T.contiguous()
        lost = bool(torch.isnan(values.abs()).any())
        return self._token(torch.zeros_like(values) if lost else values, gain, float(noise.real.max()), lost)

    def _lost(self) -> tuple[Tensor, Tensor, float, bool]:
        """A token that did not come."""
        empty = torch.zeros(elements_per_token(self._rate, self._frames), dtype=torch.complex64)
        return empty, torch.ones_like(empty), WITHHELD, True

    def _token(self, values: Tensor, gain: Tensor, noise_variance: float, erased: bool) -> Heard:
        rows = self._rows(values, gain, noise_variance, erased)
        seconds = self._frames / FRAMES_PER_SECOND
        return self._voice.speak(rows, judged(self._voice.muting, values, gain, noise_variance, erased, seconds))

    def _rows(self, values: Tensor, gain: Tensor, noise_variance: float, erased: bool) -> Tensor:
        """Features ``[1, n, 20]`` that one more token makes known."""
        state = ChannelState(gain[None, None], torch.tensor([[noise_variance]]), torch.tensor([[erased]]))
        received = Received(values[None, None].to(torch.complex64), self._rate, state, self._frames)
        first = self._memory is None
        rows, self._memory = self._model.decode(received, self._memory, self._steps)
        return rows[:, :0] if first and self._model.config.lookahead else rows
