"""A small untrained codec in a file, speech in a file, and the command line called in this process."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from aether_lite.audio import write_audio
from aether_lite.cli.main import main
from aether_lite.codec import SpiCodec, save_codec


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def stated(self) -> str:
        """The message of a stated error: exit code 1 and one line on standard error."""
        assert self.code == 1, self
        assert self.out == ""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("aether-lite: ")
        return self.err

    @property
    def misused(self) -> str:
        """The message of a usage error, exit code 2, in one line and without the box around it."""
        assert self.code == 2, self
        assert self.out == ""
        return " ".join(re.sub("[\u2500-\u257f]", " ", self.err).split())


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call ``aether-lite`` with arguments."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(int(stopped.value.code or 0), out, err)

    return call


@pytest.fixture(scope="session")
def codec_file(tiny: SpiCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codec") / "tiny.safetensors"
    save_codec(tiny, path, {"note": "untrained", "seed": 0})
    return path


@pytest.fixture(scope="session")
def hash_file(tiny_hash: SpiCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hash") / "hash_tiny.safetensors"
    save_codec(tiny_hash, path, {"note": "untrained bits"})
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wav(folder: Path, speech: np.ndarray) -> Path:
    """``in.wav``: one second of speech."""
    write_audio(folder / "in.wav", speech[0, :16_000])
    return folder / "in.wav"


@pytest.fixture
def send(run: Callable[..., Result], codec_file: Path) -> Callable[..., Result]:
    """``aether-lite transmit`` with the untrained codec, whose outputs may be there."""

    def call(*arguments: object) -> Result:
        return run("transmit", *arguments, "--model", codec_file, "--force")

    return call
