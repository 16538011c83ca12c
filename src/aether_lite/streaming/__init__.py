"""The codec as a stream: samples to symbols or bits, and what is received of them to samples, as they arrive."""

from typing import Any

from aether_lite.errors import warn_renamed
from aether_lite.streaming.decoder import DecodedSpeech, Decoder
from aether_lite.streaming.encoder import Encoder

__all__ = ["DecodedSpeech", "Decoder", "Encoder"]
_RENAMED = {"BitEncoder": Encoder, "BitDecoder": Decoder, "Heard": DecodedSpeech}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed(name, _RENAMED[name].__name__)
    return _RENAMED[name]
