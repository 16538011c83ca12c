"""SPI: speech as an image, its causal encoder and decoder, and the semantic read-out of tokens."""

from aether_lite.spi.image import SemanticHead, Semantics, SpeechImage
from aether_lite.spi.pyramid import SpiDecoder, SpiEncoder, State

__all__ = ["SemanticHead", "Semantics", "SpeechImage", "SpiDecoder", "SpiEncoder", "State"]
