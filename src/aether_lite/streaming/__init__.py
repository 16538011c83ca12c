"""The chain as a stream: samples to symbols or bits, and what is received of them to samples, as they arrive."""

from aether_lite.streaming.bit_decoder import BitDecoder
from aether_lite.streaming.bit_encoder import BitEncoder
from aether_lite.streaming.decoder import Decoder
from aether_lite.streaming.encoder import Encoder
from aether_lite.streaming.searching_encoder import SearchingEncoder
from aether_lite.streaming.voice import Heard

__all__ = ["BitDecoder", "BitEncoder", "Decoder", "Encoder", "Heard", "SearchingEncoder"]
