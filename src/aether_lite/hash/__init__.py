"""The hash bottleneck: tokens to ordered bits and soft bits to tokens."""

from aether_lite.hash.bottleneck import KINDS, HashBottleneck, HashKind, checked_kind, sharpness_at, signs
from aether_lite.hash.mapping import BIT_RATES, HashDecoder, HashEncoder, checked_bit_rate
from aether_lite.hash.penalties import PENALTIES, HashPenalties

__all__ = [
    "BIT_RATES",
    "KINDS",
    "PENALTIES",
    "HashBottleneck",
    "HashDecoder",
    "HashEncoder",
    "HashKind",
    "HashPenalties",
    "checked_bit_rate",
    "checked_kind",
    "sharpness_at",
    "signs",
]
