"""The one exception a user is meant to read, and the warning of an old name."""

from __future__ import annotations

import operator
import re
import warnings
from typing import Any

OLD_NAMES_GO_IN = "0.3"  # release without the aliases of old names
_TOO_LONG = re.compile(r"([^\s/]{40})[^\s/]{220,}([^\s/]{40})")  # more than any name of a file has


class AetherError(ValueError):
    """A stated error: bad input, a file that cannot be used, an option out of range.

    The message is one line that names the file (or option) at fault and says what would be right.
    The command line prints it on standard error and exits with code 1.
    """

    def __str__(self) -> str:
        return shortened(super().__str__())


def shortened(text: str) -> str:
    """A message in which values of 300 characters or more are their first and last 40 characters."""
    return _TOO_LONG.sub(r"\1...\2", text)


def check_kind(name: str, given: object, kind: type | tuple[type, ...], advice: str) -> None:
    """Refuse for ``name`` an object of another class than ``kind``, with a word on what would be one."""
    if not isinstance(given, kind):
        raise AetherError(f"{name} must be {advice}, not {type(given).__name__}")


def is_integer(value: Any, low: int, high: int) -> bool:
    """Whether it is one integer, of any type, in [low, high]."""
    try:
        return low <= operator.index(value) <= high
    except TypeError:
        return False


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller's caller that a name has changed."""
    warnings.warn(f"{old} is now {new}; the old name goes in {OLD_NAMES_GO_IN}", FutureWarning, stacklevel=3)


def printable(text: str) -> str:
    """One line that every terminal, picture and file takes: what is no character (bytes of a file's name that are no
    UTF-8, control characters) is written as its escape, such as ``\\xe9`` or ``\\n``."""
    def shown(character: str) -> str:
        if character.isprintable():
            return character
        code = ord(character)
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]

    return text if text.isprintable() else "".join(map(shown, text))
