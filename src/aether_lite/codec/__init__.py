"""The composition: presets, the learned codec, and speech in, speech out."""

from aether_lite.codec.model import SpiJscc, Transmission
from aether_lite.codec.presets import PRESETS, CodecConfig, preset

__all__ = ["PRESETS", "CodecConfig", "SpiJscc", "Transmission", "preset"]
