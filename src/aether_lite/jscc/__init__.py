"""Joint source-channel mapping: tokens to power-constrained, rate-nested complex symbols and back."""

from aether_lite.jscc.mapping import RATES, JsccDecoder, JsccEncoder
from aether_lite.jscc.power import papr_db

__all__ = ["RATES", "JsccDecoder", "JsccEncoder", "papr_db"]
