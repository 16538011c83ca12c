"""The command line: ``aether-lite COMMAND ...``.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from aether_lite.cli import convert, demo, info, transmit
from aether_lite.errors import AetherError

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it

app = typer.Typer(
    name="aether-lite",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Speech over noisy channels with a few hundred complex symbols per second.",
)
app.command()(demo.demo)
app.command()(transmit.transmit)
app.command()(convert.features)
app.command()(convert.vocode)
app.command()(info.info)


@app.callback()
def _root() -> None:
    pass


@app.command(
    "train", context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)
def _train(context: typer.Context) -> None:
    """Train a codec (its options: aether-lite train --help)."""
    # Its options are those of the training configuration, which imports torch: so only when it is asked for.
    from aether_lite.cli import train

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(train.train)
    command(args=context.args, prog_name="aether-lite train")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a stated error is one line on standard error and exit code 1."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except AetherError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            _leave_pipe()
        print(f"aether-lite: {' '.join(str(error).splitlines())}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        _leave_pipe()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave_pipe() -> NoReturn:
    """Exit without a word: nobody reads standard output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


if __name__ == "__main__":
    main()
