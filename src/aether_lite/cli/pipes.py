"""What the commands that sit in a pipe share: prompt output, and input that ends early."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from typing import BinaryIO

T = TypeVar("T")


def check_pipes() -> None:
    """Refuse a terminal at either side."""
    for file, way in ((sys.stdin, "from"), (sys.stdout, "into")):
        if file.isatty():
            raise AetherError(f"standard {'input' if way == 'from' else 'output'} is a terminal; pipe {way} a program")


def put(data: bytes) -> None:
    """Write to standard output at once."""
    out: BinaryIO = sys.stdout.buffer
    out.write(data)
    out.flush()


def passed_on(pieces: Iterable[T], handle: Callable[[T], None], end: Callable[[], None]) -> None:
    """Handle every piece and then the end; where the input ends early, what came before is passed on first.

    Raises:
        AetherError: what the pieces or their handling raised.
    """
    early: AetherError | None = None
    try:
        for piece in pieces:
            handle(piece)
    except AetherError as error:
        early = error
    end()
    if early is not None:
        raise early
