"""The command line: ``aether-lite COMMAND ...``.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from aether_lite.cli import train
from aether_lite.errors import AetherError

app = typer.Typer(
    name="aether-lite",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Speech over noisy channels with a few hundred complex symbols per second.",
)
app.command()(train.train)


@app.callback()
def _root() -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a stated error is one line on standard error and exit code 1."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except AetherError as error:
        print(f"aether-lite: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
