"""Joint source-channel mapping: tokens to power-constrained, rate-nested complex symbols and back."""

from aether_lite.jscc.mapping import RATES, JsccDecoder, JsccEncoder
from aether_lite.jscc.power import POWERS, papr_db

__all__ = ["POWERS", "RATES", "JsccDecoder", "JsccEncoder", "papr_db"]
