"""Configuration of a learned codec: the sizes that fix the shape of its weights, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aether_lite.errors import AetherError
from aether_lite.reading import check_types

POWERS = ("token", "session", "held")  # power constraints of symbols
HASH = "sign"  # the bits of a hash codec are signs of its latents


LARGEST = {
    "width": 2048, "channels": 512, "encoder_blocks": 64, "decoder_blocks": 64, "token_frames": 64, "expansion": 16,
}  # fmt: skip
"""Limits of the sizes of a codec: no file or option makes a network of any size."""


@dataclass(frozen=True)
class CodecConfig:
    """Everything that fixes the shape of a codec's weights.

    Attributes:
        width: token width.
        channels: feature maps of the convolutional pyramid: stem and three levels.
        encoder_blocks, decoder_blocks: sequence blocks over tokens.
        token_frames: frames of 10 ms per token.
        expansion: gated units of a sequence block over the width.
        lookahead: tokens that the decoder waits for before it gives a token's features, 0 or 1.
        hash: :data:`HASH` for a codec of bits; empty for one of symbols.
        linear: whether a linear path lies beside the networks, see :class:`~aether_lite.jscc.LinearPath`.
        power: power constraint of symbols, token, session or held, see :mod:`aether_lite.jscc`.

    Raises:
        ValueError: a value that no codec has.
    """

    width: int
    channels: tuple[int, int, int, int]
    encoder_blocks: int
    decoder_blocks: int
    token_frames: int = 8
    lookahead: int = 0
    expansion: int = 2
    hash: str = ""
    linear: bool = False
    power: str = "token"

    def __post_init__(self) -> None:
        check_types(self)
        for name, most in LARGEST.items():
            sizes = getattr(self, name)
            if not all(1 <= size <= most for size in (sizes if isinstance(sizes, tuple) else (sizes,))):
                raise ValueError(f"{name} must be 1 to {most}, not {sizes}")
        for name, known in (("lookahead", (0, 1)), ("hash", ("", HASH)), ("power", POWERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {getattr(self, name)!r}")


LONG = CodecConfig(
    width=144, channels=(8, 16, 32, 72), encoder_blocks=2, decoder_blocks=3, lookahead=1, linear=True, power="session"
)
SMALL = replace(LONG, token_frames=4)

PRESETS: dict[str, CodecConfig] = {
    "tiny": replace(LONG, width=32, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=1, lookahead=0),
    "small": SMALL,
    "long": LONG,
    "lowdelay": replace(LONG, width=128, token_frames=2, lookahead=0),
    "base": replace(SMALL, encoder_blocks=3, decoder_blocks=5, expansion=4),
}


def preset(name: str) -> CodecConfig:
    """The named preset; an unknown name is a stated error."""
    if name not in PRESETS:
        raise AetherError(f"unknown preset {name!r:.60}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
