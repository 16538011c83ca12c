"""Codec2 (D. Rowe, codec2 1.0) by its command line programs ``c2enc`` and ``c2dec``, which Debian packages.

Speech at 16 kHz is resampled to the codec's 8 kHz and back (soxr HQ, without delay). The codec's own delay is taken
out, so that the decoded speech lies on top of the original.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from aether_lite.baselines.digital.missing import require_programs
from aether_lite.errors import AetherError
from aether_lite.features.layout import SAMPLE_RATE

Float32 = NDArray[np.float32]
Bits = NDArray[np.uint8]

CODEC_RATE = 8000  # Hz
RESAMPLERS_MS = 11.4  # look-ahead of soxr HQ, 16 to 8 kHz and back: impulse response above -60 dB (5.2 + 6.2)
FULL_SCALE = 32_768  # of int16
PROGRAMS = ("c2enc", "c2dec")


@dataclass(frozen=True)
class Codec2:
    """One bit rate of Codec2.

    Attributes:
        name: as the programs know it.
        frame_bits: bits of a frame.
        frame_ms: length of a frame [ms].
        delay_samples: by which decoded speech lags at 16 kHz, encoder and decoder together: the shift of highest
            ESTOI over the bundled samples, in steps of 20 samples (``tests/baselines/test_digital_codec2.py``).
    """

    name: str
    frame_bits: int
    frame_ms: int
    delay_samples: int

    @property
    def bit_rate(self) -> float:
        """[bit/s]."""
        return 1000 * self.frame_bits / self.frame_ms

    def encode(self, speech: Float32) -> Bits:
        """Bits ``[frames, frame_bits]`` of speech ``[N]`` at 16 kHz; a last part frame is filled with silence.

        Raises:
            MissingToolError: the programs are not installed.
        """
        narrow = soxr.resample(speech, SAMPLE_RATE, CODEC_RATE)
        frame = CODEC_RATE * self.frame_ms // 1000
        narrow = np.pad(narrow, (0, -len(narrow) % frame))
        pcm = np.clip(np.rint(narrow * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
        packed = np.frombuffer(self._run("c2enc", pcm.tobytes()), np.uint8).reshape(len(pcm) // frame, -1)
        return np.unpackbits(packed, axis=1)[:, : self.frame_bits]

    def decode(self, bits: Bits) -> Float32:
        """Speech ``[N']`` at 16 kHz of bits ``[frames, frame_bits]``, delayed by ``delay_samples``.

        Raises:
            MissingToolError: the programs are not installed.
        """
        pcm = np.frombuffer(self._run("c2dec", np.packbits(bits, axis=1).tobytes()), "<i2")
        wide: Float32 = soxr.resample(pcm.astype(np.float32) / FULL_SCALE, CODEC_RATE, SAMPLE_RATE)
        return wide

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


def require_codec2() -> None:
    """Raise MissingToolError where the programs are not installed."""
    require_programs(PROGRAMS, "codec2", "the Codec2 baseline")
