"""ASR loss: distance of a speech recogniser's states of decoded and true features, with gradients, without a vocoder.

A mel predictor turns features into the log-mel spectrum that the encoder of Whisper
(:mod:`~aether_lite.losses.whisper`) takes. The extra ``listener`` brings the recogniser, and the package has the mel
predictor ``ear``. With states h of decoded features x and of true ones y the loss is::

    mean over states and their dimensions of (h(x) - h(y))^2

The feature loss counts an error that turns one sound into another like one that nobody notices; this one does not. On
speech every dimension of h has variance 1, so that states of two unrelated clips are about 2 apart.

Eighteen Bark bands do not determine 80 mel bands; for speech they nearly do. The mel predictor, a small network trained
on pairs of features and audio, predicts the spectrum from the features about each frame: harmonics by the pitch, the
rest by the bands. Its depthwise and pointwise convolutions are the block of Z. Liu et al., "A ConvNet for the 2020s",
CVPR 2022, in one dimension. It is not causal: it only works in training and refinement. Its file is one
``.safetensors`` with the weights (float16), their sizes, and where they come from.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import gelu

from aether_lite import zoo
from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_BANDS, PITCH, VOICING, log_bands
from aether_lite.files import atomic_path
from aether_lite.losses.registry import SPI, SpiInputs
from aether_lite.losses.whisper import EXTRA, MELS, TINY, WhisperEncoder, load_encoder, model_file
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
        spread: ``[blocks, width]``, see :class:`AsrLoss`.
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


class AsrLoss(nn.Module):
    """Distance ``[B]`` of decoded from true features ``[B, F, 20]``, F even; the true ones get no gradient.

    States ``[B, F / 2, blocks * width]`` are those behind every block of the recogniser, the last ones last.

    Args:
        mel_predictor: trained for this recogniser.
        encoder: the recogniser's.
    """

    def __init__(self, mel_predictor: MelPredictor, encoder: WhisperEncoder) -> None:
        super().__init__()
        self.mel_predictor, self.encoder = mel_predictor, encoder
        self.spread: Tensor
        self.register_buffer("spread", torch.ones(encoder.sizes.blocks, encoder.sizes.width))  # of states on speech

    def forward(self, decoded: Tensor, original: Tensor) -> Tensor:
        states = self.states(decoded)
        with torch.no_grad():
            wanted = self.states(original)
        return state_distance(states, wanted)

    def states(self, features: Tensor) -> Tensor:
        """States of features ``[B, F, 20]``."""
        return self.states_of_spectra(self.mel_predictor(features))

    def states_of_spectra(self, spectra: Tensor) -> Tensor:
        """States of log-mel spectra ``[B, F, 80]``, each dimension with variance 1 on speech."""
        states = self.encoder.depths(spectra) / self.spread[:, None, None]
        return states.permute(1, 2, 0, 3).flatten(2)

    def last(self, states: Tensor) -> Tensor:
        """The last block's ``[B, S, width]`` of the states ``[B, S, blocks * width]``."""
        return states[..., -self.encoder.sizes.width :]


def state_distance(states: Tensor, wanted: Tensor) -> Tensor:
    """Mean square distance of every clip's states ``[B, S, n]``: ``[B]``, at least 0.

    Raises:
        ValueError: shapes that differ.
    """
    if states.shape != wanted.shape:
        raise ValueError(f"states must have one shape, not {tuple(states.shape)} and {tuple(wanted.shape)}")
    distance: Tensor = (states - wanted).square().mean((-1, -2))
    return distance


@SPI.term("asr", "lambda_asr", optional=True)
def _asr_term(given: SpiInputs) -> Tensor:
    """On the chosen items."""
    assert given.asr is not None
    chosen = list(given.asr_items)
    loss: Tensor = given.asr(given.sent.features[chosen], given.original[chosen])
    return (given.weight[chosen] * loss).mean()


def load_asr_loss(mel_predictor: str | Path = DEFAULT_MEL_PREDICTOR, asr_model: str | Path = TINY) -> AsrLoss:
    """An ASR loss, frozen.

    Args:
        mel_predictor: the released one's name or a file.
        asr_model: ``tiny.en`` or the folder of the CTranslate2 model that the mel predictor was trained for.

    Raises:
        AetherError: a file that cannot be used, a recogniser that is not installed or of another size.
    """
    path = zoo.path(mel_predictor, "mel predictor")
    network, spread = load_mel_predictor(path)
    loss = AsrLoss(network, load_encoder(model_file(asr_model)))
    if spread.shape != loss.spread.shape:
        theirs, ours = (f"{s.shape[0]} blocks and {s.shape[1]} numbers a state" for s in (spread, loss.spread))
        raise AetherError(f"{path}: is of a recogniser of {theirs}, not of {ours} as {asr_model}")
    loss.spread.copy_(spread)
    return loss.eval().requires_grad_(False)


def log_mel_spectra(audio: Tensor, frames: int) -> Tensor:
    """Whisper's log-mel spectra ``[B, frames, 80]`` of audio ``[B, 160 frames] float32``, full scale 1; on the CPU.

    Raises:
        AetherError: faster-whisper is not installed.
    """
    extract = _extractor()
    spectra = [torch.from_numpy(extract(row.numpy(force=True))[:, :frames]) for row in audio]
    return torch.stack(spectra).float().mT


@cache
def _extractor() -> Any:
    try:
        from faster_whisper.feature_extractor import FeatureExtractor
    except ImportError as error:
        raise AetherError(f"log-mel spectra come from faster-whisper: {EXTRA}") from error
    return FeatureExtractor()
