"""The chain as a stream: samples to symbols and received symbols to samples, as they arrive."""

from aether_lite.streaming.decoder import Decoder
from aether_lite.streaming.encoder import Encoder
from aether_lite.streaming.voice import Heard

__all__ = ["Decoder", "Encoder", "Heard"]
