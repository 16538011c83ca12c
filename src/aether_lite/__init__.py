"""Aether-lite: speech over noisy channels with a few hundred complex symbols per second.

    codec = aether_lite.load()
    symbols = codec.encode(speech, rate=1000)
    received = aether_lite.channels.awgn(symbols, snr_db=10)
    heard = codec.decode(received)

Submodules load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aether_lite import audio, channels, codec, features, streaming, vocoder
    from aether_lite.codec import Codec, load
    from aether_lite.streaming import Decoder, Encoder

__version__ = "0.1.0"
__all__ = [
    "Codec",
    "Decoder",
    "Encoder",
    "__version__",
    "audio",
    "channels",
    "codec",
    "features",
    "load",
    "streaming",
    "vocoder",
]
_FROM = {"load": "codec", "Codec": "codec", "Encoder": "streaming", "Decoder": "streaming"}


def __getattr__(name: str) -> Any:
    if name in _FROM:
        return getattr(importlib.import_module(f"aether_lite.{_FROM[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"aether_lite.{name}")
    raise AttributeError(f"module 'aether_lite' has no attribute {name!r}")
