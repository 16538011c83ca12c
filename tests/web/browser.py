"""Chromium without a window, driven by the DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
    "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)  # fmt: skip
PATIENCE_S = 120.0


def command() -> str | None:
    """The browser of this machine."""
    return next((path for path in map(shutil.which, COMMANDS) if path), None)


class Browser:
    """A browser with one page, and all that the page complained about in :attr:`faults`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.numbers, self.events, self.buffer = itertools.count(1), list[dict[str, Any]](), b""
        theirs, self.out = os.pipe()
        self.inward, out = os.pipe()
        words = [command(), *OPTIONS, f"--user-data-dir={folder}", *options, "about:blank"]
        shell = f'exec "$0" "$@" 3<&{theirs} 4>&{out}'  # the numbers that the browser expects
        self.process = subprocess.Popen(
            ["bash", "-c", shell, *words], pass_fds=(theirs, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(out)
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        os.close(self.out)
        os.close(self.inward)

    def call(self, method: str, **parameters: Any) -> Any:
        """Result of a method."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            answer = self._read(end - time.monotonic())
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)
        raise TimeoutError(method)

    def _read(self, patience: float) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            if not select.select([self.inward], [], [], patience)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.inward, 1 << 16)
            if not part:
                raise EOFError("the browser has ended")
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def run(self, expression: str) -> Any:
        """Value of an expression of JavaScript in the page, as of a press of a button."""
        given = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        done = self.call("Runtime.evaluate", expression=expression, **given)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Value of an expression, as soon as it is true."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if value := self.run(expression):
                return value
            time.sleep(0.1)
        raise AssertionError(f"{expression} does not come true: {self.run('document.body.innerText')}, {self.faults}")

    def picture(self, path: Path, width: int, dark: bool = False) -> None:
        """A picture of the whole page at a width [px]."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        time.sleep(0.5)
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def faults(self) -> list[str]:
        """Errors and warnings of the console, uncaught exceptions, and what was loaded from elsewhere."""
        found = []
        for event in self.events:
            method, given = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(given["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(given["args"]))
            elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
                found.append(given["entry"]["text"] + " " + given["entry"].get("url", ""))
            elif method == "Network.requestWillBeSent":
                url = given["request"]["url"]
                if not url.startswith(("http://127.0.0.1:", "http://localhost:", "blob:http://127.0.0.1:", "data:")):
                    found.append(f"request of {url}")
        return found
