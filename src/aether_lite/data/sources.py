"""Which audio files to prepare, what to call them, and who speaks in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aether_lite.errors import AetherError
from aether_lite.reading import inside, leads_outside, read_table, read_text

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"})


@dataclass(frozen=True)
class Source:
    """An audio file."""

    path: Path  # absolute
    name: str  # of the pair to make, below the data root, without suffix (``folder/clip``)
    speaker: str  # the manifest's, else the file's folder, else (for a file at the top) the file


def find_sources(
    sources: Sequence[Path], manifest: Path | None = None, split: str | None = None, names: Mapping[str, str] = {}
) -> list[Source]:
    """The audio files meant by the arguments of ``aether-lite prepare``, each once, with names that differ.

    Args:
        sources: audio files, folders (searched to the bottom), and ``.txt`` lists of one path a line, relative to the
            list. Paths below a folder, or beside a list or manifest, are kept in the name.
        manifest: table of tab-separated columns with the header ``path`` (relative to it), and perhaps ``split`` and
            ``speaker``. Its files are taken; if there are ``sources`` too, those of them that lie there.
        split: take only rows with this value in ``split``.
        names: names given earlier, by path; a file keeps its own.

    Raises:
        AetherError: a path that does not exist, a list or manifest that cannot be read, or no audio at all.
    """
    if manifest is None and split is not None:
        raise AetherError(f"split {split!r} needs a manifest with a column of that name")
    found = [source for given in sources for source in _expand(given)]
    if manifest is not None:
        inside = {source.path for source in found}
        found = [source for source in _from_manifest(manifest, split) if not sources or source.path in inside]
    if not found:
        where = ", ".join(map(str, sources)) or f"{manifest}" + (f" (split {split})" if split else "")
        raise AetherError(f"{where}: no audio file ({', '.join(sorted(AUDIO_SUFFIXES))}) found")
    return _named(found, names)


def share_of(text: str) -> float:
    """A number in [0, 1) that depends on the text alone: by it speakers and clips are chosen to validate on."""
    return int.from_bytes(hashlib.sha256(os.fsencode(text)).digest()[:8]) / 2**64


def _expand(given: Path) -> list[Source]:
    """Files of one argument, in name order."""
    path = given.absolute()
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in AUDIO_SUFFIXES)
        return [_source(file, path) for file in files if file.is_file() and not file.name.startswith(".")]
    if not path.exists():
        raise AetherError(f"{given}: no such file or folder")
    if path.suffix.lower() == ".txt":
        lines = [line.strip() for line in read_text(given, "a list of files").splitlines()]
        return [_source(path.parent / line, path.parent) for line in lines if line]
    return [_source(path, path.parent)]


def _from_manifest(manifest: Path, split: str | None) -> list[Source]:
    """Files of a manifest, in its order."""
    rows = read_table(manifest, "a manifest", ["path"] + ["split"] * (split is not None), tabs=True)
    folder, found = manifest.absolute().parent, []
    for row in rows:
        if row["path"] and (split is None or row["split"] == split):
            source = _source(inside(folder, row["path"]), folder)
            found.append(replace(source, speaker=row.get("speaker") or source.speaker))
    return found


def _source(path: Path, top: Path) -> Source:
    """A file named by its place below ``top`` (by its file name if it lies elsewhere)."""
    path = Path(*path.parts) if ".." not in path.parts else path.resolve()
    inside = path.relative_to(top) if path.is_relative_to(top) else Path(path.name)
    speaker = path if path.parent == top else path.parent
    return Source(path, inside.with_suffix("").as_posix(), str(speaker))


def _named(found: Iterable[Source], names: Mapping[str, str]) -> list[Source]:
    """Each file once; where two want one name, the later one gets a hash of its path behind it."""
    taken = {name.casefold() for name in names.values()}  # some file systems do not tell a from A
    result: dict[Path, Source] = {}
    for source in found:
        if source.path in result:
            continue
        name = names.get(str(source.path))
        if name is None:
            name, mark = source.name, hashlib.sha256(os.fsencode(source.path)).hexdigest()[:8]
            if leads_outside(name):
                name = mark
            elif name.casefold() in taken:
                name += f"-{mark}"
            taken.add(name.casefold())
        result[source.path] = replace(source, name=name)
    return list(result.values())
