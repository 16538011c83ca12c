"""Validation data must not hold what is trained on."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator

from aether_lite.data.corpus import Corpus
from aether_lite.data.index import read_index
from aether_lite.data.pairs import Clip
from aether_lite.errors import AetherError

_PROBES, _PROBE_BYTES = 8, 512  # of a feature file, before all of it is compared


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
