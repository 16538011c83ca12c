"""What a data root was made from: ``prepare.jsonl``, one line a pair, the last line of a name counts.

Lines are appended as pairs are finished, so a killed run loses at most the pairs it was writing. Shard I of N appends
to a file of its own, ``prepare.I-N.jsonl``; all files of a root are read, the one written last counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aether_lite.errors import AetherError
from aether_lite.lines import LineWriter, read_lines
from aether_lite.reading import from_mapping, leads_outside

INDEX_NAME = "prepare.jsonl"
INDEX_FILES = "prepare.*jsonl"


@dataclass(frozen=True)
class Entry:
    """One pair.

    Attributes:
        size, mtime_ns: of the audio file when it was read [bytes, ns].
    """

    name: str  # below the data root, without suffix
    source: str  # path of the audio file
    size: int
    mtime_ns: int
    max_seconds: float | None  # longest part that was asked for [s], or None
    speaker: str  # who speaks, as far as known
    frames: int  # length of the pair
    variant: int | None = None  # number of a variant, whose name begins with it; None for a pair
    channel: int | None = None  # number of the recording's channel, from 1, or None for the mean of all

    @property
    def source_name(self) -> str:
        """The name without the number of the variant."""
        return self.name if self.variant is None else self.name.removeprefix(f"{self.variant}/")


def read_index(root: Path) -> dict[str, Entry]:
    """Entries of a data root by name; empty if it was not made by ``prepare``. A line cut by a kill is dropped.

    Raises:
        AetherError: a name that leads outside the root.
    """
    entries = {}
    for path in sorted(root.glob(INDEX_FILES), key=lambda path: (path.stat().st_mtime_ns, path.name)):
        for record in read_lines(path):
            try:
                entry = from_mapping(Entry, record)
            except ValueError:
                continue
            if leads_outside(entry.name):
                raise AetherError(f"{path}: name {entry.name!r} leads outside {root}; remove its line")
            entries[entry.name] = entry
    return entries


def holds_variants(root: Path) -> bool:
    """Whether a data root, or the folder of one number in it, holds variants: features without samples."""
    return any(entry.variant is not None for folder in (root, root.parent) for entry in read_index(folder).values())


def open_index(root: Path, shard: tuple[int, int] = (1, 1)) -> LineWriter:
    """The index of a data root, or of a shard (number, count) of its preparation, to append finished entries to.

    Raises:
        AetherError: it cannot be written, or another process writes it.
    """
    number, count = shard
    return LineWriter(root / (INDEX_NAME if count == 1 else f"prepare.{number}-{count}.jsonl"))
