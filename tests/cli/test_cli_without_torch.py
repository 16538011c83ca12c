"""Every command of the live chain and of files runs where torch is not installed; the others say that they need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aether_lite.audio import write_audio

PROGRAM = """
import importlib.util, sys

class Absent:
    # As if packages were not installed.
    names = %r
    found = staticmethod(importlib.util.find_spec)

    def find_spec(self, name, *rest):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

importlib.util.find_spec = lambda name, *rest: None if name in Absent.names else Absent.found(name, *rest)
sys.meta_path.insert(0, Absent())
from aether_lite.cli.main import main
for words in %r:
    try:
        main(words)
    except SystemExit as stopped:
        if stopped.code:
            raise
"""


def run(folder: Path, *commands: list[str], without: tuple[str, ...] = ("torch",)) -> subprocess.CompletedProcess[str]:
    """Commands in one process in which packages cannot be imported."""
    code = PROGRAM % (without, commands)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip


@pytest.fixture
def wav(tmp_path: Path, speech: np.ndarray) -> Path:
    """A second of speech."""
    write_audio(tmp_path / "in.wav", speech[0, :16_000])
    return tmp_path / "in.wav"


def test_speech_goes_through_every_command_without_torch(wav: Path, codec_file: Path, hash_file: Path) -> None:
    symbols, bits = ["--model", str(codec_file), "-q"], ["--model", str(hash_file), "-q"]
    done = run(
        wav.parent,
        ["features", "in.wav", "a.f32", "-q"],
        ["vocode", "a.f32", "a.wav", "-q"],
        ["transmit", "in.wav", "b.wav", "--snr", "6", "--channel", "mpp", "--erasure", "0.1", "--json", *symbols],
        ["transmit", "a.f32", "c.wav", "--ber", "0.01", *bits],
        ["transmit", "a.f32", "d.f32", "--snr", "6", "--channel", "rayleigh", "--modulation", "qpsk", *bits],
        ["encode", "in.wav", "e.aeth", *bits],
        ["decode", "e.aeth", "e.wav", *bits],
        ["info", str(codec_file)],
        ["export", "a.aether", "--native", *symbols],
    )
    assert done.returncode == 0, done.stderr
    assert '"f0_correlation"' in done.stdout
    for name in ("a.wav", "b.wav", "c.wav", "d.f32", "e.wav", "a.aether"):
        assert (wav.parent / name).stat().st_size > 1000


@pytest.mark.slow
def test_the_demo_runs_without_torch(tmp_path: Path, codec_file: Path) -> None:
    done = run(tmp_path, ["demo", "--quick", "--model", str(codec_file)])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo_out" / "table.md").exists()


def test_a_package_that_is_missing_is_named_in_one_line(wav: Path, hash_file: Path) -> None:
    refined = ["encode", "in.wav", "e.aeth", "--refine", "1", "--model", str(hash_file)]
    for words, name in ((["export", "folder"], "torch"), (refined, "torch"), (["bench", "-o", "b"], "torch")):
        done = run(wav.parent, words)
        assert done.returncode == 1, done
        assert done.stderr.count("\n") == 1, done.stderr
        assert f"needs the package {name}, which is not installed: pip install '.[torch]'" in done.stderr
    drawn = ["transmit", "in.wav", "b.wav", "--snr", "6", "--picture", "b.png"]
    done = run(wav.parent, drawn, without=("torch", "matplotlib"))
    assert done.stderr == (
        "aether-lite: --picture needs the package matplotlib, which is not installed: pip install '.[demo]'\n"
    )
    assert not (wav.parent / "b.wav").exists()


def test_the_interface_over_arrays_is_what_load_gives_without_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, aether_lite
codec = aether_lite.load("small")
sent = codec.encode(np.zeros(6400), rate=300)
received = aether_lite.channels.awgn(sent, snr_db=10, seed=0)
decoder = aether_lite.streaming.Decoder(codec)
heard = decoder.push(received).samples, decoder.flush().samples
assert isinstance(codec.decode(received), np.ndarray)
assert sum(map(len, heard)) == 6400
"""
    subprocess.run([sys.executable, "-c", code], check=True)
