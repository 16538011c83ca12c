"""The hash bottleneck: tokens to ordered bits and soft bits to tokens."""

from aether_lite.hash.bottleneck import (
    BIT_RATES,
    DEFAULT_BIT_RATE,
    BitBottleneck,
    checked_bit_rate,
    hard_bits,
    on_sphere,
    signs,
)
from aether_lite.hash.penalties import PENALTIES, HashPenalties

__all__ = [
    "BIT_RATES",
    "DEFAULT_BIT_RATE",
    "PENALTIES",
    "BitBottleneck",
    "HashPenalties",
    "checked_bit_rate",
    "hard_bits",
    "on_sphere",
    "signs",
]
