"""Where weights come from: enough to train them again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

import aether_lite
from aether_lite.codec.loading import codec_path, read_provenance
from aether_lite.data.corpus import Corpus
from aether_lite.files import commit
from aether_lite.training.options import DataConfig


def data_hash(corpus: Corpus) -> str:
    """Hash of the names and lengths of all clips, in sampling order."""
    digest = hashlib.sha256()
    for clip in corpus.clips:
        digest.update(f"{clip.path.name}\t{clip.frames}\n".encode())
    return digest.hexdigest()[:16]


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


def origin(config: DataConfig, step: int, corpus: Corpus) -> dict[str, Any]:
    """Options, steps, data, code version and commit of a run after ``step`` steps, as plain values."""
    return {
        "options": config.recorded(),
        "steps_done": step,
        "data_hash": data_hash(corpus),
        "data": hours_of(corpus),
        "version": aether_lite.__version__,
        "torch": torch.__version__,
        "commit": commit(),
    }
