"""``aether-lite stream`` for the tests: in this process or as one of its own."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from dataclasses import dataclass
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
