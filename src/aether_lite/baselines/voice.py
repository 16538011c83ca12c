"""The released vocoder, loaded once in a process."""

from __future__ import annotations

from functools import cache

from torch import Tensor

from aether_lite.vocoder import FusedFargan, default_vocoder_path, load_fargan, synthesize


@cache
def released_vocoder() -> FusedFargan:
    """FARGAN with the released weights."""
    return FusedFargan(load_fargan(default_vocoder_path()))


def speak(features: Tensor) -> Tensor:
    """Speech ``[160 F] float32`` of features ``[F, 20]``."""
    return synthesize(features, released_vocoder())
