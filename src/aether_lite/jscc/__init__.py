"""Joint source-channel mapping: tokens to power-constrained, rate-nested complex symbols and back."""

from aether_lite.jscc.bottleneck import SymbolBottleneck, equalise
from aether_lite.jscc.mapping import RATES, MappingDecoder, MappingEncoder
from aether_lite.jscc.power import POWERS, papr_db

__all__ = ["POWERS", "RATES", "MappingDecoder", "MappingEncoder", "SymbolBottleneck", "equalise", "papr_db"]
