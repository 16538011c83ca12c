"""What plain and coded layouts share: the steps a reader takes, and their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aether_lite.container.bitstream import BitArray
from aether_lite.container.layout import Header, Trailer
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND


@dataclass(frozen=True)
class Ending:
    """The end of the blocks; ``trailer`` is None where none was found (tolerant reading)."""

    trailer: Trailer | None


@dataclass(frozen=True)
class Step:
    """One block, or a damaged run of blocks.

    Args:
        bits: ``[K, n] uint8`` tokens, maybe none.
        damaged: nothing vouches for them.
        ending: the file's end, if it follows.
    """

    bits: BitArray
    damaged: bool = False
    ending: Ending | None = None


class BlockLayout(Protocol):
    """Cuts the bytes after the header into blocks."""

    def step(self, buffer: bytearray, at_end: bool) -> Step | None:
        """Take the next block off the front of ``buffer``; None: more bytes are needed.

        With ``at_end`` no more bytes come, and the answer is never None.
        """
        ...


def damaged_block(name: str, header: Header, block: int, reason: str) -> AetherError:
    """The error for block ``block``."""
    first = block * header.block_tokens
    seconds = first * header.token_frames / FRAMES_PER_SECOND
    return AetherError(
        f"{name}: block {block} (from token {first}, {seconds:.2f} s) is damaged: {reason}; --tolerant goes past it"
    )


def missing_end(name: str, tokens: int) -> AetherError:
    """The error for a file without an undamaged trailer where its tokens end."""
    return AetherError(
        f"{name}: no valid end mark after token {tokens}: the file is truncated or its end damaged; "
        "--tolerant decodes what there is"
    )
