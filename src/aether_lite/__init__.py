"""Aether-lite: speech over noisy channels with a few hundred complex symbols per second.

::

    codec = aether_lite.load()
    symbols = codec.encode(speech, rate=1000)
    received = aether_lite.channels.awgn(symbols, snr_db=10)
    heard = codec.decode(received)

or, as bits of a hash codec::

    codec = aether_lite.load_hash()
    bits = codec.encode(speech, rate=600)
    heard = codec.decode(aether_lite.channels.bsc(bits, error_rate=0.01))

Submodules load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aether_lite import audio, channels, codec, features, hash, streaming, vocoder
    from aether_lite.channels import Bits, Received, ReceivedBits, Symbols
    from aether_lite.codec import Codec, HashCodec, load, load_hash
    from aether_lite.streaming import BitDecoder, BitEncoder, Decoder, Encoder

__version__ = "0.1.0"
__all__ = [
    "BitDecoder",
    "BitEncoder",
    "Bits",
    "Codec",
    "Decoder",
    "Encoder",
    "HashCodec",
    "Received",
    "ReceivedBits",
    "Symbols",
    "__version__",
    "audio",
    "channels",
    "codec",
    "features",
    "hash",
    "load",
    "load_hash",
    "streaming",
    "vocoder",
]
_FROM = {
    **dict.fromkeys(("Codec", "HashCodec", "load", "load_hash"), "codec"),
    **dict.fromkeys(("BitDecoder", "BitEncoder", "Decoder", "Encoder"), "streaming"),
    **dict.fromkeys(("Bits", "Received", "ReceivedBits", "Symbols"), "channels"),
}


def __getattr__(name: str) -> Any:
    if name in _FROM:
        return getattr(importlib.import_module(f"aether_lite.{_FROM[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"aether_lite.{name}")
    raise AttributeError(f"module 'aether_lite' has no attribute {name!r}")
