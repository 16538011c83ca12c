"""Codec: presets, the learned codec, and speech in, speech out."""

import warnings
from typing import Any

from aether_lite.codec.backend import CompiledBackend, fastest_backend
from aether_lite.codec.codec import ALIASES_GO, Codec, load, load_hash
from aether_lite.codec.growth import grown
from aether_lite.codec.loading import codec_path, is_hash_codec, load_codec, save_codec, start_hash_codec
from aether_lite.codec.model import PRESETS, Backend, CodecConfig, SpiCodec, Transmission, preset

__all__ = [
    "PRESETS", "Backend", "Codec", "CodecConfig", "CompiledBackend", "SpiCodec", "Transmission", "codec_path",
    "fastest_backend", "grown", "is_hash_codec", "load", "load_codec", "load_hash", "preset", "save_codec",
    "start_hash_codec",
]


def __getattr__(name: str) -> Any:
    if name == "HashCodec":
        warnings.warn(f"HashCodec goes in {ALIASES_GO}: it is Codec", FutureWarning, stacklevel=2)
        return Codec
    raise AttributeError(f"module 'aether_lite.codec' has no attribute {name!r}")
