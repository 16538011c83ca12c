"""A codec over arrays of numpy, all of whose networks the native core runs: the one that the commands use.

It has the methods of :class:`aether_lite.codec.Codec`, whose networks are torch's, and its results within rounding.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.channels import clean
from aether_lite.codec.base import CodecBase
from aether_lite.codec.loading import DEFAULT_CODEC
from aether_lite.container.weights import weights_id
from aether_lite.core import library
from aether_lite.core.files import codec_file, model_of, vocoder_file, vocoder_model
from aether_lite.core.library import Float32, Model
from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_FREE
from aether_lite.features.samples import as_speech, feature_rows
from aether_lite.payload import TARGET_SNRS_DB, Bits, Received, ReceivedBits, Symbols
from aether_lite.vocoder.synthesis import synthesize

if TYPE_CHECKING:
    from collections.abc import Callable

    from aether_lite.codec import Codec
    from aether_lite.codec.refinement import Refinement
    from aether_lite.losses.asr import AsrLoss

BUFFERS = ("image.", "latent_power.")  # tensors that are no parameters begin so


class CoreCodec(CodecBase):
    """A codec of symbols, or of bits, with a vocoder.

    Args:
        model: name of released weights or a codec file.
        vocoder: vocoder weights: a file or a released name; None for ``fargan``.
        unit: ``uses/s`` or ``bit/s`` where only a codec of symbols or of bits will do.

    Raises:
        AetherError: no such file, not a codec or vocoder, or one of the other payload.
    """

    def __init__(
        self, model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None, unit: str | None = None
    ) -> None:
        self.file, self.vocoder_file = codec_file(model, unit), vocoder_file(vocoder)
        super().__init__(self.file.config, self.file.provenance, vocoder, Path(model).stem)

    @cached_property
    def core(self) -> Model:
        """Codec and vocoder in the native core, made when first used."""
        return model_of(self.file, self.vocoder_file)

    @property
    def vocoder(self) -> Model:
        """What synthesises speech."""
        return self.core

    @cached_property
    def weights_id(self) -> bytes:
        """What identifies the codec's weights in headers, see :mod:`aether_lite.container.weights`."""
        state = dict(self.file.content[1])
        if "latent_power.values" in state:  # earlier files had none for target SNRs
            undefined = np.full((len(TARGET_SNRS_DB), len(state["latent_power.values"])), np.nan, np.float32)
            state.setdefault("latent_power.told", undefined)
        return weights_id(state)

    @property
    def parameters(self) -> dict[str, int]:
        """Number of trained weights of each part of the learned codec."""
        counts: dict[str, int] = {}
        for name, value in self.file.content[1].items():
            if not name.startswith(BUFFERS):
                part = name.partition(".")[0]
                counts[part] = counts.get(part, 0) + value.size
        return counts

    def symbol_power(self, rate: int) -> NDArray[np.float64] | None:
        """Mean power over speech of every symbol of a token ``[n]`` at ``rate`` [uses/s]; None where tokens hold 1."""
        if self.config.power == "token" or self.config.hash:
            return None
        values = np.asarray(self.file.content[1]["latent_power.values"], np.float64)
        each = values[: 2 * (rate * self.token_frames // 100)].reshape(-1, 2).sum(-1)
        return each / each.mean()  # type: ignore[no-any-return]

    def features(self, speech: ArrayLike, condition: bool = True) -> Float32:
        """Features of whole tokens ``[B, F, 20]`` of speech ``[N]`` or ``[B, N]`` in [-1, 1] at 16 kHz.

        The end is padded with silence to a whole token; DC and rumble are removed unless ``condition`` is False.
        """
        clips = self._whole(speech, condition)
        return np.stack([extracted(clip)[:, :NUM_FREE] for clip in clips])

    def samples(self, speech: ArrayLike, condition: bool = True) -> Float32:
        """Samples of whole tokens ``[B, 160 F] float32`` in [-1, 1], those that :meth:`features` are of."""
        return self._whole(speech, condition).astype(np.float32)

    @staticmethod
    def given(values: NDArray[Any]) -> NDArray[Any]:
        """Values as this codec hands them out: arrays."""
        return values

    def refinement(self, rate: int, target_snr_db: float | None, steps: int) -> Refinement:
        """A stream of features to symbols or bits refined in ``steps`` steps; needs torch."""
        return self.of_torch.refinement(rate, target_snr_db, steps)

    @staticmethod
    def rows(features: ArrayLike) -> Float32:
        """Features ``[..., F, 20 or more]`` as float32; AetherError where they are not finite."""
        return feature_rows(features)

    @cached_property
    def of_torch(self) -> Codec:
        """The same codec over tensors of torch, for what only that can."""
        from aether_lite.codec.codec import load

        return load(self.file.path)

    @property
    def asr_loss(self) -> AsrLoss:
        """Perceptual loss of the refinement, loaded when first used; AetherError without the extra ``listener``."""
        return self.of_torch.asr_loss

    def whole_tokens(self, features: ArrayLike) -> Float32:
        """Features ``[B, F', 20] float32`` of whole tokens of ``[B, F, 20 or more]``: the last row fills a part token.
        """
        rows = feature_rows(features)
        if rows.ndim != 3 or rows.shape[1] == 0 or rows.shape[2] < NUM_FREE:
            raise AetherError(f"features must be [B, F, 20] with F > 0 frames, not {rows.shape}")
        missing = -rows.shape[1] % self.token_frames
        return np.concatenate((rows, rows[:, -1:].repeat(missing, 1)), axis=1)[..., :NUM_FREE]

    def encode(
        self,
        speech: ArrayLike,
        rate: int | None = None,
        target_snr_db: float | None = None,
        refine: int = 0,
        condition: bool = True,
    ) -> Any:
        """Symbols or bits of speech ``[N]`` or ``[B, N]``; see :meth:`aether_lite.codec.Codec.encode`."""
        samples = self.samples(speech, condition) if refine and self.unit == Symbols.unit else None
        return self.encode_features(self.features(speech, condition), rate, target_snr_db, refine, samples)

    def encode_features(
        self,
        features: ArrayLike,
        rate: int | None = None,
        target_snr_db: float | None = None,
        refine: int = 0,
        speech: Any = None,
    ) -> Any:
        """Symbols or bits of features ``[B, F, 20 or more]``; a last part token is filled by repeating the last row.

        Refinement (``refine`` steps, ``speech`` that the features are of) needs torch.
        """
        rate, rows = self.checked_rate(rate), self.whole_tokens(features)
        target_snr_db = self.checked_target(target_snr_db)
        if refine:
            torch_codec = self.of_torch
            return torch_codec.encode_features(torch_codec.rows(rows), rate, target_snr_db, refine, speech).arrays()
        tokens = rows.reshape(len(rows), -1, self.token_frames, NUM_FREE)
        sent = np.stack([self._encoded(item, rate, target_snr_db) for item in tokens])
        return self.payload(sent, rate)

    def check_targets(self) -> None:
        """Refuse a codec that sends bits, or whose power was never measured for target SNRs."""
        if self.config.hash:
            raise AetherError("a hash codec encodes for any channel: it has no target SNR")
        if self.config.power != "token" and not self.core.info.has_target_powers:
            advice = "encode without a target SNR, or measure it by training/calibrate_power.py"
            raise AetherError(f"this codec's power was never measured for target SNRs: {advice}")

    def _encoded(self, tokens: Float32, rate: int, target_snr_db: float | None) -> Float32:
        encoder = library.Encoder(self.core)
        encoder.rate = rate
        encoder.set_target(target_snr_db)
        return np.stack([encoder.push_features(token) for token in tokens])

    def payload(self, tokens: Float32, rate: int) -> Any:
        """Symbols or bits of the core's tokens ``[B, K, n floats]``."""
        return core_payload(tokens, rate, self.token_frames, self.unit)

    def decode(self, received: Received | ReceivedBits | Symbols | Bits) -> Float32:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of F frames in whole received tokens; as
        :meth:`aether_lite.codec.Codec.decode`."""
        return self.speak(self.decode_features(received))

    def decode_features(self, received: Received | ReceivedBits | Symbols | Bits) -> Float32:
        """Features ``[B, F, 20]`` of whole received tokens; arguments as :meth:`decode`."""
        if isinstance(received, Symbols | Bits):
            if received.unit != self.unit:
                self.check_received(received)  # says what they are instead
            received = clean(received)
        self.check_received(received)
        if received.token_frames != self.token_frames:
            raise AetherError(
                f"what was received comes in tokens of {received.token_frames} frames, "
                f"this codec's are {self.token_frames}"
            )
        items: list[Any] = [np.array([b]) for b in range(len(received.values))]
        return np.stack([self._decoded(received.items(item)) for item in items])

    def _decoded(self, received: Received | ReceivedBits) -> Float32:
        decoder = library.Decoder(self.core, mute=False, speech=False)
        decoder.rate = int(received.rates[0])
        rows = [decoder.push(*token)[1] for token in received_tokens(received)]
        return np.concatenate([*rows, decoder.flush()[1]])

    def speak(self, features: ArrayLike, progress: Callable[[int], None] | None = None) -> Float32:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of features ``[B, F, 20 or more]``; see
        :func:`~aether_lite.vocoder.synthesize`."""
        return synthesize(features, self.core, progress)


def core_payload(tokens: Any, rate: int, token_frames: int, unit: str) -> Symbols | Bits:
    """Symbols or bits of the core's tokens ``[B, K, n floats]``."""
    if unit == Bits.unit:
        return Bits(tokens, rate, token_frames)
    symbols: Any = np.ascontiguousarray(tokens).view(np.complex64)
    return Symbols(symbols, rate, token_frames)


def received_tokens(received: Received | ReceivedBits) -> list[tuple[Any, Any, Any]]:
    """Values, gains and noise variance of every token ``[1, K, n]`` of arrays as the core takes them."""
    lost = np.asarray(received.erased)[0]
    if isinstance(received, ReceivedBits):
        soft = np.asarray(received.values)[0]
        return [(None if gone else token, None, None) for token, gone in zip(soft, lost, strict=True)]
    known: Any = received.state
    with np.errstate(over="ignore"):  # beyond float32: infinite, and the token is lost
        values = np.ascontiguousarray(received.values, np.complex64)[0].view(np.float32)
    gain, noise = known.gain, known.noise_variance
    if gain is not None:
        gain = np.ascontiguousarray(gain, np.complex64)[0].view(np.float32)
    return [
        (None if lost[k] else values[k], None if lost[k] or gain is None else gain[k],
         None if noise is None else float(noise[0, k]))
        for k in range(len(lost))
    ]  # fmt: skip


def extracted(samples: ArrayLike) -> Float32:
    """Feature rows ``[floor(N / 160), 36]`` of speech ``[N]``, those of :func:`~aether_lite.features.extract_features`.

    Within rounding: of 1000 unvoiced frames about one takes another of two equally good pitch periods.
    """
    stream = library.Features(vocoder_model())
    return np.concatenate([stream.push(as_speech(samples)), stream.flush()])
