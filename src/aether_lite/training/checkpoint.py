"""Checkpoints: everything a killed run needs to go on exactly, in files that load without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values atomically."""
    with atomic_path(path) as partial:
        torch.save(content, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint (``weights_only``); a stated error names the file that is none."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise AetherError(f"{path}: no such checkpoint") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise AetherError(f"{path}: not a checkpoint of this project ({type(error).__name__})") from error
    if not isinstance(content, dict) or "model" not in content:
        raise AetherError(f"{path}: not a checkpoint of this project (no model in it)")
    return content
