"""Speech codec around a channel: speech in, symbols or bits out; what was received in, speech out; over torch."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import pad

from aether_lite.channels import clean
from aether_lite.codec.base import CodecBase
from aether_lite.codec.loading import DEFAULT_CODEC, DEFAULT_HASH_CODEC, codec_path, load_codec
from aether_lite.codec.model import BLOCK_TOKENS, SpiCodec
from aether_lite.core.codec import core_payload, extracted
from aether_lite.core.files import CodecFile, model_in_memory, model_of, vocoder_file
from aether_lite.core.library import Model
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.features.samples import as_features, as_speech, own_precision
from aether_lite.payload import Bits, Payload, Received, ReceivedBits, Symbols
from aether_lite.spi import State
from aether_lite.vocoder import Vocoder, load_vocoder, synthesize

if TYPE_CHECKING:
    from aether_lite.codec.refinement import Refinement
    from aether_lite.losses.asr import AsrLoss


class Codec(CodecBase):
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

    def __init__(
        self,
        model: SpiCodec,
        provenance: dict[str, Any] | None = None,
        vocoder: str | Path | None = None,
        name: str = "",
        file: Path | None = None,
    ) -> None:
        super().__init__(model.config, provenance, vocoder, name)
        self.model, self._file = model, file

    @cached_property
    def core(self) -> Model:
        """Codec and vocoder in the native core, for streams: the weights as they are when it is first used."""
        voice = vocoder_file(self._vocoder_path)
        if self._file is not None:
            return model_of(CodecFile(self._file), voice)
        state = {name: value.numpy(force=True) for name, value in self.model.state_dict().items()}
        return model_in_memory(self.config, state, voice)

    @staticmethod
    def given(values: NDArray[Any]) -> Tensor:
        """Values of an array as this codec hands them out: a tensor."""
        return torch.from_numpy(np.array(values))

    def payload(self, tokens: NDArray[np.float32], rate: int) -> Any:
        """Symbols or bits of the core's tokens ``[B, K, n floats]``."""
        return core_payload(tokens, rate, self.token_frames, self.unit).tensors()

    def check_targets(self) -> None:
        """Refuse a codec that sends bits, or whose power was never measured for target SNRs."""
        self.model.check_targets()

    @cached_property
    def vocoder(self) -> Vocoder:
        """The vocoder, loaded when first used."""
        return load_vocoder(self._vocoder_path)

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
        rows = [extracted(clip)[:, :NUM_FREE] for clip in self._whole(speech, condition)]
        return torch.from_numpy(np.stack(rows))

    @own_precision
    def samples(self, speech: ArrayLike | Tensor, condition: bool = True) -> Tensor:
        """Samples of whole tokens ``[B, 160 F] float32`` in [-1, 1], those that :meth:`features` are of."""
        return torch.from_numpy(self._whole(speech, condition)).float()

    @staticmethod
    def rows(features: ArrayLike | Tensor) -> Tensor:
        """Features ``[..., F, 20 or more]`` as float32; AetherError where they are not finite."""
        return as_features(features)

    def whole_tokens(self, features: Tensor) -> Tensor:
        """Features ``[B, F', 20] float32`` of whole tokens of ``[B, F, 20 or more]``: the last row fills a part token.
        """
        features = as_features(features)
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] < NUM_FREE:
            raise AetherError(f"features must be [B, F, 20] with F > 0 frames, not {tuple(features.shape)}")
        missing = -features.shape[1] % self.token_frames
        return torch.cat((features, features[:, -1:].expand(-1, missing, -1)), dim=1)[..., :NUM_FREE]

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
        target_snr_db = self.checked_target(target_snr_db)
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
    return Codec(weights, provenance, vocoder, Path(model).stem, codec_path(model))


def load_hash(model: str | Path = DEFAULT_HASH_CODEC, vocoder: str | Path | None = None) -> Codec:
    """An older name of :func:`load` for codecs of bits."""
    warnings.warn(f"load_hash goes in 0.3: use load({str(model)!r})", FutureWarning, stacklevel=2)
    return load(model, vocoder, unit=Bits.unit)
