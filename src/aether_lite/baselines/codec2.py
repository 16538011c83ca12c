"""Codec2 as a system: its bits in the blocks of a digital mode, or plainly over a binary channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines.air import fingerprint_of
from aether_lite.baselines.digital.codec2 import CODEC2, RESAMPLERS_MS, Codec2, require_codec2
from aether_lite.baselines.digital.concealment import concealed, muted
from aether_lite.baselines.digital.modes import CODEC2_BLOCK_FRAMES, CODEC2_MODES, Mode
from aether_lite.baselines.separation import Separation
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome
from aether_lite.channels.binary import BSC, bsc
from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.payload import Bits

BLOCK_SAMPLES = CODEC2_BLOCK_FRAMES * FRAME
BAND = "speech up to 4 kHz only, which feature measures count as an error"


class Codec2Coder:
    """Codec2 in blocks; see :class:`~aether_lite.baselines.separation.SpeechCoder`.

    Args:
        modes: that will be used.

    Raises:
        MissingToolError: Codec2's programs are not installed.
    """

    title = "Codec2"
    trained_on = ""
    notes = f"a failed block repeats the last good frame, further ones are silent; {BAND}"

    def __init__(self, modes: Sequence[Mode]) -> None:
        require_codec2()
        delay = max(CODEC2[mode.speech].delay_samples for mode in modes)
        self.latency_ms = 10 * CODEC2_BLOCK_FRAMES + RESAMPLERS_MS + 1000 * delay / SAMPLE_RATE

    def fingerprint(self, modes: Sequence[Mode]) -> list[Path | str | bytes]:
        """What the installed programs do."""
        return [_spoken_test(mode.speech) for mode in modes]

    def name_of(self, mode: Mode) -> str:
        """As the programs name it."""
        return CODEC2[mode.speech].name

    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Bits ``[K, info_bits] uint8``; the last block is filled with silence."""
        codec = CODEC2[mode.speech]
        count = -(-(len(clip.speech) + codec.delay_samples) // BLOCK_SAMPLES)
        speech = np.pad(clip.speech.numpy(), (0, count * BLOCK_SAMPLES - len(clip.speech)))
        return torch.from_numpy(codec.encode(speech).reshape(count, -1))

    def heard(
        self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor, audio: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Audio only, whether asked for or not."""
        codec = CODEC2[mode.speech]
        frames = bits.numpy().reshape(len(bits), -1, codec.frame_bits)
        mended, mute = concealed(frames, valid.numpy())
        speech = muted(codec.decode(mended.reshape(-1, codec.frame_bits)), mute, BLOCK_SAMPLES)
        return None, _aligned(speech, codec, clip)


class PlainCodec2:
    """Codec2's bits over a binary channel without any protection: one system at all of its rates.

    Raises:
        MissingToolError: Codec2's programs are not installed.
    """

    name = "codec2"
    title = "Codec2"

    def __init__(self) -> None:
        require_codec2()
        self._codecs = {round(codec.bit_rate): codec for codec in CODEC2.values()}
        frame = max(codec.frame_ms for codec in CODEC2.values())
        delay = max(codec.delay_samples for codec in CODEC2.values())
        self.facts = Facts(
            latency_ms=frame + RESAMPLERS_MS + 1000 * delay / SAMPLE_RATE,
            channel_state="hard decisions; needs none",
            notes=f"latency of the slowest rate; c2dec plays what it gets, errors are not concealed; {BAND}",
        )
        self.fingerprint = fingerprint_of(*(_spoken_test(name) for name in CODEC2))

    def offers(self, condition: Condition) -> bool:
        """On the binary channel, at Codec2's own rates [bit/s]."""
        return condition.channel == BSC and condition.rate in self._codecs

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Packed bits with errors; audio is made whether asked for or not."""
        codec = self._codecs[condition.rate]
        missing = codec.delay_samples
        bits = codec.encode(np.pad(clip.speech.numpy(), (0, missing)))
        # One frame of Codec2 as one token; its 20 or 40 ms hold a whole number of bits
        sent = Bits(torch.from_numpy(2.0 * bits - 1).float()[None], condition.rate, codec.frame_ms // 10)
        arrived = bsc(sent, condition.error_rate or 0.0, state="withheld", seed=seed)
        turned = arrived.values * sent.values < 0
        hard = (bits.astype(bool) ^ turned[0].numpy()).astype(np.uint8)
        return Outcome(
            features=None,
            audio=_aligned(codec.decode(hard), codec, clip),
            uses=bits.size,
            measured={"bit_rate": codec.bit_rate, "bit_error_rate": float(turned.float().mean())},
        )


def separation_systems() -> dict[str, tuple[Mode, ...]]:
    """Name -> modes: ``codec2-ldpc`` chooses from all, the others are one mode each."""
    return {"codec2-ldpc": CODEC2_MODES, **{mode.name: (mode,) for mode in CODEC2_MODES}}


def codec2_over_ldpc(modes: Sequence[Mode], name: str) -> Separation:
    """Codec2 with a channel code under a name of :func:`separation_systems`."""
    return Separation(Codec2Coder(modes), modes, name)


def _aligned(speech: np.ndarray, codec: Codec2, clip: Clip) -> Tensor:
    """Decoded speech on top of the clip's and as long; silence where it ends earlier."""
    cut = speech[codec.delay_samples :][: len(clip.speech)]
    return torch.from_numpy(np.pad(cut, (0, len(clip.speech) - len(cut))).astype(np.float32))


@cache
def _spoken_test(speech: str) -> bytes:
    """What the installed Codec2 makes of a fixed second of sound: differs where its version does."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = sum(np.sin(2 * np.pi * harmonic * (120 * time + 20 * time**2)) / harmonic for harmonic in range(1, 20))
    codec = CODEC2[speech]
    bits = codec.encode((0.1 * np.asarray(sound)).astype(np.float32))
    return bits.tobytes() + codec.decode(bits).tobytes()
