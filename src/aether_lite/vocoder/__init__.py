"""Vocoders: from 20 features every 10 ms to speech at 16 kHz; modules load when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aether_lite.vocoder.fargan import FARGAN, SubframeState, deemphasize, periods_from_features
    from aether_lite.vocoder.network import VocoderNetwork
    from aether_lite.vocoder.registry import (
        default_vocoder_path,
        load_fargan,
        load_network,
        released_vocoders,
        save_public_checkpoint,
        save_vocoder,
        vocoder_path,
    )
    from aether_lite.vocoder.synthesis import StreamingVocoder, Vocoder, VocoderStream, load_vocoder, synthesize

__all__ = [
    "FARGAN",
    "StreamingVocoder",
    "SubframeState",
    "Vocoder",
    "VocoderNetwork",
    "VocoderStream",
    "deemphasize",
    "default_vocoder_path",
    "load_fargan",
    "load_network",
    "load_vocoder",
    "periods_from_features",
    "released_vocoders",
    "save_public_checkpoint",
    "save_vocoder",
    "synthesize",
    "vocoder_path",
]
_FROM = {
    **dict.fromkeys(("FARGAN", "SubframeState", "deemphasize", "periods_from_features"), "fargan"),
    "VocoderNetwork": "network",
    **dict.fromkeys(("StreamingVocoder", "Vocoder", "VocoderStream", "load_vocoder", "synthesize"), "synthesis"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FROM.get(name, 'registry')}"), name)
