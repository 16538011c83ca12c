"""What no coder can beat: the vocoder on the original's features, and the original in a coder's band. No channel."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import soxr
import torch

from aether_lite.baselines.air import fingerprint_of
from aether_lite.baselines.digital.codec2 import CODEC_RATE, RESAMPLERS_MS
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome
from aether_lite.baselines.voice import speak
from aether_lite.codec.latency import latency
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.vocoder import default_vocoder_path


class Original4k:
    """The speech itself limited to 4 kHz, without a channel: the best that a coder of narrow-band speech can do."""

    name = "original-4k"
    title = "original up to 4 kHz (no channel)"

    def __init__(self) -> None:
        self.facts = Facts(
            latency_ms=RESAMPLERS_MS,
            channel_state="no channel",
            notes="ceiling of narrow-band coders: 16 to 8 kHz and back",
        )
        self.fingerprint = fingerprint_of(version("soxr"))

    def offers(self, condition: Condition) -> bool:
        """Everywhere, as a constant."""
        return True

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's own speech; condition and seed change nothing."""
        narrow = soxr.resample(clip.speech.numpy(), SAMPLE_RATE, CODEC_RATE)
        wide = soxr.resample(narrow, CODEC_RATE, SAMPLE_RATE)[: len(clip.speech)]
        return Outcome(None, torch.from_numpy(np.pad(wide, (0, len(clip.speech) - len(wide)))), uses=0)


class VocoderOnly:
    """The features as they are, without a channel: the best that any codec of these features can sound.

    It spends no channel uses and gives the same at every condition.
    """

    name = "vocoder-only"
    title = "vocoder only (no channel)"

    def __init__(self) -> None:
        self.facts = Facts(
            latency_ms=latency(token_frames=1).milliseconds,
            channel_state="no channel",
            notes="ceiling: original features into the released vocoder",
        )
        self.fingerprint = fingerprint_of(default_vocoder_path())

    def offers(self, condition: Condition) -> bool:
        """Everywhere, as a constant."""
        return True

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's own features; condition and seed change nothing."""
        return Outcome(clip.features, speak(clip.features) if audio else None, uses=0)
