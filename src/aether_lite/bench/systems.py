"""Systems made of paths: decoded files from elsewhere (``wavs:DIR``) and vocoders (``vocoder:FILE``)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from aether_lite.audio import read_audio
from aether_lite.baselines import Clip, Condition, Facts, Outcome, System
from aether_lite.baselines import make_system as make_registered
from aether_lite.baselines.parts import fingerprint_of
from aether_lite.baselines.upper_bounds import VocoderOnly
from aether_lite.bench.dataset import AUDIO_SUFFIXES, Source
from aether_lite.errors import AetherError
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.vocoder import load_vocoder, synthesize, vocoder_path

FILES, VOCODER = "wavs:", "vocoder:"  # prefixes of names
TOLERANCE = 640  # samples at 16 kHz (40 ms) by which a decoded file may be longer or shorter


def make_system(name: str) -> System:
    """A system by name: ``wavs:DIR``, ``vocoder:FILE``, or as :func:`aether_lite.baselines.make_system` knows it.

    Raises:
        AetherError: no such system, folder or file.
    """
    if name.startswith(FILES):
        return DecodedFiles(Path(name.removeprefix(FILES)))
    if name.startswith(VOCODER):
        return Vocoder(name.removeprefix(VOCODER))
    return make_registered(name)


def check_files(names: Sequence[str], sources: Sequence[Source]) -> None:
    """Refuse, before any work, clips without a decoded file of their length.

    Raises:
        AetherError: names the first such clip and how many there are.
    """
    for name in names:
        if name.startswith(FILES):
            DecodedFiles(Path(name.removeprefix(FILES))).check(sources)


class Vocoder:
    """A vocoder on the original features; its own features are those of its speech, analysed again.

    Args:
        weights: file of a vocoder, or a released name.

    Raises:
        AetherError: no such vocoder.
    """

    def __init__(self, weights: str) -> None:
        path = vocoder_path(weights)
        self._vocoder = load_vocoder(path)
        self.name = f"vocoder-{path.stem}".lower().replace(" ", "-")
        self.title = f"vocoder {path.stem} (no channel)"
        self.facts = replace(VocoderOnly().facts, notes="original features into this vocoder, analysed again")
        self.fingerprint = fingerprint_of(path)

    def offers(self, condition: Condition) -> bool:
        """Everywhere, as a constant."""
        return True

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The clip's features as this vocoder speaks them."""
        return Outcome(None, synthesize(clip.features, self._vocoder), uses=0)


class DecodedFiles:
    """A folder of decoded audio files, named as the clips they are of, whatever their suffix.

    Nothing is known of the link, so the files stand in the tables once, without rate and SNR.

    Args:
        folder: of the files, at any depth.

    Raises:
        AetherError: no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise AetherError(f"{folder}: no such folder of decoded files")
        self._folder = folder
        self.name = f"wavs-{folder.resolve().name}".lower().replace(" ", "-")
        self.title = f"files of {folder.resolve().name}"
        self.facts = Facts(math.nan, "no channel", notes="decoded elsewhere; scored as the files are")
        digest = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES):
            digest.update(path.relative_to(folder).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
        self.fingerprint = digest.hexdigest()[:16]

    def offers(self, condition: Condition) -> bool:
        """Everywhere, as a constant."""
        return True

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """The decoded file of a clip, as long as the clip."""
        samples = read_audio(self._file(clip.name))
        self._check(clip.name, len(samples), len(clip.speech), cut=True)
        samples = np.pad(samples[: len(clip.speech)], (0, max(0, len(clip.speech) - len(samples))))
        return Outcome(None, torch.from_numpy(samples.astype(np.float32)), uses=0)

    def check(self, sources: Sequence[Source]) -> None:
        """Refuse, before any work, clips without a decoded file of their length.

        Raises:
            AetherError: names the first such clip and how many there are.
        """
        missing = [source.name for source in sources if self._found(source.name) is None]
        if missing:
            more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise AetherError(f"{self._folder}: holds no decoded file of the clip {missing[0]}{more}; name it "
                              f"{Path(missing[0]).with_suffix('.wav')}")  # fmt: skip
        for source in sources:
            self._check(source.name, _length(self._file(source.name)), _length(source.paths[-1]))

    def _check(self, name: str, found: int, wanted: int, cut: bool = False) -> None:
        if found < wanted - TOLERANCE or (found > wanted + TOLERANCE and not cut):
            seconds = f"{found / SAMPLE_RATE:.3f} s, but the clip {name} {wanted / SAMPLE_RATE:.3f} s"
            raise AetherError(
                f"{self._file(name)}: lasts {seconds}; decoded files must be as long as the originals, and aligned"
            )

    def _file(self, name: str) -> Path:
        path = self._found(name)
        if path is None:
            raise AetherError(f"{self._folder}: holds no decoded file of the clip {name}")
        return path

    def _found(self, name: str) -> Path | None:
        """The file named as a clip, with its suffix or another."""
        base = self._folder / name
        whole = base if base.suffix.lower() in AUDIO_SUFFIXES else base.with_name(base.name + ".wav")
        paths = (whole, *(whole.with_suffix(suffix) for suffix in sorted(AUDIO_SUFFIXES)))
        return next((path for path in paths if path.is_file()), None)


def _length(path: Path) -> int:
    """Samples at 16 kHz of an audio file, or of raw ``.pcm``."""
    if path.suffix == ".pcm":
        return path.stat().st_size // 2
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise AetherError(f"{path}: cannot be read as audio ({error})") from error
    return round(int(info.frames) * SAMPLE_RATE / int(info.samplerate))
