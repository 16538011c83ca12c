"""Data set of a benchmark: a folder of audio, of pairs made by ``prepare``, or of features only; else bundled speech.

Features without audio are joined in name order and sent as one stream, or as several of equal length; clips with audio
stay apart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

from aether_lite.audio import read_audio
from aether_lite.baselines import Clip
from aether_lite.bench.grid import evenly
from aether_lite.data.pairs import clip_kind, find_clips, open_clip, read_frames, read_speech
from aether_lite.data.sources import AUDIO_SUFFIXES
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, read_f32
from aether_lite.features.layout import FRAME, NUM_FREE, SAMPLE_RATE
from aether_lite.reading import inside, read_table

SAMPLES = "assets/samples"
SHORTEST_FRAMES = 16  # clips with less are refused
STREAM_FRAMES = 8  # joined features are cut at multiples of it: whole tokens of every codec


@dataclass(frozen=True)
class Source:
    """Where one clip comes from; small, so that it can be sent to a process."""

    name: str  # unique in the data set, such as the path below its folder
    paths: tuple[Path, ...]  # one audio file; a pair of .f32 and .pcm; or feature files, to be joined
    language: str = ""  # code, empty if unknown
    part: tuple[int, int] = (0, 1)  # number and count of the equal parts of joined features
    channel: int | None = None  # of an audio file, from 1; None for the mean of all


@dataclass(frozen=True)
class DataSet:
    """Clips to send, in name order; a title for tables; whether there is speech, not only features; files read."""

    title: str
    sources: tuple[Source, ...]
    has_audio: bool
    files: int

    def chosen(self, count: int | None) -> DataSet:
        """At most ``count`` clips, spread evenly over the names."""
        sources = tuple(evenly(self.sources, count))
        return replace(self, sources=sources, files=len(sources) if self.has_audio else self.files)

    def parted(self, count: int) -> DataSet:
        """Joined features as ``count`` streams of equal length; a data set with audio is refused.

        Raises:
            AetherError: there is audio.
        """
        if self.has_audio:
            raise AetherError("only joined features are cut into streams; clips of audio stay apart")
        (whole,) = self.sources
        parts = (replace(whole, name=f"{whole.name} {i + 1}/{count}", part=(i, count)) for i in range(count))
        return replace(self, sources=tuple(parts))


def bundled() -> DataSet:
    """Speech that comes with the package; the names begin with the language."""
    with as_file(files("aether_lite").joinpath(SAMPLES)) as folder:
        paths = sorted(folder.glob("*.flac"))
    sources = tuple(Source(path.stem, (path,), path.stem.split("_")[0]) for path in paths)
    return DataSet("bundled samples", sources, True, len(sources))


def open_dataset(folder: Path, manifest: Path | None = None) -> DataSet:
    """Find out what a folder holds.

    Args:
        folder: audio files, pairs of ``.f32`` and ``.pcm``, or ``.f32`` only, at any depth.
        manifest: tab-separated table with the columns ``path`` (relative to the table, or to the folder) and
            ``language``. Only the audio files that it names are taken.

    Raises:
        AetherError: no such folder, nothing in it, or a manifest without these columns.
    """
    if not folder.is_dir():
        raise AetherError(f"{folder}: no such data folder; give one with audio or .f32 files")
    languages = {} if manifest is None else read_languages(manifest, folder)
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    audio = [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES]
    rows = [path for path in found if path.suffix == ".f32"]
    if audio:
        named = [path for path in audio if manifest is None or path.resolve() in languages]
        if not named:
            raise AetherError(f"{folder}: holds none of the files that the manifest names")
        sources = [Source(p.relative_to(folder).as_posix(), (p,), languages.get(p.resolve(), "")) for p in named]
    elif not rows:
        raise AetherError(f"{folder}: holds no speech; give a folder with audio files or .f32 features")
    elif any(path.suffix == ".pcm" for path in found):
        pairs = [(clip.path, clip.samples) for clip in find_clips(folder)]
        sources = [Source(pair[0].relative_to(folder).with_suffix("").as_posix(), pair) for pair in pairs]
    else:
        rows.sort(key=lambda path: (path.name, path))
        return DataSet(folder.name, (Source(f"{folder.name} joined", tuple(rows)),), False, len(rows))
    return DataSet(folder.name, tuple(sources), True, len(sources))


def read_languages(manifest: Path, folder: Path) -> dict[Path, str]:
    """Language of each file that a manifest names, by resolved path.

    Raises:
        AetherError: it cannot be read, or lacks a column.
    """
    rows = read_table(manifest, "a manifest", ("path", "language"), tabs=True)
    roots = (manifest.parent, folder)
    return {inside(root, row["path"]).resolve(): row["language"] for row in rows for root in roots}


def load_clip(source: Source, seconds: float | None = None) -> Clip:
    """Read a clip (the first ``seconds`` of it) in whole frames of 10 ms; compute features that are not given.

    Of features without audio, the speech is empty.

    Raises:
        AetherError: a file cannot be read, or is shorter than 16 frames.
    """
    most = None if seconds is None else round(seconds * SAMPLE_RATE / FRAME)
    if len(source.paths) == 1 and source.paths[0].suffix.lower() in AUDIO_SUFFIXES:
        speech = read_audio(source.paths[0], source.channel)
        speech = speech[: FRAME * (len(speech) // FRAME if most is None else min(most, len(speech) // FRAME))]
        features = extract_features(speech)[:, :NUM_FREE] if len(speech) else np.empty((0, NUM_FREE), np.float32)
    elif len(source.paths) == 2 and source.paths[1].suffix == ".pcm":
        pair = open_clip(*source.paths)
        kind = clip_kind(pair)
        if kind is None:
            raise AetherError(f"{source.paths[1]}: is silent; leave it out")
        frames = pair.frames if most is None else min(most, pair.frames)
        features, speech = read_frames(pair, 0, frames), read_speech(pair, kind, 0, frames)
    else:
        features = np.concatenate([read_f32(path)[:most, :NUM_FREE] for path in source.paths])
        number, count = source.part
        length = len(features) if count == 1 else len(features) // (count * STREAM_FRAMES) * STREAM_FRAMES
        features, speech = features[number * length : (number + 1) * length], np.empty(0, np.float32)
    if len(features) < SHORTEST_FRAMES:
        raise AetherError(f"{source.paths[0]}: holds {len(features)} frames; a clip needs {SHORTEST_FRAMES} or more")
    rows = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    return Clip(source.name, torch.from_numpy(np.ascontiguousarray(speech)), rows, source.language)


def clip_hash(clip: Clip) -> str:
    """Hash of the samples, the features, and the language, which a recogniser is given."""
    digest = hashlib.sha256(clip.language.encode())
    for tensor in (clip.speech, clip.features):
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:32]
