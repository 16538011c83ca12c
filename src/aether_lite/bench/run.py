"""Running a benchmark: every system on every clip at every condition, each result computed once.

A result is kept under the hash of everything it depends on, as soon as it is there. A run that was stopped, by Ctrl-C
or a kill, continues with the same command; the number of processes changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aether_lite.baselines import Condition, System
from aether_lite.baselines.registry import make_system
from aether_lite.bench.cache import ResultCache, key_of
from aether_lite.bench.dataset import DataSet, Source, clip_hash, load_clip
from aether_lite.bench.fingerprint import code_hash, package_versions
from aether_lite.bench.grid import Grid, evenly
from aether_lite.bench.results import Row
from aether_lite.bench.work import Factory, Task, channel_seed, compute
from aether_lite.data.processes import run_parallel
from aether_lite.errors import AetherError

NO_CHANNEL = "no channel"  # channel state of a system that sends nothing
CACHE_FOLDER = "cache"

Progress = Callable[[int, int], None]
"""Told how many results of how many are there."""


@dataclass(frozen=True)
class Plan:
    """A benchmark to run.

    Attributes:
        dataset: clips, already chosen.
        grid: conditions.
        systems: names.
        seed: of channels.
        jobs: processes.
        factory: makes a system of its name.
    """

    dataset: DataSet
    grid: Grid
    systems: tuple[str, ...]
    seed: int = 0
    jobs: int = 1
    factory: Factory = make_system

    def instances(self) -> list[System]:
        """The systems, in their order.

        Raises:
            AetherError: one cannot be made.
        """
        return [self.factory(name) for name in self.systems]


@dataclass(frozen=True)
class Job:
    """A task and the line of the results that it fills."""

    task: Task
    system: str
    clip: str


def run(plan: Plan, folder: Path, progress: Progress | None = None) -> list[Row]:
    """Compute what is not in the cache below ``folder``, and give all results.

    Args:
        plan: what to run.
        folder: of the results; ``cache/results.jsonl`` is made in it.
        progress: told of each result.

    Returns:
        rows by system, condition and clip, in the order of the plan.

    Raises:
        AetherError: a clip or a system failed, or nothing can be run at any condition.
    """
    jobs = _jobs(plan)
    if not jobs:
        raise AetherError("none of the systems can be run at any condition of this grid: give other rates or systems")
    tell = progress or (lambda done, total: None)
    with ResultCache(folder / CACHE_FOLDER) as cache:
        pending = {job.task.key: job.task for job in jobs if cache.get(job.task.key) is None}
        done = len(jobs) - len(pending)
        tell(done, len(jobs))
        # In the order of their hashes slow and fast tasks are mixed, so that the remaining time is told truly.
        ordered = sorted(pending.values(), key=lambda task: task.key)
        for key, record in run_parallel(compute, ordered, plan.jobs):
            cache.add(key, record)
            done += 1
            tell(done, len(jobs))
        return [
            Row(job.system, job.clip, job.task.source.language, job.task.condition, cache.get(job.task.key) or {})
            for job in jobs
        ]


def data_title(plan: Plan) -> str:
    """The data set and how much of each clip is sent, in words."""
    seconds = plan.grid.seconds
    return plan.dataset.title + (f" (first {seconds:g} s of each)" if seconds else "")


def conditions_of(system: System, grid: Grid) -> list[tuple[Condition, bool]]:
    """Where a system is run, and whether with audio metrics. One that has no channel is run once, with them."""
    if system.facts.channel_state == NO_CHANNEL:
        return [(Condition("clean", None, max(grid.rates)), grid.audio_conditions > 0)]
    heard = grid.heard()
    return [(condition, condition in heard) for condition in grid.conditions() if system.offers(condition)]


def _jobs(plan: Plan) -> list[Job]:
    """All results of a plan, in order."""
    grid, sources = plan.grid, plan.dataset.sources
    heard = {source.name for source in evenly(sources, grid.audio_clips)} if plan.dataset.has_audio else set()
    hashes = dict(_hashes(sources, grid.seconds))
    code = [code_hash(), package_versions()]
    jobs = []
    for made_as, system in zip(plan.systems, plan.instances(), strict=True):
        for condition, with_audio in conditions_of(system, grid):
            for source in sources:
                audio = with_audio and source.name in heard
                seed = channel_seed(plan.seed, source.name)
                key = key_of(
                    system=[system.name, system.fingerprint],
                    code=code,
                    clip=hashes[source.name],
                    condition=asdict(condition),
                    seed=seed,
                    audio=audio,
                    without=grid.without if audio else (),
                )
                task = Task(key, made_as, source, grid.seconds, condition, seed, audio, grid.without, plan.factory)
                jobs.append(Job(task, system.name, source.name))
    return jobs


def _hashes(sources: Sequence[Source], seconds: float | None) -> Iterator[tuple[str, str]]:
    for source in sources:
        yield source.name, clip_hash(load_clip(source, seconds))
