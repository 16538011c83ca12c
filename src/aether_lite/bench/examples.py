"""A few clips as decoded over each system, for players, spectrograms and F0 contours."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from aether_lite.baselines import Clip, Condition
from aether_lite.bench.dataset import load_clip
from aether_lite.bench.grid import evenly
from aether_lite.bench.run import Plan, channel_seed, conditions_of, decoded_features, send

CLIPS, CONDITIONS = 2, 2
LONGEST_SECONDS = 5.0


@dataclass(frozen=True)
class Decoded:
    """Audio ``[N]`` and features ``[F, 20]`` of a clip over one system; the condition is None without a channel."""

    system: str
    condition: Condition | None
    audio: Tensor
    features: Tensor


@dataclass(frozen=True)
class Example:
    """A clip and what every system made of it."""

    clip: Clip
    decoded: tuple[Decoded, ...]

    def at(self, condition: Condition) -> list[Decoded]:
        """Those at a condition, and those without a channel."""
        return [one for one in self.decoded if one.condition in (condition, None)]

    def conditions(self) -> list[Condition]:
        """Those on the air, in order."""
        return list(dict.fromkeys(one.condition for one in self.decoded if one.condition is not None))


def examples(plan: Plan, clips: int = CLIPS, conditions: int = CONDITIONS) -> list[Example]:
    """Send a few clips again, on the noise of the results: their beginnings, at conditions with audio metrics."""
    if not plan.dataset.has_audio:
        return []
    wanted = evenly(plan.grid.with_audio(), conditions)
    systems = plan.instances()
    result = []
    for source in evenly(plan.dataset.sources, clips):
        clip = load_clip(source, min(plan.grid.seconds or LONGEST_SECONDS, LONGEST_SECONDS))
        decoded = []
        for system in systems:
            for condition, _ in conditions_of(system, plan.grid):
                if condition in plan.grid.conditions() and condition not in wanted:
                    continue
                outcome = send(system, clip, condition, channel_seed(plan.seed, source.name), True)
                if outcome.audio is None:
                    raise ValueError(f"{system.name} made no audio of {clip.name}")
                where = None if outcome.uses == 0 else condition
                decoded.append(Decoded(system.name, where, outcome.audio, decoded_features(outcome)))
        result.append(Example(clip, tuple(decoded)))
    return result
