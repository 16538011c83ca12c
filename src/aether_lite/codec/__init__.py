"""The composition: presets, the learned codec, and speech in, speech out."""

from aether_lite.codec.bit_model import SpiHash
from aether_lite.codec.codec import Codec, load
from aether_lite.codec.growth import grown
from aether_lite.codec.hash_codec import HashCodec, load_hash
from aether_lite.codec.loading import is_hash_codec, load_codec, load_hash_codec, save_codec, start_hash_codec
from aether_lite.codec.model import SpeechImageCodec, Steps, Transmission
from aether_lite.codec.presets import PRESETS, CodecConfig, preset
from aether_lite.codec.steps import CompiledSteps, fastest_steps
from aether_lite.codec.symbol_model import SpiJscc

__all__ = [
    "PRESETS",
    "Codec",
    "CodecConfig",
    "CompiledSteps",
    "HashCodec",
    "SpeechImageCodec",
    "SpiHash",
    "SpiJscc",
    "Steps",
    "Transmission",
    "fastest_steps",
    "grown",
    "is_hash_codec",
    "load",
    "load_codec",
    "load_hash",
    "load_hash_codec",
    "preset",
    "save_codec",
    "start_hash_codec",
]
