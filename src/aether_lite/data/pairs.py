"""Pairs of NAME.f32 and NAME.pcm, found once and read in place.

``NAME.f32`` holds 36 or 20 float32 a frame, ``NAME.pcm`` int16 samples at 16 kHz, 160 a frame: the speech itself, or
pre-emphasised and delayed by 80 samples (:class:`aether_lite.features.PcmKind`). A folder with one ``.f32`` and one
``.pcm`` is a pair whatever their names. Variants, which `aether-lite prepare --variants` made, are features alone, 20 a
frame.

Row t of the features is centred on sample ``160 t`` of the speech; frames ``[a, b)`` of a clip are rows ``[a, b)`` and
samples ``[160 a, 160 b)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aether_lite.data.index import holds_variants
from aether_lite.errors import AetherError
from aether_lite.features import PcmKind, detect_pcm_kind, f32_columns
from aether_lite.features.files import PREEMPHASIS_DELAY
from aether_lite.features.layout import FRAME, INT16_SCALE, NUM_ALL, NUM_FREE, PREEMPHASIS, Float32, Float64

LENGTH_TOLERANCE = 4  # frames that the two files of a pair may differ by; the slack that the Opus loader leaves
MIN_CLIP_FRAMES = 16  # shorter clips are not sampled
BYTES_PER_PCM_FRAME = 2 * FRAME
_DEEMPHASIS_STAGES = 8  # the de-emphasis remembers 2^8 samples; 0.85^256 = 9e-19
_WARM_UP = 2**_DEEMPHASIS_STAGES  # samples
_PROBED_CLIPS = 5  # of a root, to tell its kind of pcm
_SILENT_C0 = -12.4  # c0 of digital silence is -12.485


@dataclass(frozen=True)
class Clip:
    """One pair: its features, the frames both files have, its samples, and the float32 a frame of the features.

    ``pcm`` is None where there are features alone.
    """

    path: Path
    frames: int
    pcm: Path | None
    columns: int = NUM_ALL

    @property
    def samples(self) -> Path:
        """The sample file; AetherError where there is none."""
        if self.pcm is None:
            raise AetherError(f"{self.path}: has no samples beside it; give pairs of .f32 and .pcm where audio is used")
        return self.pcm


def find_clips(root: Path) -> list[Clip]:
    """Pairs below ``root`` in name order, long enough to train on.

    Raises:
        AetherError: no such folder, a file without its partner, lengths that differ, or nothing to train on.
    """
    pairs, alone = find_pairs(root)
    for path, reason in alone:
        raise AetherError(f"{path}: {reason}")
    clips = [clip for pair in pairs if (clip := open_clip(*pair)).frames >= MIN_CLIP_FRAMES]
    if not clips:
        raise AetherError(f"{root}: holds no .f32 file of {MIN_CLIP_FRAMES} frames or more")
    return clips


def find_pairs(root: Path) -> tuple[list[tuple[Path, Path | None]], list[tuple[Path, str]]]:
    """The pairs (``.f32``, ``.pcm``) below ``root`` in name order, and the files without a partner with the reason.

    Those of variants are (``.f32``, None).

    Raises:
        AetherError: no such folder.
    """
    if not root.is_dir():
        raise AetherError(f"{root}: no such data folder; make one with `aether-lite prepare SRC {root}`")
    features, samples = ({p for p in root.rglob(f"*{kind}") if p.name[0] != "."} for kind in (".f32", ".pcm"))
    if not samples and holds_variants(root):
        return [(path, None) for path in sorted(features)], []
    pairs: list[tuple[Path, Path | None]]
    pairs = [(path, pcm) for path in features if (pcm := path.with_suffix(".pcm")) in samples]
    single = (features | samples) - {path for pair in pairs for path in pair}
    paired, alone = {path.parent for path, _ in pairs}, []
    in_folders = sorted(single, key=lambda path: (path.parent, path.suffix, path))
    for folder, group in groupby(in_folders, key=lambda path: path.parent):
        here = list(group)
        if folder not in paired and [path.suffix for path in here] == [".f32", ".pcm"]:
            pairs.append((here[0], here[1]))
            continue
        for path in here:
            partner = path.with_suffix(".pcm" if path.suffix == ".f32" else ".f32")
            alone.append((path, f"has no {partner.name} beside it; prepare it again or remove it"))
    return sorted(pairs), alone


def open_clip(path: Path, pcm: Path | None) -> Clip:
    """Look at the sizes of a pair, or of a variant's features.

    Raises:
        AetherError: an empty file, a size that is no number of frames or samples, or lengths that differ by more than
            :data:`LENGTH_TOLERANCE` frames.
    """
    size = path.stat().st_size
    if pcm is None:
        if size == 0 or size % (4 * NUM_FREE):
            raise AetherError(f"{path}: {size} bytes are no whole number of frames of 20 float32; prepare it again")
        return Clip(path, size // (4 * NUM_FREE), None, NUM_FREE)
    pcm_size = pcm.stat().st_size
    if pcm_size == 0:
        raise AetherError(f"{pcm}: empty; it must hold the samples of {path.name}")
    if pcm_size % 2:
        raise AetherError(f"{pcm}: {pcm_size} bytes are no whole number of int16 samples")
    expected = pcm_size // BYTES_PER_PCM_FRAME
    fits = [columns for columns in (NUM_ALL, NUM_FREE) if size % (4 * columns) == 0]
    agrees = [columns for columns in fits if abs(size // (4 * columns) - expected) <= LENGTH_TOLERANCE]
    # The samples usually settle what a size that fits both is, without a look into the file.
    columns = agrees[0] if len(agrees) == 1 and size > 0 else f32_columns(path)
    rows = size // (4 * columns)
    if abs(rows - expected) > LENGTH_TOLERANCE:
        raise AetherError(f"{path}: has {rows} frames but {pcm.name} has {expected}; make the pair again")
    return Clip(path, min(rows, expected), pcm, columns)


def read_frames(clip: Clip, start: int, frames: int) -> Float32:
    """``[frames, 20] float32`` of a clip, from frame ``start``."""
    width = clip.columns
    rows = np.fromfile(clip.path, "<f4", frames * width, offset=start * 4 * width)
    if len(rows) != frames * width:
        raise AetherError(f"{clip.path}: ends before frame {start + frames}; was it cut since training began?")
    values = rows.reshape(frames, width)[:, :NUM_FREE]
    if not np.isfinite(values).all():
        raise AetherError(f"{clip.path}: a value near frame {start} is not finite")
    return np.ascontiguousarray(values, dtype=np.float32)


def read_speech(clip: Clip, kind: PcmKind, start: int, frames: int) -> Float32:
    """Speech of frames ``[start, start + frames)``: ``[160 frames] float32``, full scale 1.

    Pre-emphasis and delay are undone. The last 80 samples of a clip are not in a pre-emphasised file; they fade out
    (0.85 a sample) from the last one that is.
    """
    first, count = start * FRAME, frames * FRAME
    if kind is PcmKind.PLAIN:
        return _read_pcm(clip, first, count) / np.float32(INT16_SCALE)
    begin = max(0, first + PREEMPHASIS_DELAY - _WARM_UP)
    end = first + PREEMPHASIS_DELAY + count
    there = min(end, clip.frames * FRAME)
    speech = np.zeros(end - begin)
    speech[: there - begin] = _read_pcm(clip, begin, there - begin)
    _deemphasise(speech)
    return (speech[first + PREEMPHASIS_DELAY - begin :] / INT16_SCALE).astype(np.float32)


def mapped_rows(clip: Clip) -> NDArray[Any]:
    """The features as a memory map ``[frames, 36 or 20] float32``."""
    return np.memmap(clip.path, "<f4", "r", shape=(clip.frames, clip.columns))


def mapped_samples(clip: Clip) -> NDArray[Any]:
    """The samples as a memory map ``[160 frames] int16``."""
    return np.memmap(clip.samples, "<i2", "r", shape=(clip.frames * FRAME,))


def clip_kind(clip: Clip) -> PcmKind | None:
    """Whether the samples of a clip are plain or pre-emphasised; None if it is silent or too short to tell.

    Raises:
        AetherError: the samples do not belong to the features.
    """
    rows, pcm = mapped_rows(clip), mapped_samples(clip)
    if clip.frames < 4 or rows[:: max(1, clip.frames // 2000), 0].max() < _SILENT_C0:
        return None
    try:
        return detect_pcm_kind(rows, pcm)
    except AetherError as error:
        raise AetherError(f"{clip.path}: {error}") from error


def common_kind(clips: Sequence[Clip]) -> PcmKind:
    """The kind of pcm of a root, by a few of its clips.

    Raises:
        AetherError: the clips differ.
    """
    probed = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, _PROBED_CLIPS).astype(int))]
    kinds = {kind: clip for clip in probed if (kind := clip_kind(clip)) is not None}
    if len(kinds) > 1:
        plain, other = kinds[PcmKind.PLAIN].samples, kinds[PcmKind.EMPHASISED].samples
        raise AetherError(f"{other}: is pre-emphasised but {plain} is plain; give them as two data roots")
    return next(iter(kinds), PcmKind.PLAIN)


def _read_pcm(clip: Clip, first: int, count: int) -> Float32:
    samples = np.fromfile(clip.samples, "<i2", count, offset=2 * first)
    if len(samples) != count:
        raise AetherError(f"{clip.samples}: ends before sample {first + count}; was it cut since training began?")
    return samples.astype(np.float32)


def _deemphasise(signal: Float64) -> None:
    """``out[n] = signal[n] + 0.85 out[n-1]`` in place, as ``1 / (1 - a/z) = (1 + a/z)(1 + a^2/z^2)(1 + a^4/z^4)...``.

    Bits do not depend on the number of threads, as those of a matrix product may.
    """
    for stage in range(_DEEMPHASIS_STAGES):
        lag = 2**stage
        signal[lag:] += PREEMPHASIS**lag * signal[:-lag]
