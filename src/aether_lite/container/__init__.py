"""Container files of the bits of a codec (.aeth): layout, entropy coder, priors."""

from aether_lite.container.layout import Header
from aether_lite.container.streams import (
    Damage,
    Recording,
    TokenReader,
    Tokens,
    TokenWriter,
    read_aeth,
    read_span,
    read_stream,
    write_aeth,
)
from aether_lite.container.weights import released_weights, weights_id

__all__ = [
    "Damage", "Header", "Recording", "TokenReader", "TokenWriter", "Tokens", "read_aeth", "read_span", "read_stream",
    "released_weights", "weights_id", "write_aeth",
]  # fmt: skip
