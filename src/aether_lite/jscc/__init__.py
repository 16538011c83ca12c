"""Joint source-channel mapping: tokens to power-constrained, rate-nested complex symbols and back."""

from aether_lite.jscc.bottleneck import POWERS, SymbolBottleneck, equalise, papr_db
from aether_lite.jscc.mapping import RATES, MappingDecoder, MappingEncoder

__all__ = ["POWERS", "RATES", "MappingDecoder", "MappingEncoder", "SymbolBottleneck", "equalise", "papr_db"]
