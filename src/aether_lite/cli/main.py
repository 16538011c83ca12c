"""The command line: ``aether-lite COMMAND ...``.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer

from aether_lite.cli import aeth, bench, convert, demo, info, live, onair, prepare, radio, stream, train, transmit, web
from aether_lite.cli.options import VERBOSE, Command, Group
from aether_lite.environment import restrict_children
from aether_lite.errors import AetherError, printable, shortened
from aether_lite.files import DISK_FULL

SIGNALLED = 128  # and the number of a signal is the exit code after it, as shells have it
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
USUAL = (signal.default_int_handler, signal.SIG_DFL)
REPEAT_SECONDS = 1.0  # signals within belong together
PROGRAM = "aether-lite"
STREAM_ERRORS = DISK_FULL | {errno.EIO, errno.EBADF}  # of writing to standard output
PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Speech over a channel": (demo.demo, transmit.transmit, stream.stream, live.live, web.web, bench.bench),
    "Radio": (radio.tx, radio.rx, onair.onair),
    "Files": (aeth.encode, aeth.decode, convert.features, convert.vocode, info.info, convert.export),
    "Training": (prepare.prepare, prepare.check),
}
"""Commands by the panel of ``--help`` in which they are listed."""

app = typer.Typer(
    name=PROGRAM,
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Speech over noisy channels with a few hundred complex symbols or bits per second.",
)


def _version(asked: bool) -> None:
    if asked:
        from aether_lite import __version__

        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the traceback of an error too; also after COMMAND.")
    ] = False,
) -> None:
    context.meta[VERBOSE] = verbose


def _add_training(command: str, text: str) -> None:
    """A command whose options are parsed by :mod:`aether_lite.training`."""

    def run(context: typer.Context) -> None:
        train.train(command, context.args)

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    about = f"{text} (options: {PROGRAM} {command} -h)."
    app.command(command, cls=Command, help=about, rich_help_panel="Training", context_settings=settings)(run)


for _panel, _functions in PANELS.items():
    for _function in _functions:
        app.command(cls=Command, rich_help_panel=_panel)(_function)
for _command, (_, _text) in train.COMMANDS.items():
    _add_training(_command, _text)


def program() -> NoReturn:
    """:func:`main` of a process of its own, which ends at once: objects of torch take half a second to take apart."""
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # what `main` wrote has been written; nobody reads the rest
            output.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a stated error is one line on standard error and exit code 1, a signal 128 and its number."""
    _open_streams()
    try:
        restrict_children()
        with _interruptible(), _flushed():
            app(args=sys.argv[1:] if arguments is None else arguments, prog_name=PROGRAM)
    except AetherError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            _leave_pipe()
        _fail(str(error))
    except BrokenPipeError:
        _leave_pipe()
    except OSError as error:  # of a name that cannot be used at all, or else of the standard streams
        if error.filename is not None:
            _fail(f"{os.fsdecode(error.filename)}: cannot be used ({error.strerror})")
        if error.errno not in STREAM_ERRORS:
            raise
        reason = "the disk is full" if error.errno in DISK_FULL else str(error.strerror)
        _drop_output()
        _fail(f"standard output: cannot be written ({reason})")
    except KeyboardInterrupt as error:
        sys.exit(SIGNALLED + (error.args[0] if error.args else signal.SIGINT))


def _fail(message: str) -> NoReturn:
    """Exit with a stated error."""
    print(f"{PROGRAM}: {printable(shortened(' '.join(message.splitlines())))}", file=sys.stderr)
    sys.exit(1)


class _Closed(io.RawIOBase):
    """A standard stream that is of no use, such as one that is closed: an error when it is used, and not before."""

    def __init__(self, name: str, what: str = "is closed") -> None:
        super().__init__()
        self._line = f"{name}: {what}; give it a file or a pipe"

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise AetherError(self._line)

    def write(self, data: object) -> int:
        _drop_output()
        raise AetherError(self._line)


def _open_streams() -> None:
    """Make standard streams print every name, and be there even if they were closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the number, so that no file of a command gets it
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Closed("standard input")))
    elif reason := _not_readable(sys.stdin):
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Closed("standard input", reason)))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed("standard output")), errors="backslashreplace")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (for as long as the process runs)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def _not_readable(stream: TextIO) -> str:
    """Why a standard stream cannot be read, nothing where it can."""
    try:
        os.read(stream.fileno(), 0)
    except io.UnsupportedOperation:  # a stream without a descriptor
        return ""
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


@contextmanager
def _flushed() -> Iterator[None]:
    """Standard output is written to its end before the exit code is known."""
    try:
        yield
    finally:
        sys.stdout.flush()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and the signals that end a process raise KeyboardInterrupt, so that nothing half-written is left.

    It is raised also where an import that it cuts short ends in another error. The first of several that come
    together counts: ``timeout`` sends two.
    """
    caught, since = 0, 0.0

    def press(number: int, _: object) -> None:
        nonlocal caught, since
        if not caught or time.monotonic() - since > REPEAT_SECONDS:
            caught, since = number, time.monotonic()
            raise KeyboardInterrupt(number)

    # Not where one is ignored or somebody's own; and only the main thread may set it.
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    usual = {number: signal.getsignal(number) for number in numbers}
    usual = {number: handler for number, handler in usual.items() if handler in USUAL}
    if threading.current_thread() is not threading.main_thread():
        usual = {}
    for number in usual:
        signal.signal(number, press)
    try:
        yield
    except (Exception, SystemExit) as error:
        if caught and getattr(error, "code", 1):  # `live` ends well by Ctrl-C
            raise KeyboardInterrupt(caught) from error
        raise
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _leave_pipe() -> NoReturn:
    """Exit without a word: nobody reads standard output any more."""
    _drop_output()
    sys.exit(1)


def _drop_output() -> None:
    """Let what waits for standard output go nowhere: it would fail again at the end of the process."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a descriptor
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (for as long as the process runs)


if __name__ == "__main__":
    program()
