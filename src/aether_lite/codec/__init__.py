"""The composition: presets, the learned codec, and speech in, speech out."""

from aether_lite.codec.codec import Codec, load
from aether_lite.codec.loading import load_codec, save_codec
from aether_lite.codec.model import SpiJscc, Transmission
from aether_lite.codec.presets import PRESETS, CodecConfig, preset

__all__ = [
    "PRESETS",
    "Codec",
    "CodecConfig",
    "SpiJscc",
    "Transmission",
    "load",
    "load_codec",
    "preset",
    "save_codec",
]
