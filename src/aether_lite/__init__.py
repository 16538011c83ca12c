"""Aether-lite: speech over noisy channels with a few hundred complex symbols per second, or a few hundred bits.

::

    codec = aether_lite.load()                                        # symbols
    symbols = codec.encode(speech, rate=1000)
    received = aether_lite.channels.awgn(symbols, snr_db=10)
    decoded = codec.decode(received)

    codec = aether_lite.load("hash_small")                            # bits
    bits = codec.encode(speech, rate=600)
    decoded = codec.decode(aether_lite.channels.bsc(bits, error_rate=0.01))

Submodules load when first used.
"""

from __future__ import annotations

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from aether_lite import audio, channels, codec, features, hash, link, streaming, vocoder, zoo
    from aether_lite.codec import Codec, load
    from aether_lite.errors import AetherError
    from aether_lite.payload import Bits, Received, ReceivedBits, Symbols
    from aether_lite.streaming import Decoder, Encoder

__version__ = "0.2.0"
__all__ = [
    "AetherError", "Bits", "Codec", "Decoder", "Encoder", "Received", "ReceivedBits", "Symbols",
    "__version__", "audio", "channels", "codec", "features", "hash", "link", "load", "streaming", "vocoder", "zoo",
]
_FROM = {
    "AetherError": "errors",
    **dict.fromkeys(("Codec", "HashCodec", "load", "load_hash"), "codec"),
    **dict.fromkeys(("BitDecoder", "BitEncoder", "Decoder", "Encoder"), "streaming"),
    **dict.fromkeys(("Bits", "Received", "ReceivedBits", "Symbols"), "payload"),
}


def __getattr__(name: str) -> _Any:
    if name in _FROM:
        return getattr(_importlib.import_module(f"aether_lite.{_FROM[name]}"), name)
    if name in __all__:
        return _importlib.import_module(f"aether_lite.{name}")
    raise AttributeError(f"module 'aether_lite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
