"""The listener's steps: mean square error to the teacher's states, each dimension with variance 1."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aether_lite.features.layout import CEPSTRA, NUM_BANDS
from aether_lite.listener import FRAMES_PER_STATE, Listener
from aether_lite.training.listener.config import ListenerConfig
from aether_lite.training.listener.teacher import WINDOW, Lessons
from aether_lite.training.muon import Muon, matrices_and_rest
from aether_lite.training.optimiser import ADAMW_BETAS, rate_factor

EDGE = 8  # states at each end of an item that do not count: there the listener has heard too little
STATISTICS_STRIDE = 7  # of the windows that the statistics are taken from
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Scale:
    """Mean and spread ``[384]`` of the teacher's states."""

    mean: Tensor
    spread: Tensor

    def __call__(self, states: np.ndarray) -> Tensor:
        """States of mean 0 and variance 1, ``float32``."""
        return (torch.from_numpy(states).float() - self.mean) / self.spread


def scale_of(lessons: Lessons) -> Scale:
    """Of the teacher's states in these lessons."""
    states = torch.from_numpy(lessons.states[::STATISTICS_STRIDE]).float()
    return Scale(states.mean((0, 1)), states.std((0, 1)).clamp_min(1e-6))


def fit(lessons: Lessons, config: ListenerConfig, scale: Scale, told: Callable[[int, float], None]) -> Listener:
    """Learn.

    Args:
        lessons: of the training speech.
        config: options.
        scale: of the teacher's states.
        told: called after each step with its number and its loss.

    Returns:
        The running average of the weights, in evaluation mode.
    """
    torch.manual_seed(config.seed)
    model = Listener(config.width, config.blocks)
    model.measure(torch.from_numpy(lessons.features[::STATISTICS_STRIDE]))
    average = copy.deepcopy(model).requires_grad_(False).eval()
    matrices, rest = matrices_and_rest(model)
    optimiser = Muon(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY, "muon": True}, {"params": rest, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=ADAMW_BETAS,
    )
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * rate_factor(step, config)
        features, wanted = _batch(lessons, scale, config, step)
        error = (model(features) - wanted).square()[:, EDGE:-EDGE].mean()
        error.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimiser.step()
        optimiser.zero_grad()
        decay = min(config.average, step / (step + 10))
        with torch.no_grad():
            for kept, value in zip(average.parameters(), model.parameters(), strict=True):
                kept.lerp_(value, 1 - decay)
        told(step + 1, float(error.detach()))
    return average


def unexplained(model: Listener, lessons: Lessons, scale: Scale) -> float:
    """Share of the variance of the teacher's states that the listener does not predict; 1 is no better than a mean."""
    error = power = 0.0
    with torch.no_grad():
        for features, states in zip(lessons.features, lessons.states, strict=True):
            wanted = scale(states)
            error += float((model(torch.from_numpy(features)[None])[0] - wanted).square().sum())
            power += float(wanted.square().sum())
    return error / power


def _batch(lessons: Lessons, scale: Scale, config: ListenerConfig, step: int) -> tuple[Tensor, Tensor]:
    """Features and states of a step: crops at random places, at random levels. A function of (seed, step)."""
    rng = np.random.default_rng((config.seed, step))
    windows = rng.integers(len(lessons.features), size=config.batch)
    first = rng.integers((WINDOW - config.frames) // FRAMES_PER_STATE + 1, size=config.batch)
    length = config.frames // FRAMES_PER_STATE
    places = list(zip(windows, first, strict=True))
    features = torch.stack(
        [torch.from_numpy(lessons.features[w, s * FRAMES_PER_STATE :][: config.frames]) for w, s in places]
    )
    level = rng.uniform(-config.gain_db / 10, config.gain_db / 10, (config.batch, 1)) * NUM_BANDS**0.5
    features[..., CEPSTRA.start] += torch.from_numpy(level.astype(np.float32))
    return features, scale(np.stack([lessons.states[w, s : s + length] for w, s in places]))
