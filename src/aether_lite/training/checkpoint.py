"""Checkpoints, everything a killed run needs to go on exactly, and provenance, enough to train weights again.

Checkpoints load without running code. A run's folder holds ``step_NNNNNNNN.pth`` (the newest few) and ``best.pth``.
Every file is written under another name and renamed, so that whatever is found under its own name is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import aether_lite
from aether_lite.codec.loading import codec_path, read_provenance
from aether_lite.data.corpus import Corpus
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path, commit, make_folder
from aether_lite.reading import fits, read_checkpoint, reading, tensors_of
from aether_lite.training.options import DataConfig, RunConfig

BEST = "best.pth"
KIND = "a checkpoint of this project"
CONTENT: dict[str, Any] = {
    "model": dict[str, Tensor], "average": dict[str, Tensor], "networks": dict[str, dict[str, Tensor]],
    "optimisers": dict[str, dict[str, Any]], "step": int, "config": dict[str, Any], "data": str, "stage": str,
}  # fmt: skip
MAY_BE_UNDEFINED = "latent_power.told"  # where power was not measured for target SNRs
_PATTERN = "step_????????.pth"


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values atomically."""
    with atomic_path(path) as partial:
        torch.save(content, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and finite weights; a stated error names the file that is none."""
    content = read_checkpoint(path, KIND)
    if not {"model", "step", "config"} <= content.keys():
        raise AetherError(f"{path}: not {KIND} (no model, step and config in it)")
    for name, hint in CONTENT.items():
        if name in content and not fits(content[name], hint):
            raise AetherError(f"{path}: not {KIND} (its {name} is not what a checkpoint holds)")
    for name, value in tensors_of(content):
        if value.is_floating_point() and not name.endswith(MAY_BE_UNDEFINED) and not bool(value.isfinite().all()):
            raise AetherError(f"{path}: {name} is not finite; continue from an earlier checkpoint")
    return content


def check_same_run(path: Path, content: Mapping[str, Any], config: RunConfig, data: str) -> None:
    """Raise a stated error unless a checkpoint is of a run with these options, but for the free ones, and this data.

    Options that the checkpoint does not name had their defaults.
    """
    with reading(path, KIND):
        _check_options(path, content["config"], config)
    if content.get("data") != data:
        raise AetherError(f"{path}: was trained on other data than {', '.join(config.data_root)}")


def _check_options(path: Path, saved: Mapping[str, Any], config: RunConfig) -> None:
    renamed = {old: item.name for item in fields(config) for old in item.metadata.get("was", ())}
    given = {renamed.get(name, name): value for name, value in saved.items()}
    options, theirs = config.as_dict(), {**type(config)().as_dict(), **given}
    changed = sorted(name for name in options.keys() - config.free_to_change() if theirs[name] != options[name])
    if changed:
        raise AetherError(f"{path}: is of a run with other options ({', '.join(changed)}); use another --out")


def step_path(folder: Path, step: int) -> Path:
    """Name of the checkpoint taken after ``step`` steps."""
    return folder / f"step_{step:08d}.pth"


def newest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, if there is one."""
    found = sorted(folder.glob(_PATTERN))
    return found[-1] if found else None


def check_unused(out: Path, start: Path | None) -> None:
    """Raise a stated error where a run from ``start`` (None: from nothing) would mix with another in its folder.

    A folder is new, or is continued from its newest checkpoint.
    """
    latest = newest(out) or (out / BEST if (out / BEST).exists() else None)
    if latest is not None and (start is None or start.resolve() != latest.resolve()):
        raise AetherError(
            f"{out}: holds a run already ({latest.name}), which would be lost: give another --out, or continue it "
            "without --resume"
        )


def save_step(folder: Path, step: int, content: dict[str, Any], keep: int) -> None:
    """Write the checkpoint of a step into a run's folder and delete the oldest beyond ``keep``; ``best.pth`` stays."""
    make_folder(folder)
    save_checkpoint(step_path(folder, step), content)
    for path in sorted(folder.glob(_PATTERN))[:-keep]:
        path.unlink()


def data_hash(corpus: Corpus) -> str:
    """Hash of the names and lengths of all clips, in sampling order."""
    digest = hashlib.sha256()
    for clip in corpus.clips:
        digest.update(f"{clip.path.name}\t{clip.frames}\n".encode(errors="surrogatepass"))
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


def origin(config: DataConfig, step: int, corpus: Corpus) -> dict[str, Any]:
    """Options, steps, data, code version and commit of a run after ``step`` steps, as plain values."""
    return {
        "options": config.recorded(),
        "steps_done": step,
        "data_hash": data_hash(corpus),
        "data": f"{corpus.frames / 360_000:.2f} h: {', '.join(root.name for root in corpus.roots)}",
        "version": aether_lite.__version__,
        "torch": torch.__version__,
        "commit": commit(),
    }
