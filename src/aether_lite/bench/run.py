"""Runs a benchmark: every system on every clip at every condition, each result computed once.

A result is kept under the hash of everything it depends on, as soon as it is there: a run that was stopped, by Ctrl-C
or a kill, continues with the same command. Neither the number of processes nor a division into shards changes a bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines import Clip, Condition, Outcome, System, make_system
from aether_lite.bench.cache import CACHE_NAME, Record, ResultCache, code_hash, key_of, load_plugins, package_versions
from aether_lite.bench.dataset import DataSet, Source, clip_hash, load_clip
from aether_lite.bench.grid import CLEAN, Grid, evenly
from aether_lite.bench.results import Row, condition_text
from aether_lite.errors import AetherError
from aether_lite.features import FRAME, NUM_FREE, extract_features
from aether_lite.metrics import AUDIO_METRICS, FEATURE_METRICS, evaluate_audio
from aether_lite.parallel import run_parallel

NO_CHANNEL = "no channel"  # channel state of a system that sends nothing
CACHE_FOLDER = "cache"
REMEMBERED = 64  # clips that a process keeps

Factory = Callable[[str], System]
"""Name -> system; a function of a module, so that it can be sent to a process."""
Progress = Callable[[int, int], None]
"""Called with the number of results that are there, and of all."""


@dataclass(frozen=True)
class Plan:
    """A benchmark to run.

    Attributes:
        dataset, grid: clips, already chosen, and conditions.
    """

    dataset: DataSet
    grid: Grid
    systems: tuple[str, ...]  # names
    seed: int = 0  # of channels
    jobs: int = 1  # processes
    factory: Factory = make_system  # makes a system of its name
    plugins: tuple[Path, ...] = ()  # files that register more systems, channels and metrics
    shard: tuple[int, int] = (1, 1)  # number I, from 1, and count N: only every Nth result is computed; (1, 1) for all

    def instances(self) -> list[System]:
        """The systems, in their order.

        Raises:
            AetherError: one cannot be made.
        """
        return [self.factory(name) for name in self.systems]

    @property
    def title(self) -> str:
        """The data set and how much of each clip is sent, in words."""
        seconds = self.grid.seconds
        return self.dataset.title + (f" (first {seconds:g} s of each)" if seconds else "")


@dataclass(frozen=True)
class Task:
    """One transmission to compute; small, so that it can be sent to a process.

    ``key`` is that of the cache, ``condition`` counts N0 from the power sent, and ``plan`` lacks clips and systems.
    """

    key: str
    system: str
    source: Source
    condition: Condition
    seed: int
    audio: bool
    plan: Plan


@dataclass(frozen=True)
class Job:
    """A row of the results: the tasks, one for each noise, that it is the mean of."""

    system: str
    condition: Condition
    source: Source
    tasks: tuple[Task, ...]

    def row(self, cache: ResultCache) -> Row | None:
        """Its numbers; None while a task has no result."""
        records = [record for task in self.tasks if (record := cache.get(task.key)) is not None]
        if len(records) < len(self.tasks):
            return None
        record = {name: math.fsum(r[name] for r in records) / len(records) for name in records[0]}
        return Row(self.system, self.source.name, self.source.language, self.condition, record)


def run(
    plan: Plan, folder: Path, progress: Progress | None = None, merged: Sequence[Path] | None = None
) -> list[Row]:
    """Compute what is not in the cache below ``folder``, and give all results.

    Args:
        plan: what to run.
        folder: of the results; ``cache/results.jsonl`` is made in it.
        progress: called at each result.
        merged: folders of shards whose results are taken; nothing is computed then.

    Returns:
        rows by system, condition and clip, in the order of the plan; of a shard, those that are complete.

    Raises:
        AetherError: a clip or a system failed, nothing can be run at any condition, or a shard's results are missing.
    """
    load_plugins(plan.plugins)
    others, (number, count) = [other / CACHE_FOLDER for other in merged or ()], plan.shard
    name = CACHE_NAME if count == 1 else f"results-{number}-of-{count}.jsonl"
    with ResultCache(folder / CACHE_FOLDER, name, others) as cache:
        powers: dict[tuple[str, int], float] = {}
        if plan.grid.equal_energy:  # every shard needs the power of all clips
            nominal = replace(plan, grid=replace(plan.grid, equal_energy=False, audio_clips=0, noises=1), shard=(1, 1))
            jobs = [job for job in _jobs(nominal, {}) if job.condition.snr_db is not None]
            # One channel is enough: the power of the symbols does not depend on it.
            jobs = list({(job.system, job.condition.rate, job.source.name): job for job in jobs}.values())
            powers = _sent_power(_computed(nominal, jobs, cache, None, merged))
        jobs = _jobs(plan, powers)
        if not jobs:
            raise AetherError("none of the systems can be run at any condition of this grid: give other rates or "
                              "systems")  # fmt: skip
        return _computed(plan, jobs, cache, progress, merged)


def _computed(
    plan: Plan, jobs: Sequence[Job], cache: ResultCache, progress: Progress | None, merged: Sequence[Path] | None
) -> list[Row]:
    """Rows that are complete after what is missing, of this shard, has been computed."""
    tasks = {task.key: task for job in jobs for task in job.tasks}
    number, count = plan.shard
    # In the order of their hashes slow and fast tasks are mixed: shards are alike, and the remaining time is right.
    wanted = [tasks[key] for key in sorted(tasks)][number - 1 :: count]
    pending = [task for task in wanted if cache.get(task.key) is None]
    if merged is not None and pending:
        raise AetherError(
            f"{len(pending)} of {len(wanted)} results are in none of {', '.join(map(str, merged))}: let every shard "
            "finish, with this version of the program"
        )
    tell = progress or (lambda done, total: None)
    tell(len(wanted) - len(pending), len(wanted))
    with closing(run_parallel(compute, pending, plan.jobs)) as results:
        for done, (key, record) in enumerate(results, len(wanted) - len(pending) + 1):
            cache.add(key, record)
            tell(done, len(wanted))
    return [row for job in jobs if (row := job.row(cache)) is not None]


def conditions_of(system: System, grid: Grid) -> list[tuple[Condition, bool]]:
    """Where a system is run, and whether with audio metrics. One that has no channel is run once, with them."""
    if system.facts.channel_state == NO_CHANNEL:
        return [(Condition(CLEAN, None, max(grid.rates)), grid.audio_conditions > 0)]
    with_audio = grid.with_audio()
    return [(condition, condition in with_audio) for condition in grid.conditions() if system.offers(condition)]


def compute(task: Task) -> tuple[str, Record]:
    """The result of a task: its key and its numbers.

    Raises:
        AetherError: the clip cannot be read, or the system failed; names both.
    """
    load_plugins(task.plan.plugins)
    clip = _clip(task.source, task.plan.grid.seconds)
    outcome = send(_system(task.plan.factory, task.system), clip, task.condition, task.seed, task.audio)
    return task.key, measure(clip, outcome, task.audio, task.plan.grid.without)


def send(system: System, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
    """One transmission on one thread, so that no bit depends on how many cores there are.

    Raises:
        AetherError: the system failed; names system, clip and condition.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return system.transmit(clip, condition, seed, audio)
    except AetherError as error:
        raise AetherError(f"{system.name}, clip {clip.name}, {condition_text(condition)}: {error}") from error
    finally:
        torch.set_num_threads(threads)


def measure(clip: Clip, outcome: Outcome, audio: bool, without: Sequence[str] = ()) -> Record:
    """All numbers of what arrived of a clip: counts, the system's own, feature metrics, audio metrics if asked for."""
    decoded = decoded_features(outcome)
    if decoded.shape != clip.features.shape:
        raise ValueError(f"{clip.name}: decoded features are {tuple(decoded.shape)}, sent {tuple(clip.features.shape)}")
    record: Record = {"frames": len(clip.features), "uses": outcome.uses, **outcome.measured}
    record |= {name: float(metric(decoded, clip.features, None)) for name, metric in FEATURE_METRICS.items()}
    if audio:
        if outcome.audio is None:
            raise ValueError(f"{clip.name}: audio was asked for, but none arrived")
        wanted = [name for name in AUDIO_METRICS if name not in without]
        record |= evaluate_audio(outcome.audio, clip.speech, wanted, clip.language)
    return record


def decoded_features(outcome: Outcome) -> Tensor:
    """Decoded features ``[F, 20]``; of a system that has only audio, those of its audio.

    Raises:
        ValueError: neither arrived.
    """
    if outcome.features is not None:
        return outcome.features[:, :NUM_FREE]
    if outcome.audio is None:
        raise ValueError("neither features nor audio arrived")
    rows = extract_features(outcome.audio.numpy())[: outcome.audio.shape[-1] // FRAME, :NUM_FREE]
    return torch.from_numpy(np.ascontiguousarray(rows))


def channel_seed(seed: int, clip: str, noise: int = 0) -> int:
    """Seed of the channel for a clip: alike for all systems and conditions, which are then compared on equal noise."""
    words = f"{seed}\n{clip}" + (f"\n{noise}" if noise else "")
    return int.from_bytes(hashlib.sha256(words.encode(errors="surrogatepass")).digest()[:4], "little") & 0x7FFFFFFF


def _jobs(plan: Plan, powers: dict[tuple[str, int], float]) -> list[Job]:
    """All rows of a plan, in order; ``powers`` [dB] by system and rate move the noise."""
    grid, sources = plan.grid, plan.dataset.sources
    with_audio = {source.name for source in evenly(sources, grid.audio_clips)} if plan.dataset.has_audio else set()
    hashes = {source.name: clip_hash(load_clip(source, grid.seconds)) for source in sources}
    code = [code_hash(), package_versions(), [hashlib.sha256(path.read_bytes()).hexdigest() for path in plan.plugins]]
    needed = replace(plan, dataset=replace(plan.dataset, sources=()), systems=(), jobs=1, shard=(1, 1))
    jobs = []
    for made_as, system in zip(plan.systems, plan.instances(), strict=True):
        for condition, audible in conditions_of(system, grid):
            sent_over, snr = condition, condition.snr_db
            if snr is not None:
                sent_over = replace(condition, snr_db=snr - powers.get((system.name, condition.rate), 0.0))
            for source in sources:
                audio = audible and source.name in with_audio
                tasks = []
                for noise in range(grid.noises if condition.channel != CLEAN else 1):
                    seed = channel_seed(plan.seed, source.name, noise)
                    key = key_of(
                        system=[system.name, system.fingerprint],
                        code=code,
                        clip=hashes[source.name],
                        condition=asdict(sent_over),
                        seed=seed,
                        audio=audio,
                        without=grid.without if audio else (),
                    )
                    tasks.append(Task(key, made_as, source, sent_over, seed, audio, needed))
                jobs.append(Job(system.name, condition, source, tuple(tasks)))
    return jobs


def _sent_power(rows: Sequence[Row]) -> dict[tuple[str, int], float]:
    """Mean power [dB] of all symbols that each system sends at each rate."""
    sent: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in rows:
        if math.isfinite(power := row.record.get("symbol_power", math.nan)):
            uses = row.record["uses"]
            sent.setdefault((row.system, row.condition.rate), []).append((power * uses, uses))
    return {
        where: 10 * math.log10(math.fsum(energy for energy, _ in parts) / math.fsum(uses for _, uses in parts))
        for where, parts in sent.items()
    }


@lru_cache(maxsize=REMEMBERED)
def _clip(source: Source, seconds: float | None) -> Clip:
    return load_clip(source, seconds)


@lru_cache
def _system(factory: Factory, name: str) -> System:
    return factory(name)
