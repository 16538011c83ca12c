"""Python examples of the README and of the first steps run as they stand, and speech comes out."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from aether_lite.audio import read_audio, write_audio
from aether_lite.features import extract_features

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": 1, "docs/start/first-steps.md": 2}  # page -> how many blocks
SAMPLE = "assets/samples/en_f_intro.flac"
LEAST_CORRELATION = 0.9  # of band levels over time and frequency; 0.98 with the released weights
LEVEL_TOLERANCE_DB = 3.0


def examples(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def band_spectrum(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 18 Bark cepstra of every frame, ``[F, 18]``."""
    return np.asarray(extract_features(samples))[:, :18]


@pytest.mark.parametrize("page", PAGES)
def test_examples_write_the_speech_they_were_given(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    speech = read_audio(Path(str(files("aether_lite") / SAMPLE)))
    write_audio("in.wav", speech)
    blocks = examples(page)
    assert len(blocks) == PAGES[page]
    exec(compile("\n".join(blocks), page, "exec"), {"__name__": "__main__"})
    decoded, sample_rate = soundfile.read("out.wav", dtype="float32")
    assert sample_rate == 16_000
    assert 0 <= len(decoded) - len(speech) < 1280  # whole tokens, or trimmed
    decoded = decoded[: len(speech)]
    level_db = 10 * np.log10(np.mean(decoded**2) / np.mean(speech**2))
    assert abs(level_db) < LEVEL_TOLERANCE_DB
    original, received = band_spectrum(speech), band_spectrum(decoded)
    assert np.corrcoef(original.ravel(), received.ravel())[0, 1] > LEAST_CORRELATION
