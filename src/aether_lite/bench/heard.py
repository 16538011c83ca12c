"""A few clips as they were heard over each system, for players, spectrograms and F0 contours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.audio import SAMPLE_RATE
from aether_lite.baselines import Clip, Condition
from aether_lite.bench.dataset import load_clip
from aether_lite.bench.grid import evenly
from aether_lite.bench.run import Plan, conditions_of
from aether_lite.bench.work import arrived_features, channel_seed, send

CLIPS = 2
CONDITIONS = 2
LONGEST_SECONDS = 8.0  # of a player


@dataclass(frozen=True)
class Sound:
    """A clip over one system at one condition: what arrived of it.

    Attributes:
        system: name.
        condition: None for a system without a channel.
        audio: ``[N]``.
        features: ``[F, 20]``.
    """

    system: str
    condition: Condition | None
    audio: Tensor
    features: Tensor


@dataclass(frozen=True)
class Example:
    """A clip and what was heard of it over every system."""

    clip: Clip
    sounds: tuple[Sound, ...]

    def at(self, condition: Condition) -> list[Sound]:
        """Those at a condition, and those without a channel."""
        return [sound for sound in self.sounds if sound.condition in (condition, None)]

    def conditions(self) -> list[Condition]:
        """Those on the air, in order."""
        return list(dict.fromkeys(sound.condition for sound in self.sounds if sound.condition is not None))


def examples(plan: Plan, clips: int = CLIPS, conditions: int = CONDITIONS) -> list[Example]:
    """Send a few clips again, on the same noise as in the results.

    Args:
        plan: of the benchmark.
        clips: how many of its clips, spread evenly.
        conditions: how many of those with audio metrics.
    """
    if not plan.dataset.has_audio:
        return []
    wanted = evenly(plan.grid.heard(), conditions)
    systems = plan.instances()
    result = []
    for source in evenly(plan.dataset.sources, clips):
        clip = load_clip(source, min(plan.grid.seconds or LONGEST_SECONDS, LONGEST_SECONDS))
        sounds = []
        for system in systems:
            for condition, _ in conditions_of(system, plan.grid):
                fixed = not any(condition == own for own in plan.grid.conditions())
                if not fixed and condition not in wanted:
                    continue
                outcome = send(system, clip, condition, channel_seed(plan.seed, source.name), True)
                if outcome.audio is None:
                    raise ValueError(f"{system.name} made no audio of {clip.name}")
                shown = None if outcome.uses == 0 else condition
                sounds.append(Sound(system.name, shown, outcome.audio, arrived_features(outcome)))
        result.append(Example(clip, tuple(sounds)))
    return result


def opus_bytes(audio: Tensor | Sequence[float]) -> bytes:
    """An Ogg Opus file of samples ``[N]`` at 16 kHz (a wav where libsndfile has no Opus)."""
    import soundfile

    samples = torch.as_tensor(audio).clamp(-1, 1).numpy()
    file = io.BytesIO()
    if has_opus():
        soundfile.write(file, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    else:
        soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def has_opus() -> bool:
    """Whether libsndfile writes Opus (1.0.29 and newer)."""
    import soundfile

    return "OPUS" in soundfile.available_subtypes("OGG")
