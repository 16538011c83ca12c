"""Audio files to a tree of NAME.f32 / NAME.pcm pairs, or of the features of variants of them.

Each source becomes 16 kHz mono int16, cut to whole frames of 10 ms, and the 36 features of every frame. The samples
are stored plain. The bytes of a pair depend on its source alone.

Variants (:mod:`aether_lite.data.variants`) are stored as features alone, 20 a frame, as ``NUMBER/NAME.f32``; number 0
is the speech as it is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from aether_lite.audio import read_audio
from aether_lite.data.index import INDEX_FILES, Entry, open_index, read_index
from aether_lite.data.pairs import BYTES_PER_PCM_FRAME, MIN_CLIP_FRAMES
from aether_lite.data.sources import Source, share_of
from aether_lite.data.variants import SCENE_CLIPS, SPEEDS, Variant
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, write_f32, write_pcm
from aether_lite.features.layout import FRAME, INT16_SCALE, NUM_ALL, NUM_FREE, SAMPLE_RATE
from aether_lite.files import make_folder, remove_partials
from aether_lite.parallel import available_cores, run_parallel
from aether_lite.reading import inside

PAIR_SUFFIXES = (".f32", ".pcm")
SHORTEST_SECONDS = MIN_CLIP_FRAMES * FRAME / SAMPLE_RATE


@dataclass(frozen=True)
class Task:
    """One source and where its pair goes; of a variant, where its features go, with its number and scene."""

    source: Source
    root: Path
    min_seconds: float = SHORTEST_SECONDS
    max_seconds: float | None = None
    variant: int | None = None
    scene: str = ""
    channel: int | None = None  # of the recording; None for the mean of all

    @property
    def features(self) -> Path:
        return inside(self.root, f"{self.source.name}.f32")

    @property
    def samples(self) -> Path:
        return inside(self.root, f"{self.source.name}.pcm")


@dataclass(frozen=True)
class Outcome:
    """What became of a task: an entry if there is a pair now, else the error, or none where it is too short."""

    task: Task
    entry: Entry | None = None
    reused: bool = False
    error: str | None = None


@dataclass
class Summary:
    """Counts of a run."""

    made: int = 0
    reused: int = 0
    short: int = 0
    frames: int = 0
    failed: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.error is not None:
            self.failed.append(outcome.error)
        elif outcome.entry is None:
            self.short += 1
        else:
            self.made += not outcome.reused
            self.reused += outcome.reused
            self.frames += outcome.entry.frames

    @property
    def hours(self) -> float:
        """Speech in the pairs made and found."""
        return self.frames * FRAME / SAMPLE_RATE / 3600


def split_speakers(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """Sources to train and to validate on, without a common speaker, by a hash of the speaker.

    Args:
        share: of the speakers to validate on, about, in (0, 1).

    Raises:
        AetherError: one side would be empty.
    """
    if not 0 < share < 1:
        raise AetherError(f"the share of speakers to validate on must lie between 0 and 1, not {share}")
    train = [source for source in sources if share_of(source.speaker) >= share]
    valid = [source for source in sources if share_of(source.speaker) < share]
    if not train or not valid:
        count, empty = len({source.speaker for source in sources}), "validate" if train else "train"
        raise AetherError(f"a share of {share} of {count} speaker(s) leaves none to {empty} on; give another share")
    return train, valid


def variant_tasks(tasks: Sequence[Task], count: int) -> list[Task]:
    """Tasks of variants 0 .. count - 1 of the sources of ``tasks``, variant by variant.

    A scene is :data:`~aether_lite.data.variants.SCENE_CLIPS` sources of a speaker that follow each other by name.
    """
    seen: Counter[str] = Counter()
    made = []
    for task in sorted(tasks, key=lambda task: task.source.name):
        source = task.source
        scene = f"{source.speaker}/{seen[source.speaker] // SCENE_CLIPS}"
        seen[source.speaker] += 1
        for number in range(count):
            named = replace(source, name=f"{number}/{source.name}")
            made.append(replace(task, source=named, variant=number, scene=scene))
    return sorted(made, key=lambda task: task.variant or 0)


def tasks_of_shard(tasks: Sequence[Task], shard: tuple[int, int]) -> list[Task]:
    """Every Nth task in the order of roots and names: together the shards (1, N) .. (N, N) have each once."""
    number, count = shard
    return sorted(tasks, key=lambda task: (str(task.root), task.source.name))[number - 1 :: count]


def check_pairs_kept(tasks: Sequence[Task], force: bool = False) -> None:
    """Refuse pairs that would replace a source, or, unless ``force``, files in a root that ``prepare`` has not filled.

    Raises:
        AetherError: names the file.
    """
    sources = {os.path.realpath(task.source.path) for task in tasks if task.source.path.suffix in PAIR_SUFFIXES}
    foreign = {root for root in {task.root for task in tasks} if not force and not any(root.glob(INDEX_FILES))}
    for task in tasks:
        for path in (task.features, task.samples):
            if sources and os.path.realpath(path) in sources:
                raise AetherError(f"{path}: is an input too and would be overwritten; give another data root")
            if task.root in foreign and path.exists():
                raise AetherError(f"{path}: is there already, and not made by prepare; add --force to replace it, or "
                                  "give another data root")  # fmt: skip


def prepare(
    tasks: Sequence[Task], jobs: int | None = None, *, strict: bool = False, shard: tuple[int, int] = (1, 1)
) -> Generator[Outcome, None, None]:
    """Make the pairs of ``tasks`` that are not there yet; yields each outcome as it comes.

    Args:
        tasks: with names that differ within a root.
        jobs: processes; by default one for each core.
        strict: raise at the first source that cannot be used.
        shard: number and count where ``tasks`` are those of a shard; it writes an index file of its own.

    Raises:
        AetherError: a folder that cannot be written or that another process fills, a full disk, a killed worker; with
            ``strict`` a bad source.
    """
    for task in tasks[:1]:
        if task.max_seconds is not None and task.max_seconds < max(task.min_seconds, SHORTEST_SECONDS):
            raise AetherError(f"max-seconds must not be less than {max(task.min_seconds, SHORTEST_SECONDS):g}")
    if jobs is not None and jobs < 1:
        raise AetherError(f"jobs must be 1 or more, not {jobs}")
    for root in {task.root for task in tasks}:
        _make_folders(root, (task.features.parent for task in tasks if task.root == root))
    with ExitStack() as stack:
        roots = sorted({task.root for task in tasks})
        writers = {root: stack.enter_context(open_index(root, shard)) for root in roots}
        indices = {root: read_index(root) for root in roots}
        for task in tasks[:1]:
            _check_kind(task, indices[task.root])
        open_tasks = []
        for task in tasks:
            entry = indices[task.root].get(task.source.name)
            if entry is not None and _is_current(task, entry):
                yield Outcome(task, entry, reused=True)
            else:
                open_tasks.append(task)
        _remove_half_written(open_tasks)  # by a run that was killed
        stack.callback(_remove_half_written, open_tasks)  # by workers that are ended
        outcomes = run_parallel(make_pair, open_tasks, available_cores() if jobs is None else jobs)
        for outcome in stack.enter_context(closing(outcomes)):
            if outcome.entry is not None:
                writers[outcome.task.root].add(asdict(outcome.entry))
            if strict and outcome.error is not None:
                raise AetherError(outcome.error)
            yield outcome


def _remove_half_written(tasks: Sequence[Task]) -> None:
    """Remove what killed processes left of the files of tasks."""
    names: dict[Path, set[str]] = {}
    for path in (path for task in tasks for path in (task.features, task.samples)):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, own in names.items():
        remove_partials(folder, own)


def make_pair(task: Task) -> Outcome:
    """Write one pair. A flawed source gives an outcome with an error.

    Raises:
        AetherError: the pair cannot be written.
    """
    source = task.source
    try:
        before = source.path.stat()
        audio = read_audio(source.path, task.channel)
    except (AetherError, OSError) as error:
        reason = str(error) if isinstance(error, AetherError) else f"{source.path}: {error.strerror}"
        return Outcome(task, error=reason)
    if len(audio) < task.min_seconds * SAMPLE_RATE:
        task.features.unlink(missing_ok=True)  # of an earlier run that took shorter ones
        task.samples.unlink(missing_ok=True)
        return Outcome(task)
    if task.max_seconds is not None:
        audio = audio[: round(task.max_seconds * SAMPLE_RATE)]
    if task.variant:
        audio = Variant.draw(task.variant, task.scene).apply(audio)
    frames = len(audio) // FRAME
    pcm = np.clip(np.rint(audio[: frames * FRAME] * np.float32(INT16_SCALE)), -INT16_SCALE, INT16_SCALE - 1)
    samples = pcm.astype(np.int16)
    features = extract_features(samples)  # the specification: samples as they are, never conditioned
    try:
        # A killed run must not leave features beside samples of something else: old features go first, new come last.
        task.features.unlink(missing_ok=True)
        if task.variant is None:
            write_pcm(task.samples, samples)
            write_f32(task.features, features)
        else:
            write_f32(task.features, features, NUM_FREE)
    except OSError as error:
        raise AetherError(f"{task.features}: cannot be written ({error.strerror})") from error
    size, changed = before.st_size, before.st_mtime_ns
    made = (source.name, str(source.path), size, changed, task.max_seconds, source.speaker, frames, task.variant)
    return Outcome(task, Entry(*made, task.channel))


def _is_current(task: Task, entry: Entry) -> bool:
    """Whether the pair is whole and made from the source as it is now."""
    try:
        source = task.source.path.stat()
        size = task.features.stat().st_size
        pcm_size = task.samples.stat().st_size if task.variant is None else 0
    except OSError:
        return False
    columns, per_frame = (NUM_ALL, BYTES_PER_PCM_FRAME) if task.variant is None else (NUM_FREE, 0)
    shortest = task.min_seconds / (SPEEDS[1] if task.variant else 1)
    return (
        entry.frames * FRAME >= (shortest * SAMPLE_RATE) // FRAME * FRAME
        and entry.source == str(task.source.path)
        and (entry.size, entry.mtime_ns) == (source.st_size, source.st_mtime_ns)
        and (entry.max_seconds, entry.speaker) == (task.max_seconds, task.source.speaker)
        and entry.channel == task.channel
        and (size, pcm_size) == (entry.frames * 4 * columns, entry.frames * per_frame)
    )


def _check_kind(task: Task, there: Mapping[str, Entry]) -> None:
    """Refuse pairs and variants in one folder."""
    for entry in there.values():
        if (entry.variant is None) != (task.variant is None):
            held, wanted = ("pairs", "variants") if entry.variant is None else ("variants", "pairs")
            raise AetherError(f"{task.root}: holds {held}; give another folder for {wanted}")


def _make_folders(root: Path, folders: Iterable[Path]) -> None:
    for folder in sorted({root, *folders}):  # the root first, which a message then names
        make_folder(folder)
