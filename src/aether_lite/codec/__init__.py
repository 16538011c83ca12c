"""Codec: presets, the learned codec, and speech in, speech out.

Submodules load when first used. :func:`load` gives a :class:`Codec` over tensors; where torch is not installed it gives
a :class:`~aether_lite.core.codec.CoreCodec` over arrays.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aether_lite.optional import missing_packages

if TYPE_CHECKING:
    from aether_lite.codec.codec import Codec, load, load_hash
    from aether_lite.codec.config import PRESETS, CodecConfig, preset
    from aether_lite.codec.growth import grown
    from aether_lite.codec.loading import codec_path, is_hash_codec, load_codec, save_codec, start_hash_codec
    from aether_lite.codec.model import Backend, SpiCodec, Transmission

__all__ = [
    "PRESETS", "Backend", "Codec", "CodecConfig", "SpiCodec", "Transmission", "codec_path", "grown", "is_hash_codec",
    "load", "load_codec", "load_hash", "preset", "save_codec", "start_hash_codec",
]  # fmt: skip
ALIASES_GO = "0.3"  # release without the old names
_FROM = {
    **dict.fromkeys(("Codec", "load", "load_hash"), "codec"),
    **dict.fromkeys(("PRESETS", "CodecConfig", "preset"), "config"),
    "grown": "growth",
    **dict.fromkeys(("codec_path", "is_hash_codec", "load_codec", "save_codec", "start_hash_codec"), "loading"),
    **dict.fromkeys(("Backend", "SpiCodec", "Transmission"), "model"),
}


def __getattr__(name: str) -> Any:
    if name == "HashCodec":
        warnings.warn(f"HashCodec goes in {ALIASES_GO}: it is Codec", FutureWarning, stacklevel=2)
        name = "Codec"
    if name == "load" and missing_packages(["torch"]):
        return import_module("aether_lite.core.codec").CoreCodec
    if name not in _FROM:
        raise AttributeError(f"module 'aether_lite.codec' has no attribute {name!r}")
    return getattr(import_module(f"aether_lite.codec.{_FROM[name]}"), name)
