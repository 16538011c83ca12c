"""Systems for tests of the benchmark: cheap, and with a known answer."""

from __future__ import annotations

import torch

from aether_lite.baselines import Clip, Condition, Facts, Outcome, System
from aether_lite.errors import AetherError


class NoisySystem:
    """Adds noise of the channel's level to the cepstra; one use for each 1/rate seconds."""

    def __init__(self, name: str, scale: float) -> None:
        self.name, self.title, self.fingerprint, self._scale = name, f"Noisy {scale:g}", f"noisy {scale}", scale
        self.facts = Facts(40.0, "knows everything", "nothing", "for tests")

    def offers(self, condition: Condition) -> bool:
        return condition.rate != 150

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        draws = torch.Generator().manual_seed(seed)
        level = self._scale * 10 ** (-(condition.snr_db or 0.0) / 20)
        features = clip.features.clone()
        features[:, :18] += level * torch.randn(features[:, :18].shape, generator=draws)
        heard = 0.9 * clip.speech if audio else None
        return Outcome(features, heard, round(len(features) * condition.rate / 100), {"symbol_power": 1.0})


class SilentSystem(NoisySystem):
    """Sends nothing."""

    def __init__(self) -> None:
        super().__init__("nothing-sent", 0.0)
        self.facts = Facts(10.0, "no channel")

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        return Outcome(clip.features, clip.speech if audio else None, 0)


class BrokenSystem(NoisySystem):
    """Fails at its fifth clip."""

    sent = 0

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        self.sent += 1
        if self.sent == 5:
            raise AetherError("out of order")
        return super().transmit(clip, condition, seed, audio)


class TurningSystem(NoisySystem):
    """As much noise as the binary channel turns bits."""

    def __init__(self) -> None:
        super().__init__("turning", 1.0)

    def offers(self, condition: Condition) -> bool:
        return condition.error_rate is not None

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        noise = Condition("awgn", 20.0 - 200.0 * (condition.error_rate or 0.0), condition.rate)
        return super().transmit(clip, noise, seed, audio)


def make_noisy(name: str) -> System:
    """Systems by name."""
    made: dict[str, System] = {
        "noisy-1": NoisySystem("noisy-1", 1.0),
        "noisy-2": NoisySystem("noisy-2", 2.0),
        "nothing-sent": SilentSystem(),
        "turning": TurningSystem(),
        "broken": BrokenSystem("noisy-1", 1.0),  # the name of a whole one: its results are the same
    }
    return made[name]
