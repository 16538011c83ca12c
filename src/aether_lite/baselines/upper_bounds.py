"""Upper bounds without a channel: the vocoder on the original's features, and the original in a coder's band."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import soxr
import torch

from aether_lite.baselines.codec2 import CODEC_RATE, RESAMPLERS_MS
from aether_lite.baselines.parts import fingerprint_of, speak
from aether_lite.baselines.registry import Clip, Condition, Facts, Outcome, system
from aether_lite.codec.codec import latency
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.vocoder import default_vocoder_path, load_vocoder, synthesize, vocoder_path


class Ceiling:
    """A system that spends no channel uses and gives the same at every condition."""

    def offers(self, condition: Condition) -> bool:
        """Everywhere, as a constant."""
        return True


@system("vocoder-only")
class VocoderOnly(Ceiling):
    """The original features through the released vocoder: the upper bound for any codec of these features."""

    name = "vocoder-only"
    title = "vocoder only (no channel)"

    def __init__(self) -> None:
        notes = "ceiling: original features into the released vocoder"
        self.facts = Facts(latency(token_frames=1).milliseconds, "no channel", notes=notes)
        self.fingerprint = fingerprint_of(default_vocoder_path())

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's own features; condition and seed change nothing."""
        return Outcome(clip.features, speak(clip.features) if audio else None, uses=0)


@system("original-4k")
class Original4k(Ceiling):
    """The speech itself limited to 4 kHz: the upper bound for a coder of narrow-band speech."""

    name = "original-4k"
    title = "original up to 4 kHz (no channel)"

    def __init__(self) -> None:
        notes = "ceiling of narrow-band coders: 16 to 8 kHz and back"
        self.facts = Facts(RESAMPLERS_MS, "no channel", notes=notes)
        self.fingerprint = fingerprint_of(version("soxr"))

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's own speech; condition and seed change nothing."""
        narrow = soxr.resample(clip.speech.numpy(), SAMPLE_RATE, CODEC_RATE)
        wide = soxr.resample(narrow, CODEC_RATE, SAMPLE_RATE)[: len(clip.speech)]
        return Outcome(None, torch.from_numpy(np.pad(wide, (0, len(clip.speech) - len(wide)))), uses=0)


@system("vocoder:")
class Vocoder(Ceiling):
    """The original features through a vocoder by name or file; features count as analysed again from its speech."""

    def __init__(self, weights: str) -> None:
        path = vocoder_path(weights)
        self._vocoder = load_vocoder(path)
        self.name, self.title = f"vocoder-{path.stem}".lower().replace(" ", "-"), f"vocoder {path.stem} (no channel)"
        notes = "original features into this vocoder, analysed again"
        self.facts = Facts(latency(token_frames=1).milliseconds, "no channel", notes=notes)
        self.fingerprint = fingerprint_of(path)

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's features as this vocoder speaks them."""
        return Outcome(None, synthesize(clip.features, self._vocoder), uses=0)
