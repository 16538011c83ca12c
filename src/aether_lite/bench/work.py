"""One result: one clip over one system at one condition, and its measures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines import Clip, Condition, Outcome, System
from aether_lite.baselines.registry import make_system
from aether_lite.bench.cache import Record
from aether_lite.bench.dataset import Source, load_clip
from aether_lite.bench.results import condition_text
from aether_lite.errors import AetherError
from aether_lite.features import FRAME, NUM_FREE, extract_features
from aether_lite.metrics import AUDIO_METRICS, FEATURE_METRICS, evaluate_audio

REMEMBERED = 64  # clips that a process keeps
FRAMES_PER_SECOND = 100
Factory = Callable[[str], System]
"""Name -> system; of a module, so that a process can be told which."""


@dataclass(frozen=True)
class Task:
    """What to compute; small, so that it can be sent to a process.

    Attributes:
        key: of the cache.
        system: name.
        source: the clip.
        seconds: only so much of it [s]; None for all.
        condition: channel and budget.
        seed: of the channel.
        audio: whether audio metrics are wanted.
        without: audio metrics that are not.
        factory: makes the system.
    """

    key: str
    system: str
    source: Source
    seconds: float | None
    condition: Condition
    seed: int
    audio: bool
    without: tuple[str, ...] = ()
    factory: Factory = make_system


def compute(task: Task) -> tuple[str, Record]:
    """The result of a task: its key and its numbers.

    Raises:
        AetherError: the clip cannot be read, or the system failed; names both.
    """
    clip = _clip(task.source, task.seconds)
    outcome = send(_system(task.factory, task.system), clip, task.condition, task.seed, task.audio)
    return task.key, measure(clip, outcome, task.audio, task.without)


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
    frames = len(clip.features)
    decoded = arrived_features(outcome)
    if decoded.shape != clip.features.shape:
        raise ValueError(f"{clip.name}: decoded features are {tuple(decoded.shape)}, sent {tuple(clip.features.shape)}")
    record: Record = {"frames": frames, "uses": outcome.uses, **outcome.measured}
    for name, metric in FEATURE_METRICS.items():
        record[name] = float(metric(decoded, clip.features, None))
    if audio:
        if outcome.audio is None:
            raise ValueError(f"{clip.name}: audio was asked for, but none arrived")
        wanted = [name for name in AUDIO_METRICS if name not in without]
        record |= evaluate_audio(outcome.audio, clip.speech, wanted, clip.language)
    return record


def arrived_features(outcome: Outcome) -> Tensor:
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


def channel_seed(seed: int, clip: str) -> int:
    """Seed of the channel for a clip: alike for all systems and conditions, which are then compared on equal noise."""
    digest = hashlib.sha256(f"{seed}\n{clip}".encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF


@lru_cache(maxsize=REMEMBERED)
def _clip(source: Source, seconds: float | None) -> Clip:
    return load_clip(source, seconds)


@lru_cache
def _system(factory: Factory, name: str) -> System:
    return factory(name)
