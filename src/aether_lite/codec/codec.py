"""Speech codec around a channel: speech in, symbols or bits out; what was received in, speech out.

Algorithmic latency is the sum of its parts: the newest input sample that an output sample depends on, minus that output
sample's own position, at its greatest over the output. Time to send the symbols and to compute comes on top.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import pad

from aether_lite.channels import clean
from aether_lite.codec.backend import fastest_backend
from aether_lite.codec.loading import DEFAULT_CODEC, DEFAULT_HASH_CODEC, codec_path, load_codec
from aether_lite.codec.model import BLOCK_TOKENS, Backend, SpiCodec
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.features.analysis import condition as conditioned
from aether_lite.features.layout import FRAME, NUM_FREE, SAMPLE_RATE
from aether_lite.features.pitch import ROW_LOOKAHEAD_SAMPLES
from aether_lite.features.samples import as_features, as_speech, own_precision
from aether_lite.payload import Bits, Payload, Received, ReceivedBits, Symbols
from aether_lite.spi import State
from aether_lite.vocoder import FrameVocoder, load_vocoder, synthesize, vocoder_delay

if TYPE_CHECKING:
    from aether_lite.codec.refinement import Refinement
    from aether_lite.losses.asr import AsrLoss


@dataclass(frozen=True)
class Latency:
    """Latency of the chain by part [samples at 16 kHz].

    Attributes:
        features: newest sample of a feature row beyond the row's centre (window and pitch tracker).
        token: the first row of a token waits for its last, and for the token behind where the decoder looks ahead.
        vocoder: from the oldest sample that a row completes to the row's centre.
    """

    features: int
    token: int
    vocoder: int

    @property
    def samples(self) -> int:
        """All parts together [samples]."""
        return self.features + self.token + self.vocoder

    @property
    def milliseconds(self) -> float:
        """All parts together [ms]."""
        return 1000 * self.samples / SAMPLE_RATE


def latency(token_frames: int, lookahead: int = 0, vocoder: str | Path | None = None) -> Latency:
    """Latency of a codec whose tokens cover ``token_frames`` frames and whose decoder waits for ``lookahead`` more.

    ``vocoder`` is a released name or a file, None for the default.
    """
    return Latency(ROW_LOOKAHEAD_SAMPLES, ((1 + lookahead) * token_frames - 1) * FRAME, vocoder_delay(vocoder))


ALIASES_GO = "0.3"  # release without the old names


class Codec:
    """A learned codec with feature extraction before it and a vocoder behind it; of symbols, or of bits.

    Args:
        model: the learned codec.
        provenance: where its weights come from.
        vocoder: vocoder weights: a file (``.pth`` or ``.safetensors``) or a released name; None for ``fargan``.
        name: of the weights, for the representation.

    Example:
        >>> import aether_lite, numpy as np
        >>> codec = aether_lite.load("small")
        >>> codec.encode(np.zeros(16000, np.float32), rate=300)
        Symbols([1, 25, 12], 300 uses/s, token_frames=4)
    """

    sample_rate = SAMPLE_RATE
    """Of speech in and out [Hz]."""

    def __init__(
        self, model: SpiCodec, provenance: dict[str, Any] | None = None, vocoder: Path | None = None, name: str = ""
    ) -> None:
        self.name = name
        self.model = model
        self.provenance = provenance or {}
        self._vocoder_path = vocoder

    def __repr__(self) -> str:
        payload = "symbols" if self.unit == Symbols.unit else "bits"
        rates = f"{min(self.rates)}..{max(self.rates)} {self.unit}"
        return f"Codec {self.name or 'without a name'}: {payload}, {rates}, {self.latency.milliseconds:g} ms"

    @property
    def unit(self) -> str:
        """Unit of rates: ``uses/s`` of a codec of symbols, ``bit/s`` of a hash codec."""
        return str(self.model.bottleneck.unit)

    @property
    def rates(self) -> tuple[int, ...]:
        """Rates that it serves, in its :attr:`unit`."""
        return tuple(self.model.bottleneck.rates)

    @property
    def default_rate(self) -> int:
        """Rate where none is asked for."""
        return int(self.model.bottleneck.default_rate)

    @property
    def token_frames(self) -> int:
        """Frames of 10 ms in a token."""
        return self.model.config.token_frames

    @property
    def latency(self) -> Latency:
        """Algorithmic latency, speech to speech."""
        return latency(self.token_frames, self.model.config.lookahead, self._vocoder_path)

    def latency_ms(self, refine: int = 0) -> float:
        """Algorithmic latency [ms]; a refined token also waits for its window and what is seen behind, less itself."""
        if not refine:
            return self.latency.milliseconds
        from aether_lite.codec.refinement import AHEAD, WINDOW

        return self.latency.milliseconds + 10 * (WINDOW + AHEAD - self.token_frames)

    @cached_property
    def vocoder(self) -> FrameVocoder:
        """The vocoder, loaded when first used."""
        return load_vocoder(self._vocoder_path)

    @cached_property
    def stream_vocoder(self) -> FrameVocoder:
        """The fastest vocoder for one stream on this machine: compiled if numba is installed (once, some seconds)."""
        return load_vocoder(self._vocoder_path, fastest=True)

    @cached_property
    def stream_backend(self) -> Backend:
        """The fastest networks for one stream on this machine, compiled (and so frozen) if numba is installed."""
        return fastest_backend(self.model)

    @cached_property
    def asr_loss(self) -> AsrLoss:
        """Perceptual loss of the refinement, loaded when first used; AetherError without the extra ``listener``."""
        from aether_lite.losses.asr import load_asr_loss

        with torch.inference_mode(False):  # a refinement wants gradients through it
            return load_asr_loss()

    @own_precision
    def features(self, speech: ArrayLike | Tensor, condition: bool = True) -> Tensor:
        """Features of whole tokens ``[B, F, 20]`` of speech ``[N]`` or ``[B, N]`` in [-1, 1] at 16 kHz.

        The end is padded with silence to a whole token. Without ``condition`` DC and rumble stay, see
        :class:`~aether_lite.features.Conditioner`.
        """
        rows = [extract_features(clip)[:, :NUM_FREE] for clip in self._whole(speech, condition)]
        return torch.from_numpy(np.stack(rows))

    @own_precision
    def samples(self, speech: ArrayLike | Tensor, condition: bool = True) -> Tensor:
        """Samples of whole tokens ``[B, 160 F] float32`` in [-1, 1], those that :meth:`features` are of."""
        return torch.from_numpy(self._whole(speech, condition)).float()

    def _whole(self, speech: ArrayLike | Tensor, condition: bool) -> NDArray[Any]:
        """Speech as ``[B, N']`` of whole tokens, conditioned or as it is."""
        array = as_speech(speech, "speech", batch=True)
        if array.size == 0:
            raise AetherError(f"speech must be [N] or [B, N] with N > 0 samples, not {array.shape}")
        missing = -array.shape[-1] % (self.token_frames * FRAME)
        clips = np.atleast_2d(array)
        if condition:
            clips = np.stack([conditioned(clip) for clip in clips])
        return np.pad(clips, ((0, 0), (0, missing)))

    def whole_tokens(self, features: Tensor) -> Tensor:
        """Features ``[B, F', 20] float32`` of whole tokens of ``[B, F, 20 or more]``: the last row fills a part token.
        """
        features = as_features(features)
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] < NUM_FREE:
            raise AetherError(f"features must be [B, F, 20] with F > 0 frames, not {tuple(features.shape)}")
        missing = -features.shape[1] % self.token_frames
        return torch.cat((features, features[:, -1:].expand(-1, missing, -1)), dim=1)[..., :NUM_FREE]

    def checked_rate(self, rate: int | None) -> int:
        """``rate`` if the codec serves it, its default for None; else AetherError."""
        if rate is None:
            return self.default_rate
        if rate not in self.rates:
            raise AetherError(f"rate {rate} {self.unit} is not one of {', '.join(map(str, self.rates))}")
        return int(rate)

    @own_precision
    def encode(
        self,
        speech: ArrayLike | Tensor,
        rate: int | None = None,
        target_snr_db: float | None = None,
        refine: int = 0,
        condition: bool = True,
        *,
        search: int = 0,
    ) -> Any:
        """Symbols or bits of speech.

        Args:
            speech: ``[N]`` or ``[B, N]`` at 16 kHz, float in [-1, 1] or int16.
            rate: one of :attr:`rates`; None for 1000 uses/s or 600 bit/s.
            target_snr_db: Es/N0 the link is designed for [dB], of symbols only; None encodes for any channel.
            refine: steps of refinement at the sender, see :mod:`aether_lite.codec.refinement`; 0 for none. Of symbols
                it needs ``target_snr_db``.
            condition: remove DC and rumble first, see :class:`~aether_lite.features.Conditioner`.
            search: an older name of ``refine``.

        Returns:
            :class:`~aether_lite.payload.Symbols` of mean power 1 over speech, or :class:`~aether_lite.payload.Bits`, of
            K = ceil(N / (160 token_frames)) tokens.
        """
        steps = refine or search
        samples = self.samples(speech, condition) if steps and self.unit == Symbols.unit else None
        return self.encode_features(self.features(speech, condition), rate, target_snr_db, steps, samples)

    @own_precision
    def encode_features(
        self,
        features: Tensor,
        rate: int | None = None,
        target_snr_db: float | None = None,
        refine: int = 0,
        speech: Tensor | None = None,
        *,
        search: int = 0,
    ) -> Any:
        """Symbols or bits of features ``[B, F, 20 or more]``; a last part token is filled by repeating the last row.

        Bits are encoded token by token and item by item: the size of a matrix product decides how its sums are rounded,
        and a latent within rounding of its threshold would change its bit with the size of the batch or the length of
        the clip. Refined bits have no such guarantee.

        Args:
            speech: ``[B, N]`` in [-1, 1], that the features are of; makes a refinement better.
        """
        rate, whole = self.checked_rate(rate), self.whole_tokens(features)
        if steps := refine or search:
            values = self.refinement(rate, target_snr_db, steps).each(whole, self._speech_of(whole, speech))
            return (Symbols if self.unit == Symbols.unit else Bits)(values, rate, self.token_frames)
        bits = self.unit == Bits.unit
        rows = []
        for item in torch.split(whole, 1 if bits else len(whole)):
            state: State | None = None
            pieces = []
            for block in torch.split(item, self.token_frames * (1 if bits else BLOCK_TOKENS), dim=1):
                sent, state = self.model.encode(block, rate, target_snr_db, state)
                pieces.append(sent.values)
            rows.append(torch.cat(pieces, dim=1))
        return type(sent)(torch.cat(rows), rate, self.token_frames)

    def refinement(self, rate: int, target_snr_db: float | None, steps: int) -> Refinement:
        """A stream of features to symbols or bits refined in ``steps`` steps."""
        from aether_lite.codec.refinement import Refinement

        return Refinement(self.model, self.asr_loss, rate, steps, target_snr_db)

    @staticmethod
    def _speech_of(features: Tensor, speech: Tensor | None) -> Tensor | None:
        """Speech ``[B, 160 F]`` of the features ``[B, F, 20]``, filled up with silence."""
        if speech is None:
            return None
        samples = torch.from_numpy(as_speech(speech, "speech", batch=True)).to(features)
        missing = FRAME * features.shape[1] - samples.shape[-1]
        if samples.ndim != 2 or len(samples) != len(features) or missing < 0:
            raise AetherError(
                f"speech must be [{len(features)}, N] with at most {FRAME * features.shape[1]} samples, those that the "
                f"features are of, not {tuple(samples.shape)}"
            )
        return pad(samples, (0, missing))

    @own_precision
    def decode(self, received: Received | ReceivedBits | Symbols | Bits) -> Tensor:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of F frames in whole received tokens, aligned with the input.

        What was sent (:class:`Symbols`, :class:`Bits`) is passed through the channel without noise first.

        Raises:
            AetherError: not received, or for another codec.
        """
        return self.speak(self.decode_features(received))

    @own_precision
    def decode_features(self, received: Received | ReceivedBits | Symbols | Bits) -> Tensor:
        """Features ``[B, F, 20]`` of whole received tokens; arguments as :meth:`decode`."""
        if isinstance(received, Symbols | Bits):
            if received.unit != self.unit:
                self.model.check_received(received)  # says what they are instead
            received = clean(received)
        return self.model.decode_clip(received.tensors() if isinstance(received, Payload) else received)

    @own_precision
    def speak(self, features: Tensor) -> Tensor:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of features ``[B, F, 20]``."""
        return synthesize(features, self.vocoder)


@own_precision
def load(
    model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None, *, unit: str | None = None
) -> Codec:
    """A codec, of symbols or of bits, by released name or file.

    Args:
        model: name of released weights (``aether-lite info`` lists them) or a codec file.
        vocoder: FARGAN weights, public ``.pth`` or ``.safetensors``, or a released name; None for ``fargan``.
        unit: ``uses/s`` or ``bit/s`` where only a codec of symbols or of bits will do.

    Raises:
        AetherError: no such file, not a codec file, or one of the other payload.
    """
    weights, provenance = load_codec(codec_path(model), unit, model)
    return Codec(weights, provenance, Path(vocoder) if vocoder is not None else None, Path(model).stem)


def load_hash(model: str | Path = DEFAULT_HASH_CODEC, vocoder: str | Path | None = None) -> Codec:
    """An older name of :func:`load` for codecs of bits."""
    warnings.warn(f"load_hash goes in {ALIASES_GO}: use load({str(model)!r})", FutureWarning, stacklevel=2)
    return load(model, vocoder, unit=Bits.unit)
