"""Sizes of the codec."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aether_lite.errors import AetherError


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
        hash: kind of the hash bottleneck of a hash codec (sign, tanh or spherical); empty for an analogue codec.
        linear: whether a linear path lies beside the networks, see :mod:`aether_lite.jscc.linear`.
        flat: units of the dense layers that stand for the pyramids (an ablation); 0 for the pyramids.
        power: constraint on the symbols of an analogue codec, token or session, see :mod:`aether_lite.jscc.power`.
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
    flat: int = 0
    power: str = "token"

    def __post_init__(self) -> None:
        if self.lookahead not in (0, 1):
            raise ValueError(f"a decoder looks 0 or 1 tokens ahead, not {self.lookahead}")
        if self.expansion < 1:
            raise ValueError(
                f"sequence blocks have at least as many gated units as the width, not {self.expansion} times"
            )


LONG = CodecConfig(
    width=144, channels=(8, 16, 32, 72), encoder_blocks=2, decoder_blocks=3, lookahead=1, linear=True, power="session"
)
SMALL = replace(LONG, token_frames=4)

PRESETS: dict[str, CodecConfig] = {
    "tiny": CodecConfig(
        width=32, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=1, linear=True, power="session"
    ),
    "small": SMALL,
    "long": LONG,
    "lowdelay": CodecConfig(
        width=128,
        channels=(8, 16, 32, 72),
        encoder_blocks=2,
        decoder_blocks=3,
        token_frames=2,
        linear=True,
        power="session",
    ),
    "base": replace(SMALL, encoder_blocks=3, decoder_blocks=5, expansion=4),
}


def preset(name: str) -> CodecConfig:
    """The named preset; an unknown name is a stated error."""
    if name not in PRESETS:
        raise AetherError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
