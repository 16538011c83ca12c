"""The one exception a user is meant to read."""

from __future__ import annotations


class AetherError(ValueError):
    """A stated error: bad input, a file that cannot be used, an option out of range.

    The message is one line that names the file (or option) at fault and says what would be right.
    The command line prints it on standard error and exits with code 1.
    """
