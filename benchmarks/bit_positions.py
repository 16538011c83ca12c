"""Plugin of ``bench``: a hash codec with the same positions of every token flipped, which the receiver trusts.

    aether-lite bench SPEECH --plugin benchmarks/bit_positions.py --channel bsc --ber 0 --rate 2400 --audio-clips 0 \\
        --system hash-small,hash-small-flip-0,hash-small-flip-24 --against hash-small

``hash-small-flip-N`` flips positions N to N + 23 of each token (24 positions are sent at 300 bit/s, 192 at 2400 bit/s).
That is the worst that errors in them can do, and shows where pitch, voicing and energy live.
"""

from __future__ import annotations

from dataclasses import replace

from aether_lite.baselines import SYSTEMS, Clip, Condition, Outcome, System, make_system
from aether_lite.channels import bsc
from aether_lite.codec import load

GROUP, POSITIONS = 24, 192


class Flipped:
    """The released ``hash_small`` with a group of positions flipped."""

    def __init__(self, first: int) -> None:
        plain: System = make_system("hash-small")
        self.name, self.title = f"hash-small-flip-{first}", f"bits {first} to {first + GROUP - 1} flipped"
        self.facts, self.fingerprint = plain.facts, f"{plain.fingerprint}-{first}"
        self._first, self._plain, self._codec = first, plain, load("hash_small")

    def offers(self, condition: Condition) -> bool:
        """On ``bsc``, at rates that send these positions."""
        sent = condition.rate * self._codec.token_frames // 100
        return not condition.takes_symbols and self._plain.offers(condition) and self._first < sent

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Features through encoder, flips and decoder."""
        bits = self._codec.encode_features(clip.features[None], condition.rate)
        values = bits.values.clone()
        values[..., self._first : self._first + GROUP] *= -1
        received = bsc(replace(bits, values=values), 0.0, csi="perfect", seed=0)
        features = self._codec.decode_features(received)[0, : len(clip.features)]
        speech = self._codec.speak(features[None])[0] if audio else None
        return Outcome(features, speech, values[0].numel())


for _first in range(0, POSITIONS, GROUP):
    SYSTEMS[f"hash-small-flip-{_first}"] = lambda first=_first: Flipped(first)  # type: ignore[misc]
