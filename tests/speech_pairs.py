"""Bundled speech as audio files and as prepared pairs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aether_lite.audio import read_audio
from aether_lite.features import extract_features, write_f32, write_pcm

Int16 = NDArray[np.int16]
PairWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def speech() -> Int16:
    """The bundled clips in a row, about 46 s: ``[N] int16``."""
    folder = Path(str(files("aether_lite") / "assets" / "samples"))
    clips = [read_audio(path) for path in sorted(folder.glob("*.flac"))]
    return np.rint(np.concatenate(clips) * 32_767).clip(-32_768, 32_767).astype(np.int16)


@pytest.fixture(scope="session")
def write_pair() -> PairWriter:
    """``write_pair(stem, samples, columns=36)`` writes stem.f32 and stem.pcm of plain samples."""

    def write(stem: Path, samples: Int16, columns: int = 36) -> Path:
        stem.parent.mkdir(parents=True, exist_ok=True)
        samples = samples[: len(samples) // 160 * 160]
        write_pcm(stem.with_name(stem.name + ".pcm"), samples)
        write_f32(stem.with_name(stem.name + ".f32"), extract_features(samples), columns)
        return stem

    return write


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory, speech: Int16, write_pair: PairWriter) -> Path:
    """Six clips of 1.0 to 4.5 s in two folders; read only."""
    root = tmp_path_factory.mktemp("pairs")
    start = 0
    for number, frames in enumerate((100, 180, 250, 300, 390, 450)):
        write_pair(root / f"speaker{number % 2}" / f"clip{number}", speech[start : start + frames * 160])
        start += frames * 160
    return root
