"""Codec2 (D. Rowe, codec2 1.0) by its programs ``c2enc`` and ``c2dec``, and as a system over a binary channel.

Speech at 16 kHz is resampled to the codec's 8 kHz and back (soxr HQ, without delay). The codec's own delay is taken
out, so that the decoded speech lies on top of the original.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.baselines.registry import Clip, Condition, Facts, Outcome, fingerprint_of, system
from aether_lite.channels.binary import BSC, bsc
from aether_lite.errors import AetherError
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.optional import require_programs
from aether_lite.payload import Bits

Float32 = NDArray[np.float32]
PackedBits = NDArray[np.uint8]

CODEC_RATE = 8000  # Hz
RESAMPLERS_MS = 11.4  # look-ahead of soxr HQ, 16 to 8 kHz and back: impulse response above -60 dB (5.2 + 6.2)
FULL_SCALE = 32_768  # of int16
NARROW_BAND = "speech up to 4 kHz only, which feature measures count as an error"
REPEATED_BLOCKS = 1  # failed blocks in a row that repeat the last good frame
RAMP_SAMPLES = 160  # 10 ms, fade into and out of silence


def require_codec2() -> None:
    """Raise MissingToolError where the programs are not installed."""
    require_programs("the Codec2 baseline", ("c2enc", "c2dec"), "codec2")


@dataclass(frozen=True)
class Codec2:
    """One bit rate of Codec2: ``frame_bits`` every ``frame_ms`` [ms]; ``name`` is that of the programs.

    Attributes:
        delay_samples: by which decoded speech lags at 16 kHz, encoder and decoder together: the shift of highest
            ESTOI over the bundled samples, in steps of 20 samples (``tests/baselines/test_digital_codec2.py``).

    Raises:
        MissingToolError: by ``encode`` and ``decode``, where the programs are not installed.
    """

    name: str
    frame_bits: int
    frame_ms: int
    delay_samples: int

    @property
    def bit_rate(self) -> float:
        return 1000 * self.frame_bits / self.frame_ms

    def encode(self, speech: Float32) -> PackedBits:
        """Bits ``[frames, frame_bits]`` of speech ``[N]`` at 16 kHz; a last part frame is filled with silence."""
        narrow = soxr.resample(speech, SAMPLE_RATE, CODEC_RATE)
        frame = CODEC_RATE * self.frame_ms // 1000
        narrow = np.pad(narrow, (0, -len(narrow) % frame))
        pcm = np.clip(np.rint(narrow * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
        packed = np.frombuffer(self._run("c2enc", pcm.tobytes()), np.uint8).reshape(len(pcm) // frame, -1)
        return np.unpackbits(packed, axis=1)[:, : self.frame_bits]

    def decode(self, bits: PackedBits) -> Float32:
        """Speech ``[N']`` at 16 kHz of bits ``[frames, frame_bits]``, delayed by ``delay_samples``."""
        pcm = np.frombuffer(self._run("c2dec", np.packbits(bits, axis=1).tobytes()), "<i2")
        wide: Float32 = soxr.resample(pcm.astype(np.float32) / FULL_SCALE, CODEC_RATE, SAMPLE_RATE)
        return wide

    def aligned(self, speech: Float32, clip: Clip) -> Tensor:
        """Decoded speech on top of the clip's and as long ``[160 F]``; silence where it ends earlier."""
        cut = speech[self.delay_samples :][: len(clip.speech)]
        return torch.from_numpy(np.pad(cut, (0, len(clip.speech) - len(cut))).astype(np.float32))

    def _run(self, program: str, given: bytes) -> bytes:
        require_codec2()
        done = subprocess.run([program, self.name, "-", "-"], input=given, capture_output=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise AetherError(f"{program} {self.name} failed ({reason[-1] if reason else done.returncode})")
        return done.stdout


CODEC2 = {
    "700c": Codec2("700C", frame_bits=28, frame_ms=40, delay_samples=460),
    "1300": Codec2("1300", frame_bits=52, frame_ms=40, delay_samples=300),
    "2400": Codec2("2400", frame_bits=48, frame_ms=20, delay_samples=300),
    "3200": Codec2("3200", frame_bits=64, frame_ms=20, delay_samples=300),
}
"""Bit rates of the baseline, by lower-case name, slowest first."""


@system("codec2")
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
        latency = frame + RESAMPLERS_MS + 1000 * delay / SAMPLE_RATE
        notes = f"latency of the slowest rate; c2dec plays what it gets, errors are not concealed; {NARROW_BAND}"
        self.facts = Facts(latency, "hard decisions; needs none", notes=notes)
        self.fingerprint = fingerprint_of(*(output_of_programs(name) for name in CODEC2))

    def offers(self, condition: Condition) -> bool:
        """On the binary channel, at Codec2's own rates [bit/s]."""
        return condition.channel == BSC and condition.rate in self._codecs

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Packed bits with errors; audio is made whether asked for or not."""
        codec = self._codecs[condition.rate]
        bits = codec.encode(np.pad(clip.speech.numpy(), (0, codec.delay_samples)))
        # One frame of Codec2 as one token; its 20 or 40 ms hold a whole number of bits
        sent = Bits(torch.from_numpy(2.0 * bits - 1).float()[None], condition.rate, codec.frame_ms // 10)
        received = bsc(sent, condition.error_rate or 0.0, csi="none", seed=seed)
        flipped = received.values * sent.values < 0
        hard = (bits.astype(bool) ^ flipped[0].numpy()).astype(np.uint8)
        measured = {"bit_rate": codec.bit_rate, "bit_error_rate": float(flipped.float().mean())}
        return Outcome(None, codec.aligned(codec.decode(hard), clip), bits.size, measured)


def concealed(frames: PackedBits, valid: NDArray[np.bool_]) -> tuple[PackedBits, NDArray[np.bool_]]:
    """Frames ``[K, frames, bits]``; those of blocks not ``valid [K]`` repeat the last frame of the last good block.

    Also ``[K] bool``: blocks to be muted, because the last good one is more than one block back, or none has come yet.
    """
    index = np.arange(len(valid))
    last = np.maximum.accumulate(np.where(valid, index, -1))
    repeated = np.broadcast_to(frames[np.maximum(last, 0), -1:], frames.shape)
    mended = np.where(valid[:, None, None], frames, repeated)
    return mended, (last < 0) | (index - last > REPEATED_BLOCKS)


def muted(speech: Float32, mute: NDArray[np.bool_], block_samples: int) -> Float32:
    """Speech ``[K block_samples]`` with blocks ``mute [K]`` silent, faded over 10 ms."""
    gain = np.repeat(np.where(mute, 0.0, 1.0), block_samples)
    padded = np.pad(gain, RAMP_SAMPLES // 2, mode="edge")
    total = np.concatenate(([0.0], np.cumsum(padded)))
    smooth = (total[RAMP_SAMPLES:] - total[:-RAMP_SAMPLES])[: len(gain)] / RAMP_SAMPLES
    return (speech * smooth).astype(np.float32)


@cache
def output_of_programs(speech: str) -> bytes:
    """Bits and samples of the installed programs for a fixed second of sound: they differ where the version does."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = sum(np.sin(2 * np.pi * harmonic * (120 * time + 20 * time**2)) / harmonic for harmonic in range(1, 20))
    codec = CODEC2[speech]
    bits = codec.encode((0.1 * np.asarray(sound)).astype(np.float32))
    return bits.tobytes() + codec.decode(bits).tobytes()
