"""Vocoders: from 20 features every 10 ms to speech at 16 kHz."""

from aether_lite.vocoder.compiled import CompiledFargan, fastest_vocoder
from aether_lite.vocoder.fargan import FARGAN, SubframeState, deemphasize, periods_from_features
from aether_lite.vocoder.fused import FrameState, FusedFargan
from aether_lite.vocoder.registry import (
    default_vocoder_path,
    load_fargan,
    load_network,
    load_vocoder,
    released_vocoders,
    save_public_checkpoint,
    save_vocoder,
    vocoder_delay,
    vocoder_path,
)
from aether_lite.vocoder.synthesis import FrameVocoder, StreamingVocoder, frames_behind, synthesize

__all__ = [
    "FARGAN",
    "CompiledFargan",
    "FrameState",
    "FrameVocoder",
    "FusedFargan",
    "StreamingVocoder",
    "SubframeState",
    "deemphasize",
    "default_vocoder_path",
    "fastest_vocoder",
    "frames_behind",
    "load_fargan",
    "load_network",
    "load_vocoder",
    "periods_from_features",
    "released_vocoders",
    "save_public_checkpoint",
    "save_vocoder",
    "synthesize",
    "vocoder_delay",
    "vocoder_path",
]
