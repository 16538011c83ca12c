"""The encoder of Whisper tiny as a PyTorch network, with gradients.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. Log-mel spectra of 10 ms
steps go through two convolutions, the second of which halves the rate, and four transformer blocks.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.losses.asr.ctranslate import Arrays, Sizes, block_names, layers, read_network, sizes_of, tensor

MELS = 80
FRAMES_PER_STATE = 2
LONGEST = 1500  # states; 30 s
LONGEST_HEARD = FRAMES_PER_STATE * LONGEST  # frames


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
        return self.depths(mels)[-1]

    def depths(self, mels: Tensor) -> Tensor:
        """States behind every block ``[blocks, B, F / 2, width]``, normalised: the last as the network itself does."""
        frames = mels.shape[1]
        if frames % FRAMES_PER_STATE or frames > LONGEST_HEARD:
            raise ValueError(f"an even number of frames up to {LONGEST_HEARD} is heard, not {frames}")
        x = F.gelu(self.second(F.gelu(self.first(mels.mT)))).mT
        x = x + self.positions[: x.shape[1]]
        states = []
        for block in self.blocks:
            x = block(x)
            states.append(F.layer_norm(x, x.shape[-1:]))
        return torch.stack([*states[:-1], self.norm(x)])


def load_encoder(path: Path) -> RecogniserEncoder:
    """The encoder of a CTranslate2 Whisper model file with 80 mel bands, frozen, in float32.

    Raises:
        AetherError: not such a file; the message names it.
    """
    return read_network(path, _encoder)


def _encoder(arrays: Arrays) -> RecogniserEncoder:
    if arrays["encoder/conv1/weight"].shape[1] != MELS:
        raise ValueError(f"not a model of {MELS} mel bands")
    sizes = sizes_of(arrays, "encoder")
    model = RecogniserEncoder(sizes)
    names = {"first": "encoder/conv1", "second": "encoder/conv2", "norm": "encoder/layer_norm"}
    names |= block_names("encoder", sizes.blocks, {})
    positions = tensor(arrays["encoder/position_encodings/encodings"])
    model.load_state_dict({"positions": positions, **layers(arrays, names)})
    return model
