"""The one exception a user is meant to read, and the warning of an old name."""

from __future__ import annotations

import warnings

OLD_NAMES_GO_IN = "0.3"  # release without the aliases of old names


class AetherError(ValueError):
    """A stated error: bad input, a file that cannot be used, an option out of range.

    The message is one line that names the file (or option) at fault and says what would be right.
    The command line prints it on standard error and exits with code 1.
    """


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
