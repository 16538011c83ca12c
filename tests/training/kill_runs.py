"""Commands that are killed again and again until they end; run as a script, each start of a command is a fork.

The libraries are imported once, in a process that never computes, so that a start takes no time and a kill hits the
work rather than the imports.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

FOLDER = "FOLDER"  # among arguments: the folder to write
MODULES = {
    "train": "training.codec_task",
    "train-vocoder": "training.vocoder_task",
    "prepare": "data.prepare",
    "bench": "bench.output",
}
"""What a command imports, to be imported before."""
LATEST = 0.7  # latest moment of a kill, relative to the time of an undisturbed run
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 120.0  # seconds within which the workers of killed runs end, on a busy machine


def run_and_kill(arguments: list[str], folder: Path, kills: int, seed: int = 0) -> list[Path]:
    """Run a command undisturbed, then kill it at random moments, starting it again each time, ``kills`` times in all.

    Args:
        arguments: of ``aether-lite``; FOLDER stands for the folder that it writes.
        folder: in which those are made.
        kills: SIGKILLs; a run that ends is followed by one in a new folder.
        seed: of the moments.

    Returns:
        The folder of the undisturbed run, then those of the killed ones, each of which came to its end at last and left
        no process.
    """
    command = [sys.executable, __file__, json.dumps([arguments, str(folder), kills, seed])]
    quiet = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [folder / name for name in done.stdout.split()]


def _start(arguments: list[str]) -> int:
    """Number of a process that runs a command."""
    from aether_lite.cli.main import main

    number = os.fork()
    if number:
        return number
    code = 1
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            main(arguments)
            code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end(number: int, seconds: float = float("inf")) -> bool:
    """Whether a process ended well before so many seconds; else it is killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            if status:
                raise SystemExit(f"ended with status {status}")
            return True
        time.sleep(0.001)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return False


def _await_workers() -> None:
    """Wait until no process of any run is left."""
    until = time.monotonic() + PATIENCE
    with contextlib.suppress(ChildProcessError):  # no child
        while time.monotonic() < until:
            os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)
        raise SystemExit("a killed run left a process behind")


def _main() -> None:
    arguments, folder, kills, seed = json.loads(sys.argv[1])
    module = import_module(f"aether_lite.{MODULES[arguments[0]]}")
    if arguments[0].startswith("train"):
        import_module("torch._dynamo")  # which the first optimiser imports: seconds
    if arguments[0] == "train-vocoder":
        vars(module)["MEASURED"] = ("estoi",)  # networks take long to load

    adopts = sys.platform == "linux"  # what a killed run leaves becomes a child of this process
    if adopts:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(name: str) -> int:
        return _start([word.replace(FOLDER, f"{folder}/{name}") for word in arguments])

    began = time.monotonic()
    _end(start("whole"))
    whole, moments, names = time.monotonic() - began, random.Random(seed), ["whole"]
    while kills:
        names.append(f"killed{len(names)}")
        while kills and not _end(start(names[-1]), moments.uniform(0.02, LATEST) * whole):
            kills -= 1
        _end(start(names[-1]))
    if adopts:
        _await_workers()
    print(*names)


if __name__ == "__main__":
    _main()
