"""``aether-lite web``: the page that runs the codec in a browser, served to this machine alone."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from aether_lite.cli import options
from aether_lite.cli.io import console
from aether_lite.errors import AetherError

HOST = "127.0.0.1"  # never another: the page is for the user of this machine
PAGE = "index.html"
TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".flac": "audio/flac",
    ".svg": "image/svg+xml",
    ".aether": "application/octet-stream",
}


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, with the types that browsers ask for, whatever this machine's tables say."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def end_headers(self) -> None:
        """Let a browser ask again after the page has been built anew."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a built page on localhost, not yet running.

    Args:
        folder: that ``make web`` made.
        port: 0 for any free one.

    Raises:
        AetherError: no page in the folder, or the port is taken.
    """
    if not (folder / PAGE).is_file():
        raise AetherError(f"{folder}: no page is here; build it with `make web` in a checkout, or give its folder")
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(folder)))
    except OSError as error:
        raise AetherError(f"port {port}: cannot be used ({error.strerror}); give another with --port") from error


def web(
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", show_default="dist/web of the checkout",
                                                  help="A page that `make web` made.")] = None,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port on localhost; 0 for a free "
                                      "one.")] = 8000,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Serve the page that runs the codec in a browser, on localhost only, until Ctrl-C."""
    place = Path(__file__).parents[3] / "dist" / "web" if folder is None else folder
    with server(place, port) as running, suppress(KeyboardInterrupt):  # the usual way to end it
        console(quiet).print(f"http://localhost:{running.server_port}/ (Ctrl-C ends it)")
        running.serve_forever()
