"""Systems without a channel: the vocoder on the original's features, the original in a coder's band, decoded files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soxr
import torch

from aether_lite.audio import read_audio
from aether_lite.baselines.codec2 import CODEC_RATE, RESAMPLERS_MS
from aether_lite.baselines.registry import Clip, Condition, Facts, Outcome, fingerprint_of, speak, system
from aether_lite.codec.base import latency
from aether_lite.data.sources import AUDIO_SUFFIXES
from aether_lite.errors import AetherError
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.vocoder import default_vocoder_path, load_vocoder, synthesize, vocoder_path

FAMILY = "wavs:"
TOLERANCE = 640  # samples at 16 kHz (40 ms) by which a decoded file may be longer or shorter


class Ceiling:
    """A system that spends no channel uses and gives the same at every condition."""

    def offers(self, condition: Condition) -> bool:
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
        return Outcome(None, synthesize(clip.features, self._vocoder), uses=0)


@system(FAMILY)
class DecodedFiles(Ceiling):
    """A folder of decoded audio files at any depth, named as the clips they are of, whatever their suffix.

    The link is not known, so they stand in the tables once, without rate and SNR. AetherError: no such folder.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise AetherError(f"{folder}: no such folder of decoded files")
        stem = self._folder.resolve().name
        self.name, self.title = f"wavs-{stem}".lower().replace(" ", "-"), f"files of {stem}"
        self.facts = Facts(math.nan, "no channel", notes="decoded elsewhere; scored as the files are")
        digest = hashlib.sha256()
        for path in sorted(path for path in self._folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES):
            digest.update(path.relative_to(self._folder).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.fingerprint = digest.hexdigest()[:16]

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        samples = read_audio(self._file(clip.name))
        if len(samples) < len(clip.speech) - TOLERANCE:
            self._refuse(clip.name, len(samples), len(clip.speech))
        samples = np.pad(samples[: len(clip.speech)], (0, max(0, len(clip.speech) - len(samples))))
        return Outcome(None, torch.from_numpy(samples.astype(np.float32)), uses=0)

    def check(self, lengths: Mapping[str, int]) -> None:
        """AetherError where one of these clips (name -> samples at 16 kHz) has no decoded file of its length."""
        missing = [name for name in lengths if self._found(name) is None]
        if missing:
            more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
            wanted = Path(missing[0]).with_suffix(".wav")
            raise AetherError(f"{self._folder}: holds no decoded file of the clip {missing[0]}{more}; name it {wanted}")
        for name, length in lengths.items():
            found = len(read_audio(self._file(name)))
            if abs(found - length) > TOLERANCE:
                self._refuse(name, found, length)

    def _refuse(self, name: str, found: int, wanted: int) -> None:
        raise AetherError(
            f"{self._file(name)}: lasts {found / SAMPLE_RATE:.3f} s, but the clip {name} "
            f"{wanted / SAMPLE_RATE:.3f} s; decoded files must be as long as the originals, and aligned"
        )

    def _file(self, name: str) -> Path:
        """The file named as a clip, with its suffix or another."""
        if (path := self._found(name)) is None:
            raise AetherError(f"{self._folder}: holds no decoded file of the clip {name}")
        return path

    def _found(self, name: str) -> Path | None:
        base = self._folder / name
        whole = base if base.suffix.lower() in AUDIO_SUFFIXES else base.with_name(base.name + ".wav")
        paths = (whole, *(whole.with_suffix(suffix) for suffix in sorted(AUDIO_SUFFIXES)))
        return next((path for path in paths if path.is_file()), None)
