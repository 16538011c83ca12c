"""Separation: speech coding and channel coding apart, Codec2 with 5G LDPC and QPSK or 16-QAM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

import numpy as np
import torch

from aether_lite.evaluation.digital.adaptation import best_mode, table_text
from aether_lite.evaluation.digital.codec2 import CODEC2, require_codec2
from aether_lite.evaluation.digital.concealment import concealed, muted
from aether_lite.evaluation.digital.modem import require_sionna
from aether_lite.evaluation.digital.modes import BLOCK_FRAMES, BLOCK_MS, MODES, Mode, send_blocks
from aether_lite.evaluation.systems.air import IDEAL_SYNC, STATE_IN_WORDS, air_measures, fingerprint_of, link_of
from aether_lite.evaluation.systems.system import Clip, Condition, Facts, Outcome
from aether_lite.features.layout import FRAME, SAMPLE_RATE

BLOCK_SAMPLES = BLOCK_FRAMES * FRAME
RESAMPLERS_MS = 11.4  # look-ahead of soxr HQ, 16 to 8 kHz and back: impulse response above -60 dB (5.2 + 6.2)

WORDS = {"qpsk": "QPSK", "16qam": "16-QAM"}


class Separation:
    """Codec2 over LDPC: the best of some modes at each condition, or one mode everywhere.

    Args:
        modes: to choose from, see :mod:`aether_lite.evaluation.digital.adaptation`.
        name: key in the results.

    Raises:
        MissingToolError: Codec2's programs or Sionna are not installed.
    """

    def __init__(self, modes: Sequence[Mode], name: str) -> None:
        require_codec2()
        require_sionna()
        self._modes = tuple(modes)
        self.name = name
        fixed = f"{modes[0].codec.name} + LDPC {WORDS[modes[0].modulation]}"
        self.title = f"Codec2 {fixed}" if len(modes) == 1 else "Codec2 + 5G LDPC, best mode"
        delay = max(mode.codec.delay_samples for mode in modes)
        choice = "mode chosen by channel and mean SNR, not by outcome; " if len(modes) > 1 else ""
        self.facts = Facts(
            latency_ms=BLOCK_MS + RESAMPLERS_MS + 1000 * delay / SAMPLE_RATE,
            channel_state=STATE_IN_WORDS,
            notes=f"{IDEAL_SYNC}; {choice}blocks of 120 ms; a failed block repeats the last good frame, further ones "
            "are silent; speech up to 4 kHz only, which feature measures count as an error",
        )
        self.fingerprint = fingerprint_of(
            *(mode.name for mode in modes),
            *(_spoken_test(mode.speech) for mode in modes),
            table_text(),
            version("sionna-no-rt"),
            torch.__version__,
        )

    def offers(self, condition: Condition) -> bool:
        """Where a mode fits the rate."""
        return any(mode.fits(condition.rate) for mode in self._modes)

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Speech through Codec2, code and channel; audio is made whether asked for or not."""
        link = link_of(condition, seed)
        mode = best_mode(self._modes, link, condition.options)
        codec = mode.codec
        count = -(-(len(clip.speech) + codec.delay_samples) // BLOCK_SAMPLES)
        speech = np.pad(clip.speech.numpy(), (0, count * BLOCK_SAMPLES - len(clip.speech)))
        frames = codec.encode(speech).reshape(count, -1, codec.frame_bits)
        blocks = send_blocks(torch.from_numpy(frames.reshape(1, count, -1)), mode, link)
        mended, mute = concealed(blocks.bits[0].numpy().reshape(frames.shape), blocks.valid[0].numpy())
        heard = muted(codec.decode(mended.reshape(-1, codec.frame_bits)), mute, BLOCK_SAMPLES)
        return Outcome(
            features=None,
            audio=torch.from_numpy(heard[codec.delay_samples :][: len(clip.speech)].copy()),
            uses=blocks.symbols.values[0].numel(),
            measured={
                **air_measures(blocks.symbols),
                "bit_rate": codec.bit_rate,
                "bits_per_symbol": float(mode.coded_bits(condition.rate) / blocks.symbols.values.shape[2]),
                "bler": float(blocks.failed.float().mean()),
            },
        )


def separation_systems() -> dict[str, tuple[Mode, ...]]:
    """Name -> modes: ``codec2-ldpc`` chooses from all, the others are one mode each."""
    return {"codec2-ldpc": MODES, **{mode.name: (mode,) for mode in MODES}}


@cache
def _spoken_test(speech: str) -> bytes:
    """What the installed Codec2 makes of a fixed second of sound: differs where its version does."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = sum(np.sin(2 * np.pi * harmonic * (120 * time + 20 * time**2)) / harmonic for harmonic in range(1, 20))
    codec = CODEC2[speech]
    bits = codec.encode((0.1 * np.asarray(sound)).astype(np.float32))
    return bits.tobytes() + codec.decode(bits).tobytes()
