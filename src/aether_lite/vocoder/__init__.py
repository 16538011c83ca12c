"""Vocoders: from 20 features every 10 ms to speech at 16 kHz."""

from aether_lite.vocoder.compiled import CompiledFargan, fastest_vocoder
from aether_lite.vocoder.fargan import FARGAN, SubframeState, deemphasize, periods_from_features
from aether_lite.vocoder.fused import FrameState, FusedFargan
from aether_lite.vocoder.registry import (
    default_vocoder_path,
    load_fargan,
    load_vocoder,
    released_vocoders,
    save_fargan_safetensors,
    save_public_checkpoint,
    vocoder_path,
)
from aether_lite.vocoder.synthesis import DELAY_SAMPLES, LOOKAHEAD_FRAMES, FrameVocoder, StreamingVocoder, synthesize

__all__ = [
    "DELAY_SAMPLES", "FARGAN", "LOOKAHEAD_FRAMES", "CompiledFargan", "FrameState", "FrameVocoder", "FusedFargan",
    "StreamingVocoder", "SubframeState", "deemphasize", "default_vocoder_path", "fastest_vocoder", "load_fargan",
    "load_vocoder", "periods_from_features", "released_vocoders", "save_fargan_safetensors", "save_public_checkpoint",
    "synthesize", "vocoder_path",
]
