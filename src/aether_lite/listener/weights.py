"""Listener files: one ``.safetensors`` with the weights (float16), their sizes and where they come from."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.listener.network import Listener

DEFAULT_LISTENER = "listener"
FORMAT = "aether-lite listener 1"
_MOST = {"width": 1024, "blocks": 64}  # no file makes a network of any size


def listener_path(name: str | Path) -> Path:
    """File of the released listener's name, or the path itself when it is one."""
    if str(name) == DEFAULT_LISTENER:
        return Path(str(resources.files("aether_lite") / "weights" / f"{DEFAULT_LISTENER}.safetensors"))
    path = Path(name)
    if not path.is_file():
        raise AetherError(f"{name}: no such listener file, nor the released one ({DEFAULT_LISTENER})")
    return path


def save_listener(model: Listener, path: Path, provenance: dict[str, Any]) -> None:
    """Write weights, sizes and provenance (plain values), whole or not at all."""
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    sizes = {"width": model.head.in_features, "blocks": len(model.blocks)}
    metadata = {"format": FORMAT, "sizes": json.dumps(sizes), "provenance": json.dumps(provenance, sort_keys=True)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def load_listener(path: Path) -> Listener:
    """The network of a file, frozen and ready to listen.

    Raises:
        AetherError: not a listener file, or its tensors do not fit its sizes; the message names the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AetherError(f"{path}: not a listener file of this project ({error})") from error
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not a listener file of this project (format {metadata.get('format')!r})")
    try:
        sizes = json.loads(metadata["sizes"])
        if sizes.keys() != _MOST.keys() or not all(
            type(size) is int and 1 <= size <= _MOST[name] for name, size in sizes.items()
        ):
            raise ValueError(f"sizes {sizes}")
    except (KeyError, ValueError, AttributeError) as error:
        raise AetherError(f"{path}: its sizes cannot be read ({error})") from error
    with torch.device("meta"):
        model = Listener(**sizes)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise AetherError(f"{path}: missing, unexpected or misshapen weights: {', '.join(wrong)}")
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)
