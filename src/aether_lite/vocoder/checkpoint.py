"""Reading and writing vocoder weights: public FARGAN checkpoints (.pth) and safetensors.

A public checkpoint is a ``torch.save`` of a dict with at least ``model_args`` (``()``), ``model_kwargs``
(``cond_size``, ``gamma``, in newer ones ``softquant``) and ``state_dict``. The safetensors file holds the
same tensors, and the keyword arguments as JSON in its metadata. Reading either runs no code from the file.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.vocoder.fargan import FARGAN

DEFAULT_VOCODER = "fargan"
SAFETENSORS_SUFFIX = ".safetensors"
FORMAT = "fargan"  # value of the metadata entry "format"
KEYS_SHOWN = 28  # of each kind in an error message; a checkpoint has 28


def default_vocoder_path() -> Path:
    """The weights that are used where none are named."""
    return released_vocoders()[DEFAULT_VOCODER]


def released_vocoders() -> dict[str, Path]:
    """Weights that come with the package, by name."""
    folder = Path(str(files("aether_lite").joinpath("zoo")))
    return {path.stem: path for path in sorted(folder.glob(f"{DEFAULT_VOCODER}*{SAFETENSORS_SUFFIX}"))}


def vocoder_path(name: str | Path | None) -> Path:
    """File of a released vocoder's name, of the default for None, or the path itself when it is one.

    Raises:
        AetherError: neither a released vocoder nor a file.
    """
    released = released_vocoders()
    if name is None or str(name) in released:
        return released[DEFAULT_VOCODER if name is None else str(name)]
    path = Path(name)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise AetherError(f"{path}: {what}; give a FARGAN checkpoint or a released vocoder ({', '.join(released)})")
    return path


def load_fargan(path: str | Path | None = None) -> FARGAN:
    """Read a vocoder.

    Args:
        path: a public ``.pth`` checkpoint, a ``.safetensors`` file or the name of released weights; without it
            :func:`default_vocoder_path`. Weights stored in half precision become float32.

    Returns:
        The vocoder on the CPU, in evaluation mode.

    Raises:
        AetherError: no such file, not a FARGAN checkpoint, or weights that are missing, unexpected, of the
            wrong shape or not finite; the message names the file and the keys.
    """
    path = vocoder_path(path)
    reader = _read_safetensors if path.suffix == SAFETENSORS_SUFFIX else _read_public
    model_kwargs, weights = reader(path)
    model = _build(path, model_kwargs)
    _check_weights(path, weights, model.state_dict())
    model.load_state_dict({name: value.to(torch.float32) for name, value in weights.items()})
    return model.eval()


def save_fargan_safetensors(
    model: FARGAN, path: str | Path, metadata: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write the weights as safetensors, whole or not at all.

    Args:
        model: the vocoder.
        path: ends in ``.safetensors``.
        metadata: text that says where the weights come from; ``format`` and ``model_kwargs`` are added.
        dtype: precision in the file.

    Raises:
        AetherError: another suffix, or the file cannot be written.
    """
    if Path(path).suffix != SAFETENSORS_SUFFIX:
        raise AetherError(f"{path}: the name must end in {SAFETENSORS_SUFFIX}")
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    notes = {**metadata, "format": FORMAT, "model_kwargs": json.dumps(model.model_kwargs)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(weights, metadata=notes))


def save_public_checkpoint(model: FARGAN, path: str | Path, **training: object) -> None:
    """Write the public checkpoint layout, whole or not at all.

    Args:
        model: the vocoder.
        path: usually ends in ``.pth``.
        **training: further entries of plain types, such as ``epoch``, ``loss``, ``batch_size``, ``lr``,
            ``lr_decay``, ``epochs``, ``sequence_length`` and ``adam_betas``.

    Raises:
        AetherError: the file cannot be written.
    """
    checkpoint = {
        **training,
        "model_args": (),
        "model_kwargs": dict(model.model_kwargs),
        "state_dict": {name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
    }
    with atomic_path(path) as partial:
        torch.save(checkpoint, partial)


def _read_public(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Keyword arguments and weights of a public checkpoint."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AetherError(
            f"{path}: not a FARGAN checkpoint, or it holds objects other than tensors and plain values"
        ) from error
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise AetherError(f"{path}: not a FARGAN checkpoint, or cut short") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise AetherError(f"{path}: not a FARGAN checkpoint (it has no state_dict)")
    if checkpoint.get("model_args", ()) not in ((), []):
        raise AetherError(f"{path}: model_args must be empty, not {checkpoint['model_args']!r}")
    weights = checkpoint["state_dict"]
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
        raise AetherError(f"{path}: not a FARGAN checkpoint (its state_dict holds other things than tensors)")
    return checkpoint.get("model_kwargs", {}), weights


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Keyword arguments and weights of a safetensors file."""
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            notes = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        model_kwargs = json.loads(notes.get("model_kwargs", "{}"))
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error
    except (SafetensorError, json.JSONDecodeError) as error:
        raise AetherError(f"{path}: not a safetensors file of FARGAN weights, or cut short") from error
    return model_kwargs, weights


def _build(path: Path, model_kwargs: object) -> FARGAN:
    """A vocoder with the keyword arguments of a checkpoint."""
    known: dict[str, type | tuple[type, ...]] = {
        "cond_size": int,
        "gamma": (int, float, type(None)),
        "softquant": bool,
    }
    if not isinstance(model_kwargs, Mapping):
        raise AetherError(f"{path}: model_kwargs must be a dict, not {type(model_kwargs).__name__}")
    for name, value in model_kwargs.items():
        if name not in known or not isinstance(value, known[name]):
            raise AetherError(f"{path}: unknown model_kwargs entry {name}={value!r}; known are {', '.join(known)}")
    return FARGAN(**model_kwargs)


def _check_weights(path: Path, weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise unless ``weights`` has the keys and shapes of ``wanted``, floating and finite."""
    problems = []
    missing = [name for name in wanted if name not in weights]
    unexpected = [name for name in weights if name not in wanted]
    misshapen = [
        f"{name} {list(weights[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in weights and weights[name].shape != wanted[name].shape
    ]
    broken = [
        name
        for name in wanted
        if name in weights and not (weights[name].is_floating_point() and weights[name].isfinite().all())
    ]
    kinds = {
        "missing": missing,
        "unexpected": unexpected,
        "of the wrong shape": misshapen,
        "not finite": broken,
    }
    for kind, names in kinds.items():
        if names:
            more = f" and {len(names) - KEYS_SHOWN} more" if len(names) > KEYS_SHOWN else ""
            problems.append(f"{kind}: {', '.join(names[:KEYS_SHOWN])}{more}")
    if problems:
        raise AetherError(f"{path}: not FARGAN weights; {'; '.join(problems)}")
