"""The work of a comparison: every clip through every vocoder, each result computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from aether_lite.bench.cache import Record, ResultCache, key_of
from aether_lite.bench.fingerprint import code_hash, package_versions
from aether_lite.bench.vocoders.clips import Chosen, read_clip
from aether_lite.data.processes import run_parallel
from aether_lite.errors import AetherError
from aether_lite.metrics import evaluate_audio
from aether_lite.metrics.resynthesis import REANALYSED, SPECTRAL, resynthesis_measures
from aether_lite.vocoder import FusedFargan, load_fargan, synthesize

ORIGINAL = "original"
ALONE = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")  # audio metrics without a reference
AUDIO = ("pesq_wb", "estoi", "lsd_audio_db", "mr_stft", "log_mel", *ALONE)
MEASURES = ("pesq_wb", "estoi", "lsd_audio_db", SPECTRAL, "mr_stft", "log_mel", *ALONE, *REANALYSED)
"""Columns of the results, in order."""

@dataclass(frozen=True)
class Contender:
    """A vocoder of a comparison: its name and its weights; without weights, the original speech."""

    name: str
    path: Path | None


@dataclass(frozen=True)
class Result:
    """Numbers of one clip through one vocoder."""

    vocoder: str
    clip: Chosen
    record: Record


@dataclass(frozen=True)
class _Task:
    key: str
    audio: Path
    weights: Path | None


def compare(
    folder: Path,
    clips: Sequence[Chosen],
    contenders: Sequence[Contender],
    out: Path,
    jobs: int = 1,
    say: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Results of all clips and vocoders; those in ``OUT/results.jsonl`` are not computed again.

    Args:
        folder: of the clips.
        clips: which.
        contenders: which vocoders; the original speech is scored too, under the name ``original``.
        out: folder of the cache; made if it is missing.
        jobs: processes.
        say: told after each result how many of how many are there.

    Raises:
        AetherError: a name twice, weights or a clip that cannot be read.
    """
    everyone = [Contender(ORIGINAL, None), *contenders]
    names = [contender.name for contender in everyone]
    if len(set(names)) < len(names):
        raise AetherError(f"vocoders need different names, and none may be {ORIGINAL}: {', '.join(names[1:])}")
    for contender in contenders:
        load_fargan(contender.path)  # what is no vocoder is to be an error now
    state = _state()
    weights = {contender: _file_hash(contender.path) if contender.path else ORIGINAL for contender in everyone}
    speech = {clip: _file_hash(folder / clip.path) for clip in clips}
    keys = {
        (contender, clip): key_of(vocoder=weights[contender], clip=speech[clip], **state)
        for contender in everyone
        for clip in clips
    }
    with ResultCache(out) as cache:
        missing = {
            key: _Task(key, folder / clip.path, contender.path)
            for (contender, clip), key in keys.items()
            if cache.get(key) is None
        }
        done = len(keys) - len(missing)
        for key, record in run_parallel(_compute, list(missing.values()), jobs):
            cache.add(key, record)
            done += 1
            if say is not None:
                say(done, len(keys))
        return [Result(contender.name, clip, cache.get(key) or {}) for (contender, clip), key in keys.items()]


def _compute(task: _Task) -> tuple[str, Record]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        speech, features = read_clip(task.audio)
        if task.weights is None:
            return task.key, evaluate_audio(speech, speech, ALONE)
        made = synthesize(features, _vocoder(task.weights))
        return task.key, resynthesis_measures(made, speech, features, AUDIO)
    finally:
        torch.set_num_threads(threads)


@lru_cache
def _vocoder(path: Path) -> FusedFargan:
    return FusedFargan(load_fargan(path))


def _state() -> dict[str, object]:
    """Code and packages that a result depends on."""
    return {"code": code_hash(), "packages": package_versions()}


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
