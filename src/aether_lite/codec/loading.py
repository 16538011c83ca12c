"""Codec files: one ``.safetensors`` with the weights, its configuration and where they come from.

Weights are stored as float16 (float32 for the image's constants) and used as float32.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from aether_lite.codec.model import SpiJscc
from aether_lite.codec.presets import CodecConfig
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

FORMAT = "aether-lite codec 1"
DEFAULT_CODEC = "small"
_SINGLE = ("image.mean", "image.scale")  # kept in float32


def released_codecs() -> dict[str, Path]:
    """Codec weights that ship with the package, by name."""
    folder = Path(str(resources.files("aether_lite") / "weights"))
    return {path.stem.removeprefix("codec_"): path for path in sorted(folder.glob("codec_*.safetensors"))}


def codec_path(name: str | Path) -> Path:
    """File of a released codec's name, or the path itself when it is one."""
    released = released_codecs()
    if str(name) in released:
        return released[str(name)]
    path = Path(name)
    if not path.is_file():
        raise AetherError(f"{name}: no such codec file, nor a released codec ({', '.join(released)})")
    return path


def save_codec(model: SpiJscc, path: Path, provenance: dict[str, Any]) -> None:
    """Write weights, configuration and provenance (plain values: data, steps, seed, commit) atomically."""
    tensors = {
        name: value.detach().contiguous().to(torch.float32 if name in _SINGLE else torch.float16)
        for name, value in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def load_codec(path: Path) -> tuple[SpiJscc, dict[str, Any]]:
    """The model, ready for inference, and its provenance.

    Raises:
        AetherError: not a codec file, or its tensors do not fit its configuration; the message names them.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AetherError(f"{path}: not a codec file of this project ({error})") from error
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not a codec file of this project (format {metadata.get('format')!r})")
    try:
        values, provenance = (json.loads(metadata[name]) for name in ("config", "provenance"))
        model = SpiJscc(CodecConfig(**{**values, "channels": tuple(values["channels"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise AetherError(f"{path}: its configuration cannot be read ({error})") from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise AetherError(f"{path}: missing, unexpected or misshapen weights: {', '.join(wrong)}")
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False), provenance
