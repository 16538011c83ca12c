"""Whether the pairs of a data root can be trained on, what is in them, and whether two sets of speech are disjoint.

Files are read block by block, so that a pair of any length takes little memory.
"""

from __future__ import annotations

import filecmp
import hashlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aether_lite.data.index import read_index
from aether_lite.data.pairs import (
    MIN_CLIP_FRAMES,
    Clip,
    clip_kind,
    find_pairs,
    mapped_rows,
    mapped_samples,
    open_clip,
    read_speech,
)
from aether_lite.errors import AetherError
from aether_lite.features import PcmKind, layout
from aether_lite.features.files import CEPSTRUM_LIMIT, PITCH_TOLERANCE
from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.parallel import available_cores, run_parallel

if TYPE_CHECKING:
    from aether_lite.data.corpus import Corpus

SILENCE_DBFS = -60  # RMS of a frame, full scale 1; quieter frames count as silence
LOWEST_DBFS = -120  # quieter frames are counted here
CLIPPED = 32_767  # size of an int16 sample that counts as clipped
C0_RANGE = (-12.6, CEPSTRUM_LIMIT)  # digital silence is -12.485
CORRELATION_TOLERANCE = 5e-3
BLOCK_FRAMES = 20_000
_PROBES, _PROBE_BYTES = 8, 512  # of a feature file, before all of it is compared


@dataclass(frozen=True)
class PairReport:
    """What one pair holds, or why it cannot be used.

    Attributes:
        frames, columns: of the features.
        levels: frames at each whole dB of RMS from -120 to 0 dBFS ``[121]``.
    """

    path: Path  # the .f32 (or the file without a partner)
    error: str | None = None  # None if it can be used
    kind: PcmKind | None = None  # of the samples; None if it is silent or too short to tell
    frames: int = 0
    columns: int = 0
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1 - LOWEST_DBFS, np.int64))
    peak: float = 0.0  # largest sample, full scale 1
    clipped: int = 0  # samples at the ends of int16
    digest: bytes = b""  # of the samples, or of features without; equal for duplicates


class RootReport:
    """What a data root holds; ``levels``, ``peak`` and ``clipped`` as in :class:`PairReport`, of all pairs.

    Attributes:
        broken: one line for each file that cannot be used.
        pairs, frames, short: pairs that can be used, their frames, and those too short to be sampled.
        kinds, columns: how many pairs of each kind of pcm and each width.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken: list[str] = []
        self.pairs = self.frames = self.short = self.clipped = 0
        self.kinds: Counter[PcmKind] = Counter()
        self.columns: Counter[int] = Counter()
        self.levels = np.zeros(1 - LOWEST_DBFS, np.int64)
        self.peak = 0.0
        self._first_of_kind: dict[PcmKind, Path] = {}
        self._by_digest: dict[bytes, list[Path]] = {}

    def add(self, report: PairReport) -> None:
        """Count one pair."""
        if report.error is not None:
            self.broken.append(report.error)
            return
        self.pairs += 1
        self.frames += report.frames
        self.short += report.frames < MIN_CLIP_FRAMES
        self.clipped += report.clipped
        self.columns[report.columns] += 1
        self.levels = self.levels + report.levels
        self.peak = max(self.peak, report.peak)
        self._by_digest.setdefault(report.digest, []).append(report.path)
        if report.kind is not None:
            self.kinds[report.kind] += 1
            self._first_of_kind[report.kind] = min(report.path, self._first_of_kind.get(report.kind, report.path))

    def finish(self) -> None:
        """Judge the root as a whole."""
        if len(self.kinds) > 1:
            plain, other = self._first_of_kind[PcmKind.PLAIN], self._first_of_kind[PcmKind.EMPHASISED]
            self.broken.append(
                f"{self.root}: mixes plain pcm ({plain}) with pre-emphasised ({other}); make it two data roots"
            )
        elif not self.broken and self.pairs == self.short:
            self.broken.append(f"{self.root}: holds no pair of {MIN_CLIP_FRAMES} frames or more")
        self.broken.sort()

    @property
    def duplicates(self) -> list[list[Path]]:
        """Groups of pairs with the same samples."""
        return sorted(sorted(paths) for paths in self._by_digest.values() if len(paths) > 1)

    @property
    def hours(self) -> float:
        return self.frames * FRAME / SAMPLE_RATE / 3600

    @property
    def clipped_share(self) -> float:
        return self.clipped / max(1, self.frames * FRAME)

    @property
    def silence_share(self) -> float:
        """Of the frames: those below :data:`SILENCE_DBFS`."""
        return float(self.levels[: SILENCE_DBFS - LOWEST_DBFS].sum() / max(1, self.levels.sum()))

    def level_dbfs(self, quantile: float) -> float:
        """Level [dBFS] that this share of the frames that are not silence stays below, to 1 dB."""
        below = np.cumsum(self.levels[SILENCE_DBFS - LOWEST_DBFS :])
        return float(SILENCE_DBFS + np.searchsorted(below, quantile * below[-1])) if below[-1] else float("-inf")


def find_tasks(root: Path) -> tuple[list[tuple[Path, Path | None]], list[PairReport]]:
    """The pairs to look at, and reports on files without a partner.

    Raises:
        AetherError: no such folder, or nothing in it.
    """
    pairs, alone = find_pairs(root)
    if not pairs and not alone:
        raise AetherError(f"{root}: holds no .f32 and .pcm files; make some with `aether-lite prepare SRC {root}`")
    return pairs, [PairReport(path, f"{path}: {reason}") for path, reason in alone]


def check_pairs(pairs: list[tuple[Path, Path | None]], jobs: int | None = None) -> Generator[PairReport, None, None]:
    """A report on each pair, as it is ready; close it as :func:`~aether_lite.parallel.run_parallel`."""
    return run_parallel(check_pair, pairs, available_cores() if jobs is None else jobs)


def check_pair(pair: tuple[Path, Path | None]) -> PairReport:
    """Read both files of a pair, or a variant's features, to their ends."""
    try:
        clip = open_clip(*pair)
        _check_values(clip)
        if clip.pcm is None:
            return PairReport(clip.path, frames=clip.frames, columns=clip.columns, digest=_digest(clip.path))
        return _measure(clip, clip_kind(clip))
    except AetherError as error:
        return PairReport(pair[0], str(error))
    except OSError as error:
        return PairReport(pair[0], f"{pair[0]}: cannot be read ({error.strerror})")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _measure(clip: Clip, kind: PcmKind | None) -> PairReport:
    digest = hashlib.blake2b(digest_size=16)
    levels = np.zeros(1 - LOWEST_DBFS, np.int64)
    peak, clipped = 0.0, 0
    for start in range(0, clip.frames, BLOCK_FRAMES):
        frames = min(BLOCK_FRAMES, clip.frames - start)
        stored = np.array(mapped_samples(clip)[start * FRAME : (start + frames) * FRAME])
        digest.update(stored.tobytes())
        clipped += int(np.count_nonzero((stored >= CLIPPED) | (stored <= -CLIPPED)))
        speech = read_speech(clip, kind or PcmKind.PLAIN, start, frames).reshape(frames, FRAME)
        peak = max(peak, float(speech.max()), -float(speech.min()))
        power = np.einsum("fn,fn->f", speech, speech) / FRAME
        decibels = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DBFS / 10)))
        at = np.clip(np.floor(decibels).astype(np.int64) - LOWEST_DBFS, 0, -LOWEST_DBFS)
        levels += np.bincount(at, minlength=len(levels))
    return PairReport(clip.path, None, kind, clip.frames, clip.columns, levels, peak, clipped, digest.digest())


def _check_values(clip: Clip) -> None:
    """Refuse features that no speech has.

    Raises:
        AetherError: names the frame, the column and the value.
    """
    low, high = np.full(clip.columns, -np.inf), np.full(clip.columns, np.inf)
    low[layout.CEPSTRA], high[layout.CEPSTRA] = -CEPSTRUM_LIMIT, CEPSTRUM_LIMIT
    low[0], high[0] = C0_RANGE
    low[layout.PITCH], high[layout.PITCH] = layout.PITCH_MIN - PITCH_TOLERANCE, layout.PITCH_MAX + PITCH_TOLERANCE
    low[layout.VOICING] = layout.CORRELATION_MIN - CORRELATION_TOLERANCE
    high[layout.VOICING] = layout.CORRELATION_MAX + CORRELATION_TOLERANCE
    for start in range(0, clip.frames, BLOCK_FRAMES):
        rows = np.array(mapped_rows(clip)[start : start + BLOCK_FRAMES])  # mapped anew: lets go of what was read
        good = (low <= rows) & (rows <= high) & np.isfinite(rows)
        if not good.all():
            frame, column = np.unravel_index(int(np.argmin(good)), good.shape)
            value, limits = rows[frame, column], f"[{low[column]:g}, {high[column]:g}]"
            what = f"outside {limits}" if np.isfinite(value) else "not a finite number"
            raise AetherError(f"{clip.path}: frame {start + frame}, column {column} is {value:g}, {what}")


def check_disjoint(train: Corpus, valid: Corpus, *, speakers: bool = True) -> None:
    """Refuse two corpora with a file or a speaker in common.

    A file is the same if its features are, byte for byte. Roots made by ``aether-lite prepare`` know their speakers
    and sources; in other roots the folders below the root count as speakers.

    Args:
        train, valid: what is trained and validated on.
        speakers: False allows a speaker on both sides, but no file.

    Raises:
        AetherError: names a validation file and the file it clashes with.
    """
    trained = dict(_keys(train, speakers))
    for key, clip in _keys(valid, speakers):
        other = trained.get(key)
        if other is not None:
            what = {"path": "is also trained on", "source": "is made from the same audio as"}
            same = what.get(key[0], f"has the speaker {key[1]} of")
            raise AetherError(f"{clip.path}: {same} {other.path}; validate on other speech")
    lengths = {clip.frames for clip in valid.clips}
    by_probe = {_probe(clip): clip for clip in train.clips if clip.frames in lengths}
    for clip in valid.clips:
        other = by_probe.get(_probe(clip))
        if other is not None and filecmp.cmp(clip.path, other.path, shallow=False):
            raise AetherError(f"{clip.path}: is a copy of {other.path}, which is trained on; validate on other speech")


def _keys(corpus: Corpus, speakers: bool) -> Iterator[tuple[tuple[str, str], Clip]]:
    """What identifies each clip: (kind of key, value)."""
    index = {str(root.absolute() / name): entry for root in corpus.roots for name, entry in read_index(root).items()}
    for clip in corpus.clips:
        path = clip.path.absolute()
        yield ("path", str(path.resolve())), clip
        known = index.get(str(path.with_suffix("")))
        if known is not None:
            yield ("source", known.source), clip
            if speakers:
                yield ("speaker", known.speaker), clip
        elif speakers:
            root = next(root for root in corpus.roots if path.is_relative_to(root.absolute()))
            folder = path.parent.relative_to(root.absolute()).as_posix()
            if folder != ".":
                yield ("folder", folder), clip


def _probe(clip: Clip) -> bytes:
    """A few pieces of a feature file and its length."""
    size = clip.path.stat().st_size
    probe = str(size).encode()
    with clip.path.open("rb") as file:
        for number in range(_PROBES):
            file.seek(size * number // _PROBES)
            probe += file.read(_PROBE_BYTES)
    return probe
