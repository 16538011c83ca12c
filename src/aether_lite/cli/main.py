"""The command line: ``aether-lite COMMAND ...``.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer

from aether_lite.cli import aeth, bench, convert, demo, export, info, live, prepare, stream, train, transmit
from aether_lite.cli.options import with_new_names
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
app.command()(aeth.encode)
app.command()(aeth.decode)
app.command()(convert.features)
app.command()(convert.vocode)
app.command()(info.info)
app.command()(prepare.prepare)
app.command()(prepare.check)
app.command()(stream.stream)
app.command()(live.live)
app.command()(export.export)
app.command()(bench.bench)


@app.callback()
def _root() -> None:
    pass


def _add_training(command: str, text: str, hidden: bool = False, was: str = "") -> None:
    """A command whose options are parsed by :mod:`aether_lite.training`."""

    def run(context: typer.Context) -> None:
        if was:
            print(f"aether-lite: {was} is now {command}; the old name goes in 0.3", file=sys.stderr)
        train.train(command, context.args)

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    about = f"{text} (its options: aether-lite {command} --help)."
    app.command(was or command, help=about, hidden=hidden, context_settings=settings)(run)


for _command, (_, _text) in train.COMMANDS.items():
    _add_training(_command, _text)
_add_training("train-mel-predictor", "Former name", hidden=True, was="train-ear")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a stated error is one line on standard error and exit code 1."""
    try:
        with _interruptible():
            app(args=with_new_names(sys.argv[1:] if arguments is None else arguments))
    except AetherError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            _leave_pipe()
        print(f"aether-lite: {' '.join(str(error).splitlines())}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        _leave_pipe()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C becomes KeyboardInterrupt, also where an import that it cuts short ends in another error."""
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    # Not where it is ignored or somebody's own; and only the main thread may set it.
    main_thread = threading.current_thread() is threading.main_thread()
    usual = main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, press)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave_pipe() -> NoReturn:
    """Exit without a word: nobody reads standard output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


if __name__ == "__main__":
    main()
