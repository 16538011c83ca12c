"""Which clips vocoders are compared on: as many of every speaker, of like length, always the same ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.bench.grid import evenly
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, SAMPLE_RATE

SHORTEST, LONGEST = 2.5, 8.0  # seconds of a clip; of a longer one the beginning
COLUMNS = frozenset({"path", "split", "speaker", "seconds"})


@dataclass(frozen=True)
class Chosen:
    """A clip of a manifest: ``path`` below the folder, and the speaker."""

    path: str
    speaker: str


def choose(folder: Path, manifest: Path, split: str, per_speaker: int) -> list[Chosen]:
    """Clips of a split, at most ``per_speaker`` of each speaker, in name order.

    A speaker's clips of 2.5 to 8 s are taken evenly over their names; where they are too few, the shortest longer
    clips follow.

    Args:
        folder: that the manifest's paths are relative to.
        manifest: tab-separated table with the columns ``path``, ``split``, ``speaker`` and ``seconds``.
        split: whose clips.
        per_speaker: how many, from 1.

    Raises:
        AetherError: the manifest cannot be read, lacks a column, or has no such clip; a clip is not there.
    """
    if per_speaker < 1:
        raise AetherError(f"clips per speaker must be at least 1, not {per_speaker}")
    speakers: dict[str, list[tuple[float, str]]] = {}
    for row in _rows(manifest):
        if row["split"] == split and float(row["seconds"]) >= SHORTEST:
            speakers.setdefault(row["speaker"], []).append((float(row["seconds"]), row["path"]))
    if not speakers:
        raise AetherError(f"{manifest}: has no clips of at least {SHORTEST} s in the split {split!r}")
    chosen = [Chosen(path, name) for name, clips in speakers.items() for path in _of_speaker(clips, per_speaker)]
    for clip in chosen:
        if not (folder / clip.path).is_file():
            raise AetherError(f"{folder / clip.path}: no such file, but {manifest} names it")
    return sorted(chosen, key=lambda clip: clip.path)


def read_clip(path: Path) -> tuple[Tensor, Tensor]:
    """Speech ``[160 F]``, at most 8 s of it, and its features ``[F, 20]``."""
    speech = read_audio(path)[: round(LONGEST * SAMPLE_RATE)]
    speech = np.ascontiguousarray(speech[: len(speech) // FRAME * FRAME], dtype=np.float32)
    rows = np.ascontiguousarray(extract_features(speech)[:, :NUM_FREE], dtype=np.float32)
    return torch.from_numpy(speech), torch.from_numpy(rows)


def _of_speaker(clips: Sequence[tuple[float, str]], count: int) -> list[str]:
    fitting = evenly(sorted(path for seconds, path in clips if seconds <= LONGEST), count)
    longer = sorted((seconds, path) for seconds, path in clips if seconds > LONGEST)
    return fitting + [path for _, path in longer[: count - len(fitting)]]


def _rows(manifest: Path) -> list[dict[str, str]]:
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise AetherError(f"{manifest}: cannot be read as a manifest ({error})") from error
    if not rows or not rows[0].keys() >= COLUMNS:
        raise AetherError(f"{manifest}: needs the tab-separated columns {', '.join(sorted(COLUMNS))}")
    return rows
