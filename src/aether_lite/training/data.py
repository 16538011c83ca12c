"""Training data: trees of NAME.f32 / NAME.pcm pairs, read in place.

``NAME.f32`` holds 36 float32 a frame, ``NAME.pcm`` int16 samples at 16 kHz, 160 a frame. Nothing is loaded ahead: a
crop is read from its place in the file, so memory does not grow with the hours of speech.

Sampling has no state. The crops of step s are a function of (seed, step, item), so a resumed run and a run on any
number of processes see the same items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_ALL, NUM_FREE

BYTES_PER_FRAME = 4 * NUM_ALL
MIN_CLIP_FRAMES = 16  # shorter clips are not sampled
_ITEM_STREAM = 0xA37E  # separates this random stream from others of the same seed


@dataclass(frozen=True)
class Clip:
    """One NAME.f32 and its length in frames."""

    path: Path
    frames: int


class Corpus:
    """The clips below one or more data roots.

    Args:
        roots: folders, each with pairs anywhere below it.
        weights: relative share of each root in the samples; by default its hours.
    """

    def __init__(self, roots: Sequence[Path], weights: Sequence[float] | None = None) -> None:
        self.clips: list[Clip] = []
        share: list[float] = []
        for index, root in enumerate(roots):
            clips = find_clips(root)
            hours = sum(clip.frames for clip in clips)
            factor = 1.0 if weights is None else weights[index] / hours
            self.clips += clips
            share += [factor * clip.frames for clip in clips]
        cumulative = np.cumsum(share)
        self._cumulative = cumulative / cumulative[-1]

    @property
    def frames(self) -> int:
        """Frames in all clips."""
        return sum(clip.frames for clip in self.clips)

    def crop(self, seed: int, step: int, item: int, frames: int) -> Tensor:
        """``[frames, 20] float32`` features: a random place of a random clip, or several short clips in a row."""
        rng = np.random.default_rng((_ITEM_STREAM, seed, step, item))
        pieces: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
        missing = frames
        while missing > 0:
            clip = self.clips[int(np.searchsorted(self._cumulative, rng.random(), side="right"))]
            length = min(missing, clip.frames)
            start = int(rng.integers(clip.frames - length + 1))
            pieces.append(read_frames(clip, start, length))
            missing -= length
        return torch.from_numpy(np.concatenate(pieces))

    def batch(self, seed: int, step: int, items: Sequence[int], frames: int) -> Tensor:
        """``[len(items), frames, 20] float32``."""
        return torch.stack([self.crop(seed, step, item, frames) for item in items])


def find_clips(root: Path) -> list[Clip]:
    """Clips below ``root`` in name order, long enough to train on."""
    if not root.is_dir():
        raise AetherError(f"{root}: no such data folder; make one with `aether-lite prepare SRC {root}`")
    clips = []
    for path in sorted(root.rglob("*.f32")):
        size = path.stat().st_size
        if size % BYTES_PER_FRAME:
            raise AetherError(f"{path}: {size} bytes are not whole frames of {NUM_ALL} float32")
        if size // BYTES_PER_FRAME >= MIN_CLIP_FRAMES:
            clips.append(Clip(path, size // BYTES_PER_FRAME))
    if not clips:
        raise AetherError(f"{root}: holds no .f32 file of {MIN_CLIP_FRAMES} frames or more")
    return clips


def read_frames(clip: Clip, start: int, frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """``[frames, 20] float32`` of a clip, from frame ``start``."""
    rows = np.fromfile(clip.path, "<f4", frames * NUM_ALL, offset=start * BYTES_PER_FRAME)
    if len(rows) != frames * NUM_ALL:
        raise AetherError(f"{clip.path}: ends before frame {start + frames}; was it cut since training began?")
    values = rows.reshape(frames, NUM_ALL)[:, :NUM_FREE]
    if not np.isfinite(values).all():
        raise AetherError(f"{clip.path}: a value near frame {start} is not finite")
    return np.ascontiguousarray(values, dtype=np.float32)
