"""The mel predictor: features to the log-mel spectrum that a speech recogniser takes, differentiable; and its files.

Eighteen Bark bands do not determine 80 mel bands; for speech they nearly do. A small network, trained on pairs of
features and audio, predicts the spectrum from the features about each frame: harmonics by the pitch, the rest by the
bands. Its depthwise and pointwise convolutions are the block of Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022, in
one dimension. It is not causal: it only works in training and refinement.

A file is one ``.safetensors`` with the weights (float16), their sizes, and where they come from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import gelu

from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_BANDS, PITCH, VOICING, log_bands
from aether_lite.files import atomic_path
from aether_lite.losses.asr.whisper import MELS
from aether_lite.reading import check_weights, fits, parse_json, read_tensors, reading

DEFAULT_MEL_PREDICTOR = "ear"
FORMAT, KIND = "aether-lite ear 1", "a mel predictor of this project"
INPUTS = NUM_BANDS + 2
WIDTH = 128
BLOCKS = 3
KERNEL = 7  # frames of 10 ms, at each block
EXPANSION = 2
_MOST = {"width": 1024, "blocks": 64}  # no file makes a network of any size
_SPREAD = "spread"  # of the states behind every block of the recogniser, beside the predictor's weights


class Block(nn.Module):
    """``[B, F, width]`` in and out; the identity before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depth = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, EXPANSION * width)
        self.down = nn.Linear(EXPANSION * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.depth(x.mT).mT)
        added: Tensor = self.down(gelu(self.up(mixed)))
        return x + added


class MelPredictor(nn.Module):
    """Features ``[B, F, 20]`` to spectra ``[B, F, 80]``, scaled as the recogniser takes them (about -1 to 1.5)."""

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.into = nn.Linear(INPUTS, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, MELS)
        self.direct = nn.Linear(INPUTS, MELS)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(INPUTS))
        self.register_buffer("scale", torch.ones(INPUTS))

    def measure(self, features: Tensor) -> None:
        """Set mean and spread of the inputs from speech ``[..., F, 20]``."""
        levels = _inputs(features).flatten(0, -2)
        self.mean.copy_(levels.mean(0))
        self.scale.copy_(levels.std(0).clamp_min(1e-3))

    def forward(self, features: Tensor) -> Tensor:
        levels = (_inputs(features) - self.mean) / self.scale
        x = self.into(levels)
        for block in self.blocks:
            x = block(x)
        spectra: Tensor = self.direct(levels) + self.head(self.norm(x))
        return spectra


def save_mel_predictor(model: MelPredictor, spread: Tensor, path: Path, provenance: dict[str, Any]) -> None:
    """Write a mel predictor, the spread of its recogniser's states and provenance (plain values), whole or not at all.

    Args:
        model: any device.
        spread: ``[blocks, width]``, see :class:`~aether_lite.losses.asr.asr_loss.AsrLoss`.
        path, provenance: what to write.
    """
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    tensors[_SPREAD] = spread.detach().cpu().float()
    sizes = {"width": model.head.in_features, "blocks": len(model.blocks)}
    metadata = {"format": FORMAT, "sizes": json.dumps(sizes), "provenance": json.dumps(provenance, sort_keys=True)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata=metadata))


def load_mel_predictor(path: Path) -> tuple[MelPredictor, Tensor]:
    """The mel predictor of a file, frozen, and the spread of the states of its recogniser ``[blocks, width]``.

    Raises:
        AetherError: not such a file, or its tensors do not fit its sizes; the message names the file.
    """
    metadata, tensors = read_tensors(path, KIND)
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not {KIND} (format {metadata.get('format')!r:.40})")
    with reading(path, KIND):
        sizes = parse_json(metadata["sizes"])
        if not fits(sizes, dict[str, int]) or sizes.keys() != _MOST.keys() or any(
            not 1 <= size <= _MOST[name] for name, size in sizes.items()
        ):
            raise ValueError(f"its sizes cannot be read: {metadata['sizes'][:80]}")
        with torch.device("meta"):
            expected = MelPredictor(**sizes).state_dict()
    spread = tensors.pop(_SPREAD, None)
    check_weights(path, KIND, tensors, expected)
    if spread is None or spread.ndim != 2 or spread.is_complex() or not bool((spread.isfinite() & (spread > 0)).all()):
        raise AetherError(f"{path}: not {KIND}; missing or not above 0: {_SPREAD}")
    model = MelPredictor(**sizes)
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False), spread.float()


def _inputs(features: Tensor) -> Tensor:
    """Band log energies, pitch and correlation ``[..., 20]``."""
    return torch.cat([log_bands(features), features[..., PITCH : VOICING + 1]], dim=-1)
