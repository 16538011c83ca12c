"""Vocoders by name, and FARGAN's weights: public checkpoints (.pth), safetensors and Opus's binary weights.

A new vocoder is one module of this package with a :class:`~aether_lite.vocoder.network.VocoderNetwork`, a reader that
is registered under the name of its kind, and its place in the native core (:mod:`aether_lite.core.packing`)::

    @network("hnsf")
    def load_hnsf(path: Path) -> VocoderNetwork: ...

Weights of the kind are ``.safetensors`` files whose metadata say ``format = hnsf``; released ones are listed in
:mod:`aether_lite.zoo`. Files of no stated kind, and public ``.pth`` checkpoints, are FARGAN's.

A public checkpoint is a ``torch.save`` of a dict with at least ``model_args`` (``()``), ``model_kwargs``
(``cond_size``, ``gamma``, in newer ones ``softquant``) and ``state_dict``. The safetensors file holds the
same tensors, and the keyword arguments as JSON in its metadata. Reading either runs no code from the file.
"""

from __future__ import annotations

import json
import pkgutil
import reprlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor

from aether_lite import zoo
from aether_lite.errors import AetherError
from aether_lite.features.samples import own_precision
from aether_lite.files import atomic_path
from aether_lite.reading import check_weights, fits, parse_json, read_checkpoint, read_metadata, read_tensors, reading
from aether_lite.vocoder.blob import is_blob, read_fargan
from aether_lite.vocoder.fargan import FARGAN
from aether_lite.vocoder.network import VocoderNetwork

DEFAULT_VOCODER = "fargan"
SAFETENSORS_SUFFIX = ".safetensors"
KIND = "a FARGAN checkpoint"

Network = TypeVar("Network", bound=VocoderNetwork)
Reader = TypeVar("Reader", bound=Callable[..., VocoderNetwork])

_readers: dict[str, Callable[..., VocoderNetwork]] = {}


def network(kind: str) -> Callable[[Reader], Reader]:
    """Register what reads a file of weights of this kind as a differentiable network."""

    def register(read: Reader) -> Reader:
        _readers[kind] = read
        return read

    return register


@cache
def _kinds() -> dict[str, Callable[..., VocoderNetwork]]:
    """All that are registered; imports every module of this package."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"aether_lite.vocoder.{module.name}")
    return _readers


@own_precision
def load_network(name: str | Path | None = None) -> VocoderNetwork:
    """A vocoder of any registered kind as a differentiable network, on the CPU and in evaluation mode.

    Args:
        name: of a released vocoder, or a file of weights; None for ``fargan``.

    Raises:
        AetherError: no such vocoder, or a file that is not one.
    """
    path = vocoder_path(name)
    return _kinds().get(_format(path), _kinds()[DEFAULT_VOCODER])(path)


def released_vocoders() -> dict[str, Path]:
    """Weights that come with the package, by name."""
    return {name: zoo.path(name) for name in zoo.names("vocoder")}


def default_vocoder_path() -> Path:
    """The weights that are used where none are named."""
    return zoo.path(DEFAULT_VOCODER)


def vocoder_path(name: str | Path | None) -> Path:
    """File of a released vocoder's name, of the default for None, or the path itself; AetherError if it is none."""
    return zoo.path(DEFAULT_VOCODER if name is None else name, "vocoder")


def _format(path: Path) -> str:
    """The kind that a safetensors file names; empty for another file. Its loader says what is wrong with it."""
    if path.suffix != SAFETENSORS_SUFFIX:
        return ""
    try:
        return read_metadata(path, KIND).get("format", "")
    except AetherError:
        return ""


ARGUMENTS: dict[str, Any] = {"cond_size": int, "gamma": float | None, "softquant": bool}


@network(DEFAULT_VOCODER)
def load_fargan(path: str | Path | None = None) -> FARGAN:
    """Read FARGAN as a differentiable network, on the CPU and in evaluation mode.

    Args:
        path: a public ``.pth`` checkpoint, a ``.safetensors`` file, a binary weights file of Opus
            (:mod:`aether_lite.vocoder.blob`) or the name of released weights; None for ``fargan``. Weights stored in
            half precision become float32.

    Raises:
        AetherError: no such file, not a FARGAN checkpoint, or weights that are missing, unexpected, of the
            wrong shape or not finite; the message names the file and the keys.
    """
    file = vocoder_path(path)
    if not is_blob(file):
        return read_network(file, FARGAN.kind, FARGAN, ARGUMENTS)
    model = FARGAN()
    weights = read_fargan(file, {name: tuple(value.shape) for name, value in model.state_dict().items()})
    return _filled(model, file, weights)


def read_network(path: Path, kind: str, make: Callable[..., Network], known: Mapping[str, Any]) -> Network:
    """A vocoder's network ``make(**model_kwargs)`` with the weights of a file, on the CPU and in evaluation mode.

    Args:
        path: a public ``.pth`` checkpoint or a ``.safetensors`` file.
        kind: of the vocoder; a file that states another is refused.
        make: the network's class.
        known: types of the entries that ``model_kwargs`` may have.

    Raises:
        AetherError: the file is not one of such weights; see :func:`load_fargan`.
    """
    stated = _format(path)
    if stated != kind and stated in _kinds():
        raise AetherError(f"{path}: weights of the vocoder {stated}; weights of {kind} are needed here")
    arguments, weights = (_read_safetensors if path.suffix == SAFETENSORS_SUFFIX else _read_public)(path)
    if not isinstance(arguments, dict):
        raise AetherError(f"{path}: model_kwargs must be a dict, not {type(arguments).__name__}")
    for name, value in arguments.items():
        if name not in known or not fits(value, known[name]):
            entry = f"{name}={reprlib.repr(value)}"
            raise AetherError(f"{path}: unknown model_kwargs entry {entry}; known are {', '.join(known)}")
    try:
        model = make(**arguments)
    except ValueError as error:
        raise AetherError(f"{path}: {error}") from error
    return _filled(model, path, weights)


def _filled(model: Network, path: Path, weights: dict[str, Tensor]) -> Network:
    """The network with the weights of a file, in evaluation mode."""
    check_weights(path, f"{type(model).__name__} weights", weights, model.state_dict())
    model.load_state_dict({name: value.to(torch.float32) for name, value in weights.items()})
    model.eval()
    return model


def save_vocoder(
    model: VocoderNetwork, path: str | Path, metadata: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write the weights of any vocoder in precision ``dtype`` as safetensors (``.safetensors``), whole or not at all.

    ``metadata`` says where the weights come from; ``format``, the vocoder's kind, and ``model_kwargs`` are added.
    Raises AetherError for another suffix, or a file that cannot be written.
    """
    if Path(path).suffix != SAFETENSORS_SUFFIX:
        raise AetherError(f"{path}: the name must end in {SAFETENSORS_SUFFIX}")
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    notes = {**metadata, "format": model.kind, "model_kwargs": json.dumps(model.model_kwargs)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(weights, metadata=notes))


def save_public_checkpoint(model: FARGAN, path: str | Path, **training: object) -> None:
    """Write the public checkpoint layout, usually ``.pth``, whole or not at all; AetherError if it cannot be written.

    ``training`` are further entries of plain types, such as ``epoch``, ``loss``, ``batch_size``, ``lr``, ``lr_decay``,
    ``epochs``, ``sequence_length`` and ``adam_betas``.
    """
    weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    with atomic_path(path) as partial:
        torch.save(
            {**training, "model_args": (), "model_kwargs": dict(model.model_kwargs), "state_dict": weights}, partial
        )


def _read_public(path: Path) -> tuple[object, dict[str, Tensor]]:
    """Keyword arguments and weights of a public checkpoint, or the averaged weights of one of a training run."""
    checkpoint = read_checkpoint(path, KIND)
    weights = checkpoint.get("state_dict", checkpoint.get("average"))
    if not isinstance(weights, dict):
        raise AetherError(f"{path}: not {KIND} (it has no state_dict)")
    arguments = checkpoint.get("model_args", ())
    if not isinstance(arguments, tuple | list) or len(arguments):
        raise AetherError(f"{path}: model_args must be empty, not a {type(arguments).__name__} of something")
    if not fits(weights, dict[str, Tensor]):
        raise AetherError(f"{path}: not {KIND} (its state_dict holds other things than tensors)")
    return checkpoint.get("model_kwargs", {}), weights


def _read_safetensors(path: Path) -> tuple[object, dict[str, Tensor]]:
    """Keyword arguments and weights of a safetensors file."""
    notes, weights = read_tensors(path, "a safetensors file of vocoder weights")
    with reading(path, "a safetensors file of vocoder weights"):
        return parse_json(notes.get("model_kwargs", "{}")), weights
