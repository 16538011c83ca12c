"""Speech in, symbols out; received symbols in, speech out."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.channels.signal import ChannelState, Received, Symbols
from aether_lite.codec.latency import Latency, latency
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.codec.model import SpiJscc
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.jscc import RATES
from aether_lite.spi import State
from aether_lite.vocoder import FusedFargan, default_vocoder_path, load_fargan, synthesize

BLOCK_TOKENS = 250  # 20 s at a time: bounds the memory of long speech


class Codec:
    """The whole chain around a channel, with the released weights or others.

    Args:
        model: the learned codec.
        provenance: where its weights come from.
        vocoder: file of vocoder weights (``.pth`` or ``.safetensors``); None for the released ones.

    Example:
        >>> import aether_lite
        >>> codec = aether_lite.load()
        >>> symbols = codec.encode(np.zeros(16000, np.float32), rate=300)
        >>> symbols.values.shape
        torch.Size([1, 13, 24])
    """

    def __init__(self, model: SpiJscc, provenance: dict[str, Any] | None = None, vocoder: Path | None = None) -> None:
        self.model = model
        self.provenance = provenance or {}
        self._vocoder_path = vocoder

    @cached_property
    def vocoder(self) -> FusedFargan:
        """The vocoder, loaded when first used."""
        return FusedFargan(load_fargan(self._vocoder_path or default_vocoder_path()))

    @property
    def token_frames(self) -> int:
        """Frames of 10 ms in a token."""
        return self.model.config.token_frames

    @property
    def latency(self) -> Latency:
        """Algorithmic latency, speech to speech."""
        return latency(self.token_frames)

    def features(self, speech: ArrayLike | Tensor) -> Tensor:
        """Features of whole tokens ``[B, F, 20]`` of speech ``[N]`` or ``[B, N]`` in [-1, 1] at 16 kHz.

        The end is padded with silence to a whole token.
        """
        array = speech.numpy(force=True) if isinstance(speech, Tensor) else np.asarray(speech)
        if array.ndim not in (1, 2) or array.shape[-1] == 0:
            raise AetherError(f"speech must be [N] or [B, N] with N > 0 samples, not {array.shape}")
        token = self.token_frames * FRAME
        missing = -array.shape[-1] % token
        clips = np.atleast_2d(array)
        clips = np.pad(clips, ((0, 0), (0, missing)))
        rows = [extract_features(clip)[:, :NUM_FREE] for clip in clips]
        return torch.from_numpy(np.stack(rows))

    def encode(self, speech: ArrayLike | Tensor, rate: int = 1000, target_snr_db: float | None = None) -> Symbols:
        """Symbols of speech.

        Args:
            speech: ``[N]`` or ``[B, N]`` at 16 kHz, float in [-1, 1] or int16.
            rate: channel uses per second, one of 150, 300, 500, 600, 700, 1000, 1200.
            target_snr_db: Es/N0 the link is designed for [dB]; None encodes for any channel.

        Returns:
            ``[B, K, n] complex64`` with K = ceil(N / 1280) tokens of 80 ms and mean power 1.
        """
        return self.encode_features(self.features(speech), rate, target_snr_db)

    def encode_features(self, features: Tensor, rate: int = 1000, target_snr_db: float | None = None) -> Symbols:
        """Symbols of features ``[B, F, 20 or more]``; a last part token is filled by repeating the last row."""
        if rate not in RATES:
            raise AetherError(f"rate {rate} uses/s is not one of {', '.join(map(str, RATES))}")
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] < NUM_FREE:
            raise AetherError(f"features must be [B, F, 20] with F > 0 frames, not {tuple(features.shape)}")
        missing = -features.shape[1] % self.token_frames
        whole = torch.cat((features, features[:, -1:].expand(-1, missing, -1)), dim=1)[..., :NUM_FREE].float()
        state: State | None = None
        pieces = []
        for block in torch.split(whole, BLOCK_TOKENS * self.token_frames, dim=1):
            symbols, state = self.model.encode(block, rate, target_snr_db, state)
            pieces.append(symbols.values)
        return Symbols(torch.cat(pieces, dim=1), rate, self.token_frames)

    def decode(self, received: Received) -> Tensor:
        """Speech ``[B, 1280 K] float32`` in [-1, 1] of whole received tokens, aligned with the speech sent."""
        return synthesize(self.decode_features(received), self.vocoder)

    def decode_features(self, received: Received) -> Tensor:
        """Features ``[B, F, 20]`` of whole received tokens."""
        if received.token_frames != self.token_frames:
            raise AetherError(
                f"the symbols come in tokens of {received.token_frames} frames, this codec's are {self.token_frames}"
            )
        state: State | None = None
        pieces = []
        for start in range(0, received.values.shape[1], BLOCK_TOKENS):
            block = _tokens(received, slice(start, start + BLOCK_TOKENS))
            features, state = self.model.decode(block, state)
            pieces.append(features)
        return torch.cat(pieces, dim=1)


def _tokens(received: Received, part: slice) -> Received:
    """Some of the received tokens."""
    state = received.state
    return Received(
        received.values[:, part],
        received.rate,
        ChannelState(
            gain=None if state.gain is None else state.gain[:, part],
            noise_variance=None if state.noise_variance is None else state.noise_variance[:, part],
            erased=state.erased[:, part],
        ),
        received.token_frames,
    )


def load(model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None) -> Codec:
    """A codec by released name or file.

    Args:
        model: name of released weights (``aether-lite info`` lists them) or a codec file.
        vocoder: FARGAN weights, public ``.pth`` or ``.safetensors``; None for the released ones.

    Raises:
        AetherError: no such file, or not a codec.
    """
    weights, provenance = load_codec(codec_path(model))
    return Codec(weights, provenance, Path(vocoder) if vocoder is not None else None)
