"""Log-mel spectra of audio as Whisper takes them, by faster-whisper."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.losses.asr.ctranslate import EXTRA


class Spectra:
    """Spectra of 80 mel bands every 10 ms, scaled as the encoder takes them; of the audio given, nothing around it.

    Raises:
        AetherError: faster-whisper is not installed.
    """

    def __init__(self) -> None:
        try:
            from faster_whisper.feature_extractor import FeatureExtractor
        except ImportError as error:
            raise AetherError(f"log-mel spectra come from faster-whisper: {EXTRA}") from error
        self._extract: Any = FeatureExtractor()

    def __call__(self, audio: Tensor, frames: int) -> Tensor:
        """``[B, frames, 80]`` of audio ``[B, 160 frames] float32``, full scale 1; on the CPU."""
        spectra = [torch.from_numpy(self._extract(row.numpy(force=True))[:, :frames]) for row in audio]
        return torch.stack(spectra).float().mT
