"""``aether-lite web``: a folder served on localhost alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aether_lite.cli.web import HOST, server


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html>")
    for name in ("app.js", "aether.wasm", "a.flac", "small.aether"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_files_have_the_types_that_browsers_ask_for(page: Path) -> None:
    with server(page, 0) as running:
        assert running.server_address[0] == HOST == "127.0.0.1"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        types = {}
        for name in ("", "app.js", "aether.wasm", "a.flac", "small.aether", "../secret"):
            connection = http.client.HTTPConnection(HOST, running.server_port)
            connection.request("GET", f"/{name}")
            answer = connection.getresponse()
            types[name] = (answer.status, answer.headers.get_content_type())
            connection.close()
        running.shutdown()
    assert types == {
        "": (200, "text/html"),
        "app.js": (200, "text/javascript"),
        "aether.wasm": (200, "application/wasm"),
        "a.flac": (200, "audio/flac"),
        "small.aether": (200, "application/octet-stream"),
        "../secret": (404, "text/html"),
    }


def test_it_says_where_and_ends_by_ctrl_c(run: Callable[..., Any], page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(_: ThreadingHTTPServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", pressed)
    done = run("web", page, "--port", 0)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("http://localhost:")


def test_a_folder_without_a_page_and_a_taken_port_are_one_line(run: Callable[..., Any], page: Path) -> None:
    assert "no page is here; build it with `make web`" in run("web", page / "none").stated
    with server(page, 0) as running:
        assert f"port {running.server_port}: cannot be used" in run("web", page, "--port", running.server_port).stated
