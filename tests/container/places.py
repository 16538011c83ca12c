"""Where a token lies in a plain file, by the formula of docs/reference/format.md."""

from __future__ import annotations

from aether_lite.container.layout import HEADER_BYTES, Header


def token_offset(header: Header, token: int) -> int:
    """Byte at which a token starts."""
    per_token, per_block = header.bit_rate * header.token_frames // 800, 100 // header.token_frames
    return HEADER_BYTES + token // per_block * (per_block * per_token + 2) + token % per_block * per_token
