"""SPI: speech as an image, its causal encoder and decoder, and the semantic read-out of tokens."""

from aether_lite.spi.decoder import SpiDecoder
from aether_lite.spi.encoder import SpiEncoder
from aether_lite.spi.flat import FlatDecoder, FlatEncoder, matched_hidden
from aether_lite.spi.image import SpeechImage
from aether_lite.spi.layers import State
from aether_lite.spi.semantic import SemanticHead, Semantics

__all__ = [
    "FlatDecoder",
    "FlatEncoder",
    "SemanticHead",
    "Semantics",
    "SpeechImage",
    "SpiDecoder",
    "SpiEncoder",
    "State",
    "matched_hidden",
]
