"""The ends of the chain that every codec has: speech to features of whole tokens, features to speech."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from aether_lite.codec.latency import Latency, latency
from aether_lite.codec.model import Arrived, SpeechImageCodec, Steps, ended
from aether_lite.codec.presets import CodecConfig
from aether_lite.codec.steps import fastest_steps
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.features.analysis import int16_scale
from aether_lite.features.conditioning import condition as conditioned
from aether_lite.features.layout import FRAME, INT16_SCALE, NUM_FREE
from aether_lite.spi import State
from aether_lite.vocoder import (
    FrameVocoder,
    FusedFargan,
    fastest_vocoder,
    load_fargan,
    synthesize,
)

if TYPE_CHECKING:
    from aether_lite.losses.asr import Listener

BLOCK_TOKENS = 250  # 20 s at a time: bounds the memory of long speech


class SpeechChain:
    """A learned codec with feature extraction before it and the vocoder behind it.

    Args:
        model: the learned codec.
        provenance: where its weights come from.
        vocoder: vocoder weights: a file (``.pth`` or ``.safetensors``) or a released name; None for ``fargan``.
    """

    def __init__(
        self, model: SpeechImageCodec, provenance: dict[str, Any] | None = None, vocoder: Path | None = None
    ) -> None:
        self.model = model
        self.provenance = provenance or {}
        self._vocoder_path = vocoder

    @cached_property
    def vocoder(self) -> FusedFargan:
        """The vocoder, loaded when first used."""
        return FusedFargan(load_fargan(self._vocoder_path))

    @cached_property
    def stream_vocoder(self) -> FrameVocoder:
        """The fastest vocoder for one stream on this machine: compiled if numba is installed (once, some seconds)."""
        return fastest_vocoder(load_fargan(self._vocoder_path))

    @cached_property
    def stream_steps(self) -> Steps:
        """The fastest networks for one stream on this machine: compiled if numba is installed (once, some seconds).

        Frozen: later changes of the model may not be seen.
        """
        return fastest_steps(self.model)

    @cached_property
    def listener(self) -> Listener:
        """What a search listens with, loaded when first used; see :mod:`aether_lite.codec.search`.

        Raises:
            AetherError: the recogniser is not installed (the extra ``listener``).
        """
        from aether_lite.losses.asr import load_listener

        with torch.inference_mode(False):  # a search wants gradients through it
            return load_listener()

    @property
    def token_frames(self) -> int:
        """Frames of 10 ms in a token."""
        return self.model.config.token_frames

    @property
    def latency(self) -> Latency:
        """Algorithmic latency, speech to speech."""
        return latency(self.token_frames, self.model.config.lookahead)

    def features(self, speech: ArrayLike | Tensor, condition: bool = True) -> Tensor:
        """Features of whole tokens ``[B, F, 20]`` of speech ``[N]`` or ``[B, N]`` in [-1, 1] at 16 kHz.

        The end is padded with silence to a whole token. Without ``condition`` DC and rumble stay, see
        :mod:`aether_lite.features.conditioning`.
        """
        rows = [extract_features(clip)[:, :NUM_FREE] for clip in self._whole(speech, condition)]
        return torch.from_numpy(np.stack(rows))

    def samples(self, speech: ArrayLike | Tensor, condition: bool = True) -> Tensor:
        """Samples of whole tokens ``[B, 160 F] float32`` in [-1, 1], those that :meth:`features` are of."""
        clips = self._whole(speech, condition)
        return torch.from_numpy(np.stack([int16_scale(clip) for clip in clips]) / INT16_SCALE).float()

    def _whole(self, speech: ArrayLike | Tensor, condition: bool) -> NDArray[Any]:
        """Speech as ``[B, N']`` of whole tokens, conditioned or as it is."""
        array = speech.numpy(force=True) if isinstance(speech, Tensor) else np.asarray(speech)
        if array.ndim not in (1, 2) or array.shape[-1] == 0:
            raise AetherError(f"speech must be [N] or [B, N] with N > 0 samples, not {array.shape}")
        missing = -array.shape[-1] % (self.token_frames * FRAME)
        clips = np.atleast_2d(array)
        if condition:
            clips = np.stack([conditioned(clip) for clip in clips])
        return np.pad(clips, ((0, 0), (0, missing)))

    def whole_tokens(self, features: Tensor) -> Tensor:
        """Features ``[B, F', 20] float32`` of whole tokens: the last row is repeated to fill a part token.

        Raises:
            AetherError: not ``[B, F, 20 or more]`` with F > 0.
        """
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] < NUM_FREE:
            raise AetherError(f"features must be [B, F, 20] with F > 0 frames, not {tuple(features.shape)}")
        missing = -features.shape[1] % self.token_frames
        return torch.cat((features, features[:, -1:].expand(-1, missing, -1)), dim=1)[..., :NUM_FREE].float()

    def speak(self, features: Tensor) -> Tensor:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of features ``[B, F, 20]``."""
        return synthesize(features, self.vocoder)


def decoded_in_blocks(
    decode: Callable[[Arrived, State | None], tuple[Tensor, State]], received: Arrived, config: CodecConfig
) -> Tensor:
    """Features ``[B, K * token_frames, 20]`` of whole received tokens, in line with those sent.

    Args:
        decode: of the codec's model.
        received: of any length.
        config: of the model.

    Raises:
        AetherError: the tokens are not of the codec's length.
    """
    if received.token_frames != config.token_frames:
        raise AetherError(
            f"what was received comes in tokens of {received.token_frames} frames, this codec's are "
            f"{config.token_frames}"
        )
    state: State | None = None
    pieces = []
    received = ended(received, config.lookahead)
    for start in range(0, received.values.shape[1], BLOCK_TOKENS):
        features, state = decode(received.tokens(slice(start, start + BLOCK_TOKENS)), state)
        pieces.append(features)
    return torch.cat(pieces, dim=1)[:, config.lookahead * config.token_frames :]
