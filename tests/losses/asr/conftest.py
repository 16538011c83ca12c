"""Speech to listen to."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from aether_lite.audio import read_audio


@pytest.fixture(scope="session")
def speech_seconds() -> np.ndarray:
    """30 s of the bundled clips: ``[480000] float32``."""
    folder = Path(str(files("aether_lite") / "assets" / "samples"))
    clips = [read_audio(path) for path in sorted(folder.glob("*.flac"))]
    return np.concatenate(clips)[:480_000].astype(np.float32)
