"""The ASR loss: mean square distance of a speech recogniser's states h of decoded features x and of true ones y::

    mean over states and their dimensions of (h(x) - h(y))^2

The feature loss counts an error that turns one sound into another like one that nobody notices; this one does not. On
speech every dimension of h has variance 1, so that states of two unrelated clips are about 2 apart.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aether_lite import zoo
from aether_lite.errors import AetherError
from aether_lite.losses.asr.mel_predictor import DEFAULT_MEL_PREDICTOR, MelPredictor, load_mel_predictor
from aether_lite.losses.asr.whisper import EXTRA, TINY, WhisperEncoder, load_encoder, model_file
from aether_lite.losses.registry import SPI, SpiInputs


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
