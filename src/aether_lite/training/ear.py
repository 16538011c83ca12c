"""Steps of the ear: its spectra and what a recogniser makes of them shall be those of the audio.

Two parts. First the mean square error of the log-mel spectrum alone, which is cheap. Then the distance of the
recogniser's states too, which tells the ear what of a spectrum matters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.data.corpus import Corpus
from aether_lite.losses.asr import Ear, Listener, RecogniserEncoder
from aether_lite.losses.asr.spectra import Spectra
from aether_lite.training.muon import Muon, matrices_and_rest
from aether_lite.training.optimiser import ADAMW_BETAS, rate_factor

STATES_WEIGHT = 0.3  # of the states' distance relative to the spectra's
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0
STATISTICS_ITEMS = 32  # that the scale of inputs and states is taken from
STATISTICS_STREAM, VALID_STREAM = 1, 2  # seed offsets of their crops and of those to measure on


@dataclass(frozen=True)
class EarSettings:
    """How an ear learns.

    Attributes:
        spectral_steps: on spectra alone.
        steps: in all.
        batch: items a step while the recogniser listens; twice as many before.
        frames: of 10 ms, of an item.
        learning_rate: at its peak.
        warmup: steps in which it rises.
        final_rate: relative to the peak, at the end.
        average: decay of the running average of the weights.
        seed: of weights and crops.
    """

    spectral_steps: int = 200
    steps: int = 600
    batch: int = 8
    frames: int = 512
    learning_rate: float = 5e-3
    warmup: int = 50
    final_rate: float = 0.02
    average: float = 0.98
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """How near an ear comes on some speech.

    Attributes:
        spectrum: mean square error of the scaled log-mel spectrum.
        states: mean square distance of the recogniser's states, whose variance is 1.
    """

    spectrum: float
    states: float


def fit_ear(
    corpus: Corpus, encoder: RecogniserEncoder, settings: EarSettings, told: Callable[[int, float, float], None]
) -> Listener:
    """Learn an ear for a recogniser.

    Args:
        corpus: clips with their samples.
        encoder: of the recogniser, frozen.
        settings: how.
        told: called after each step with its number and the errors of spectra and states (nan before they count).

    Returns:
        The listener with the running average of the ear's weights.
    """
    torch.manual_seed(settings.seed)
    spectra_of = Spectra()
    listener = Listener(Ear(), encoder)
    features, spectra = _crops(corpus, spectra_of, settings, STATISTICS_STREAM, 0, range(STATISTICS_ITEMS))
    listener.ear.measure(features)
    with torch.no_grad():
        listener.spread.copy_(encoder.depths(spectra).flatten(1, 2).std(1).clamp_min(1e-6))
    average = copy.deepcopy(listener.ear).requires_grad_(False)
    matrices, rest = matrices_and_rest(listener.ear)
    optimiser = Muon(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY, "muon": True}, {"params": rest, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=ADAMW_BETAS,
    )
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_factor(step, settings)
        listens = step >= settings.spectral_steps
        items = range(settings.batch if listens else 2 * settings.batch)
        features, spectra = _crops(corpus, spectra_of, settings, 0, step, items)
        guessed = listener.ear(features)
        error = total = (guessed - spectra).square().mean()
        distance = torch.tensor(torch.nan)
        if listens:
            distance = _distance(listener, guessed, spectra)
            total = error + STATES_WEIGHT * distance
        total.backward()
        torch.nn.utils.clip_grad_norm_(listener.ear.parameters(), GRADIENT_NORM)
        optimiser.step()
        optimiser.zero_grad()
        decay = min(settings.average, step / (step + 10))
        with torch.no_grad():
            for kept, value in zip(average.parameters(), listener.ear.parameters(), strict=True):
                kept.lerp_(value, 1 - decay)
        told(step + 1, float(error.detach()), float(distance.detach()))
    listener.ear = average
    return listener.eval().requires_grad_(False)


def measure(listener: Listener, corpus: Corpus, settings: EarSettings, batches: int) -> Fit:
    """Errors on random crops of a corpus."""
    found, spectra_of = [], Spectra()
    with torch.no_grad():
        for step in range(batches):
            features, spectra = _crops(corpus, spectra_of, settings, VALID_STREAM, step, range(settings.batch))
            guessed = listener.ear(features)
            error = (guessed - spectra).square().mean()
            found.append((float(error), float(_distance(listener, guessed, spectra))))
    return Fit(*(sum(values) / batches for values in zip(*found, strict=True)))


def _distance(listener: Listener, guessed: Tensor, spectra: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = listener.heard(spectra)
    return (listener.heard(guessed) - wanted).square().mean()


def _crops(
    corpus: Corpus, spectra_of: Spectra, settings: EarSettings, stream: int, step: int, items: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Features ``[B, F, 20]`` and spectra ``[B, F, 80]`` of a step."""
    features, audio = corpus.batch_with_audio(settings.seed + stream, step, items, settings.frames)
    return features, spectra_of(audio, settings.frames)
