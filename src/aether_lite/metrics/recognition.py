"""Word and character error rate: what a speech recogniser makes of the decoded audio, beside the original.

The reference is the recogniser's own transcript of the ORIGINAL, so that its mistakes on clean speech count on neither
side. For English clips.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from torch import Tensor

from aether_lite.metrics.clips import Float32, each_clip
from aether_lite.metrics.packages import require
from aether_lite.metrics.whisper import WHISPER_PACKAGES, whisper

SCORING_PACKAGES = ("jiwer",)
RECOGNITION_PACKAGES = (*WHISPER_PACKAGES, *SCORING_PACKAGES)
HIGHEST = 1.0  # a recogniser that invents words scores no worse than one that hears nothing

Recogniser = Callable[[Float32], str]
"""Transcript of one clip ``[N] float32`` at 16 kHz."""

_APOSTROPHES = re.compile("['’‘`]")
_NO_WORD = re.compile(r"[\W_]+")


def plain_words(transcript: str) -> str:
    """Lower case without punctuation: apostrophes vanish (``don't`` is ``dont``), all other marks part words."""
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", transcript).lower())
    return _NO_WORD.sub(" ", text).strip()


def word_error_rate(decoded: Tensor, original: Tensor, recogniser: Recogniser | None = None) -> Tensor:
    """Word error rate ``[...]`` of each clip: (substitutions + deletions + insertions) / words of the reference.

    Args:
        decoded: ``[..., N]`` samples at 16 kHz on the scale +-1.
        original: ``[..., N]`` samples, English speech.
        recogniser: None for :func:`aether_lite.metrics.whisper.whisper`.

    Returns:
        ``[...] float32`` on the CPU, 0 to 1 (capped), lower is better; NaN where no word is heard in the original.

    Raises:
        AetherError: ``jiwer`` or, without a recogniser, a package of Whisper is not installed.
        ValueError: the shapes differ, or samples that are not finite.
    """
    return _error_rate("wer", decoded, original, recogniser)


def character_error_rate(decoded: Tensor, original: Tensor, recogniser: Recogniser | None = None) -> Tensor:
    """Character error rate ``[...]`` of each clip, spaces between words included; as :func:`word_error_rate`."""
    return _error_rate("cer", decoded, original, recogniser)


def _error_rate(kind: str, decoded: Tensor, original: Tensor, recogniser: Recogniser | None) -> Tensor:
    """Error rate by the function ``kind`` of jiwer."""
    require(kind.upper(), SCORING_PACKAGES if recogniser else RECOGNITION_PACKAGES)
    import jiwer

    hear = recogniser or whisper()

    def rate(audio: Float32, reference: Float32) -> float:
        said = plain_words(hear(reference))
        return min(HIGHEST, float(getattr(jiwer, kind)(said, plain_words(hear(audio))))) if said else float("nan")

    return each_clip(rate, decoded, original)
