"""Feature files (``.f32``) and sample files (``.pcm``), both without a header.

``.f32``: little-endian float32 rows of 36 (:mod:`aether_lite.features.layout`) or of 20, without the LPC.
``.pcm``: little-endian int16, 16 kHz, mono; plain speech, or pre-emphasised and delayed by 80 samples.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features import layout
from aether_lite.features.layout import (
    FRAME,
    NUM_ALL,
    NUM_FREE,
    Float32,
    Float64,
    cepstra_of_windows,
    lpc_from_cepstrum,
)
from aether_lite.features.samples import numbers
from aether_lite.files import atomic_path
from aether_lite.reading import reading

CEPSTRUM_LIMIT = 45.0  # size of a cepstral coefficient: silence has c0 -12.5, a full-scale square wave below 35
PITCH_TOLERANCE = 1e-3  # octaves beyond the range that a file may hold
LPC_TOLERANCE = 0.02  # recomputed LPC of files made with an approximate logarithm differ by up to 1.3e-3
PREEMPHASIS_DELAY = 80  # samples, of pre-emphasised .pcm
_PROBE_ROWS = 256
_PROBE_FRAMES = 400
_KIND_TOLERANCE = 0.1  # mean cepstral difference; a right reading has about 1e-3, a wrong one 0.5 and more


class PcmKind(StrEnum):
    """What the samples beside a feature file are."""

    PLAIN = "plain"  #: the speech itself
    EMPHASISED = "emphasised"  #: pre-emphasised by 0.85 and delayed by 80 samples


def read_f32(path: str | Path) -> Float32:
    """All rows of a feature file.

    Args:
        path: a file of 36 float32 per frame (taken as is) or of 20 (the LPC are computed from the cepstra).

    Returns:
        ``[F, 36] float32``, F >= 1.

    Raises:
        AetherError: no such file, a size that is no number of frames, a value that is not finite, a cepstral
            coefficient outside [-45, 45], or a pitch outside [-1.5, 1.5]; names the file and the frame.
    """
    columns = f32_columns(path)
    with reading(path, "a file of features"):
        rows = np.fromfile(path, dtype="<f4").reshape(-1, columns).astype(np.float32, copy=False)
    _check_rows(rows, str(path))
    return rows if columns == NUM_ALL else _with_lpc(rows)


def f32_columns(path: str | Path) -> int:
    """Floats per frame in a feature file, 36 or 20, without reading all of it.

    A size that fits both is decided by columns 20..35: in rows of 36 they are the LPC of columns 0..17.

    Raises:
        AetherError: no such file, empty, or a size that is no number of frames.
    """
    size = _size(path)
    if size == 0:
        raise AetherError(f"{path}: empty; a feature file has 36 or 20 float32 per frame")
    fits = [columns for columns in (NUM_ALL, NUM_FREE) if size % (4 * columns) == 0]
    if not fits:
        raise AetherError(
            f"{path}: {size} bytes are no whole number of frames of 36 float32 (144 bytes) or 20 (80 bytes)"
        )
    if len(fits) == 1:
        return fits[0]
    with reading(path, "a file of features"):
        values = np.memmap(path, dtype="<f4", mode="r").reshape(-1, NUM_ALL)
        rows = np.array(values[_spread(len(values), _PROBE_ROWS)], dtype=np.float64)
    return NUM_ALL if _holds_own_lpc(rows) else NUM_FREE


def write_f32(path: str | Path, features: ArrayLike, columns: int = NUM_ALL) -> None:
    """Write feature rows; the file appears whole or not at all.

    Args:
        path: where to; ``NAME.partial`` beside it serves while writing.
        features: ``[F, 36]`` or ``[F, 20]``, F >= 1.
        columns: floats per frame to write, 36 or 20. LPC that are not given are computed from the cepstra.

    Raises:
        AetherError: another shape, or rows that :func:`read_f32` would refuse.
    """
    with np.errstate(over="ignore"):  # beyond float32: infinite, which is refused
        rows = numbers(features, "features").astype(np.float32)
    if rows.ndim != 2 or rows.shape[1] not in (NUM_ALL, NUM_FREE) or len(rows) == 0:
        raise AetherError(f"{path}: features must be [F, 36] or [F, 20] with F >= 1, not {rows.shape}")
    if columns not in (NUM_ALL, NUM_FREE):
        raise AetherError(f"{path}: a feature file has 36 or 20 columns, not {columns}")
    _check_rows(rows, str(path))
    if columns > rows.shape[1]:
        rows = _with_lpc(rows)
    _write_whole(Path(path), np.ascontiguousarray(rows[:, :columns], dtype="<f4"))


def read_pcm(path: str | Path) -> NDArray[np.int16]:
    """Samples ``[N] int16`` of a .pcm file, which may be empty; AetherError for no such file or an odd number of bytes.
    """
    size = _size(path)
    if size % 2:
        raise AetherError(f"{path}: {size} bytes are no whole number of int16 samples")
    with reading(path, "a file of samples"):
        return np.fromfile(path, dtype="<i2").astype(np.int16, copy=False)


def write_pcm(path: str | Path, samples: ArrayLike) -> None:
    """Write samples ``[N] int16``, whole or not at all; AetherError for samples of another type or shape."""
    given = numbers(samples, "samples")
    if given.dtype != np.int16 or given.ndim != 1:
        raise AetherError(f"{path}: samples must be int16 [N], not {given.dtype} {given.shape}")
    _write_whole(Path(path), np.ascontiguousarray(given, dtype="<i2"))


def detect_pcm_kind(features: ArrayLike, pcm: ArrayLike) -> PcmKind:
    """Tell whether samples beside features are plain or pre-emphasised and delayed, by recomputing cepstra.

    Up to 400 of the louder frames are compared. Digital silence fits both and counts as plain.

    Args:
        features: ``[F, >= 18]`` rows.
        pcm: ``[N] int16``; sample 0 is the start of row 0's newest 160 samples.

    Raises:
        AetherError: less than two frames in common, or neither reading fits.
    """
    rows, samples = numbers(features, "features"), numbers(pcm, "pcm")
    if rows.ndim != 2 or rows.shape[1] < layout.NUM_BANDS or samples.ndim != 1:
        shapes = f"{rows.shape} and {samples.shape}"
        raise AetherError(f"features must be [F, {layout.NUM_BANDS} or more] and pcm [N], not {shapes}")
    last = min(len(rows), (len(samples) - PREEMPHASIS_DELAY) // FRAME)  # frames whose samples are all there
    if last < 2:
        raise AetherError(f"{len(rows)} feature rows and {len(samples)} samples are too few to tell whether they match")
    frames = 1 + _spread(last - 1, 20 * _PROBE_FRAMES)
    loudness = rows[frames, 0]
    frames = frames[loudness >= np.median(loudness)]
    frames = frames[_spread(len(frames), _PROBE_FRAMES)]
    expected = np.asarray(rows[frames, layout.CEPSTRA], dtype=np.float64)

    start = FRAME * (frames - 1)
    plain = _gather(samples, start, 2 * FRAME)
    before = np.where(start > 0, samples[np.maximum(start - 1, 0)].astype(np.float64), 0.0)
    delayed = np.concatenate([before[:, None], plain[:, :-1]], axis=1)
    readings = {
        PcmKind.PLAIN: plain - layout.PREEMPHASIS * delayed,
        PcmKind.EMPHASISED: _gather(samples, start + PREEMPHASIS_DELAY, 2 * FRAME),
    }
    distance = {
        kind: float(np.median(np.mean(np.abs(cepstra_of_windows(windows) - expected), axis=-1)))
        for kind, windows in readings.items()
    }
    kind = min(distance, key=lambda reading: distance[reading])
    if not distance[kind] <= _KIND_TOLERANCE:
        raise AetherError(
            "the samples match the features neither as plain speech "
            f"(cepstra differ by {distance[PcmKind.PLAIN]:.2g}) nor as pre-emphasised "
            f"and delayed ({distance[PcmKind.EMPHASISED]:.2g})"
        )
    return kind


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` indices spread evenly over ``count``."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _gather(samples: NDArray[Any], start: NDArray[np.int64], length: int) -> Float64:
    """``[F, length]`` pieces of ``samples`` from each start, float64."""
    return np.asarray(samples[start[:, None] + np.arange(length)], dtype=np.float64)


def _holds_own_lpc(rows: Float64) -> bool:
    """Whether columns 20..35 of ``[F, 36]`` are the LPC of columns 0..17."""
    if not np.isfinite(rows).all():
        return False
    # Rows read with the wrong width can hold anything; an overflow on the way only means "no".
    with np.errstate(all="ignore"):
        difference = np.abs(lpc_from_cepstrum(rows[:, layout.CEPSTRA]) - rows[:, layout.LPC])
    return bool((difference <= LPC_TOLERANCE).all())


def _with_lpc(rows: Float32) -> Float32:
    """Rows ``[F, 20]`` with the LPC of their cepstra: ``[F, 36]``."""
    lpc = lpc_from_cepstrum(rows[:, layout.CEPSTRA].astype(np.float64))
    return np.concatenate([rows, lpc.astype(np.float32)], axis=1)


def _check_rows(rows: Float32, name: str) -> None:
    """Refuse values that are not finite, and cepstra and pitch out of range."""
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        frame = int(np.argmin(finite))
        column = int(np.argmin(np.isfinite(rows[frame])))
        raise AetherError(f"{name}: frame {frame}, column {column} is {rows[frame, column]}, not a finite number")
    cepstra = np.abs(rows[:, layout.CEPSTRA])
    if cepstra.max(initial=0) > CEPSTRUM_LIMIT:
        frame, column = divmod(int(cepstra.argmax()), cepstra.shape[1])
        raise AetherError(
            f"{name}: frame {frame}, column {column} is {rows[frame, column]:g}, outside "
            f"[-{CEPSTRUM_LIMIT:g}, {CEPSTRUM_LIMIT:g}]: these are no features"
        )
    pitch = rows[:, layout.PITCH].astype(np.float64)
    inside = (pitch >= layout.PITCH_MIN - PITCH_TOLERANCE) & (pitch <= layout.PITCH_MAX + PITCH_TOLERANCE)
    if not inside.all():
        frame = int(np.argmin(inside))
        raise AetherError(
            f"{name}: frame {frame} has pitch {pitch[frame]:.4g}, outside "
            f"[{layout.PITCH_MIN}, {layout.PITCH_MAX}] octaves"
        )


def _size(path: str | Path) -> int:
    with reading(path, "a file"):
        return Path(path).stat().st_size


def _write_whole(path: Path, values: NDArray[Any]) -> None:
    """Write an array's bytes; the file appears whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(values.tobytes())
