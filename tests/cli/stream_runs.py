"""``aether-lite stream`` for the tests: in this process or as one of its own; a sound device for ``live``."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from aether_lite.cli.main import main

PROGRAM = (sys.executable, "-m", "aether_lite.cli.main", "stream")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(data: bytes, *arguments: object, header: bool = False) -> Done:
    """The command in this process, between two pipes; symbols and bits without a header unless it is asked for."""
    arguments = (*arguments, *(() if header else ("--no-header",)))
    streams = [io.TextIOWrapper(io.BytesIO(given)) for given in (data, b"", b"")]
    with mock.patch.multiple(sys, **dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))):
        with pytest.raises(SystemExit) as stopped:
            main(["stream", *map(str, arguments)])
        for stream in streams[1:]:
            stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams[1:])
    return Done(int(stopped.value.code or 0), out, err)


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [*PROGRAM, *map(str, arguments), "--no-header"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32768).astype("<i2").tobytes()


def read_tokens(stream: io.BufferedReader, size: int, arrivals: list[float]) -> None:
    while len(stream.read(size)) == size:
        arrivals.append(time.monotonic())


def wait_for(arrivals: list[float], count: int) -> bool:
    """Whether ``count`` pieces have come; gives up after five minutes without."""
    end = time.monotonic() + 300
    while len(arrivals) < count and time.monotonic() < end:
        time.sleep(0.01)
    return len(arrivals) >= count


class FakeStream:
    """Calls the callback with speech, as fast as the computation keeps up, until the speech ends."""

    played: np.ndarray
    options: dict[str, Any]

    def __init__(self, recording: np.ndarray, **options: Any) -> None:
        self.recording, self.active = recording, True
        FakeStream.options = options

    def __enter__(self) -> FakeStream:
        self.thread = threading.Thread(target=self.play)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.active = False
        self.thread.join()

    def play(self) -> None:
        callback, block = self.options["callback"], self.options["blocksize"]
        pieces = []
        for start in range(0, len(self.recording) - block, block):
            out = np.full((block, 1), np.nan, np.float32)
            callback(self.recording[start : start + block, None], out, block, None, None)
            pieces.append(out[:, 0])
            time.sleep(0.002 if start % 3200 else 0.2)
            if not self.active:
                break
        FakeStream.played = np.concatenate(pieces)
        self.active = False


def fake_device(recording: np.ndarray) -> Any:
    return SimpleNamespace(PortAudioError=OSError, Stream=lambda **options: FakeStream(recording, **options))
