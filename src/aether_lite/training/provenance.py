"""Where weights come from: enough to train them again."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import torch

import aether_lite
from aether_lite.codec.loading import codec_path, read_provenance
from aether_lite.data.corpus import Corpus
from aether_lite.training.config import FREE_TO_CHANGE, TrainConfig


def data_hash(corpus: Corpus) -> str:
    """Hash of the names and lengths of all clips, in sampling order."""
    digest = hashlib.sha256()
    for clip in corpus.clips:
        digest.update(f"{clip.path.name}\t{clip.frames}\n".encode())
    return digest.hexdigest()[:16]


def commit() -> str:
    """Commit of the package's source tree, ``+`` added if it was changed; empty where there is none."""
    folder = Path(aether_lite.__file__).parent
    answers = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."]):
        try:
            done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=False)
        except FileNotFoundError:  # no git on this machine
            return ""
        if done.returncode:
            return ""
        answers.append(done.stdout.strip())
    return answers[0] + ("+" if answers[1] else "")


def started_from(codec: str) -> dict[str, Any]:
    """Name, commit and steps (those before it included) of the weights to start from; empty for none.

    Args:
        codec: a released name, a file, or empty.
    """
    if not codec:
        return {}
    given = read_provenance(codec_path(codec))
    before = given.get("started_from", {})  # of a file that was not written by the trainer: anything
    counts = (given.get("steps_done", 0), before.get("steps", 0) if isinstance(before, dict) else 0)
    steps = sum(count for count in counts if isinstance(count, int))
    return {"model": Path(codec).stem, "commit": given.get("commit", ""), "steps": steps}


def hours_of(corpus: Corpus) -> str:
    """How much speech of which data roots, in words."""
    return f"{corpus.frames / 360_000:.2f} h: {', '.join(root.name for root in corpus.roots)}"


def provenance(config: TrainConfig, step: int, corpus: Corpus, start: dict[str, Any]) -> dict[str, Any]:
    """Options, steps, data, code version and commit, as plain values.

    Args:
        config: options.
        step: steps done.
        corpus: training clips.
        start: of the weights that the run began with, see :func:`started_from`.
    """
    options = {k: v for k, v in config.as_dict().items() if k not in FREE_TO_CHANGE - {"steps"}}
    names = {name: Path(options[name]).name for name in ("codec", "fargan_ckpt", "ear", "recogniser")}
    options |= {**names, "data_root": [Path(root).name for root in config.data_root]}
    whole = {**origin(options, step, data_hash(corpus)), "data": hours_of(corpus)}
    return {**whole, "started_from": start} if start else whole


def origin(options: dict[str, Any], step: int, data: str) -> dict[str, Any]:
    """Options, steps, data hash, code version and commit of any run, as plain values."""
    return {
        "options": options,
        "steps_done": step,
        "data_hash": data,
        "version": aether_lite.__version__,
        "torch": torch.__version__,
        "commit": commit(),
    }
