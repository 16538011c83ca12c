"""This project's codecs as systems: symbols, or bits without a channel code; released ones and ``codec:PATH``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aether_lite import zoo
from aether_lite.baselines import registry
from aether_lite.baselines.registry import IDEAL_SYNC, STATE_IN_WORDS, SYSTEMS, Clip, Condition, Facts, Outcome, system
from aether_lite.codec import is_hash_codec, load
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path
from aether_lite.codec.refinement import SETTINGS
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig, LinkInput, run_link
from aether_lite.losses.asr import DEFAULT_MEL_PREDICTOR
from aether_lite.losses.whisper import model_file
from aether_lite.optional import MissingToolError
from aether_lite.payload import BIT_RATES, RATES
from aether_lite.vocoder import default_vocoder_path

REFINED = "-search"  # suffix of a system's name
KNOWN_BITS = "of bits the error rate, estimated from one known bit in ten, not counted"


class CodecSystem:
    """A trained codec over the link of a condition; one set of weights for every rate.

    Symbols are encoded without knowledge of the channel; ``refine`` steps refine them for the mean SNR. Bits take
    a binary channel, or QPSK with soft decisions, two bits a use.

    Raises:
        MissingToolError: refinement needs packages that are not installed.
        AetherError: no such file, or not a codec.
    """

    def __init__(self, name: str, model: str | Path, refine: int = 0) -> None:
        if refine:
            try:
                model_file()
            except AetherError as error:
                raise MissingToolError(str(error)) from error
        path = codec_path(model)
        self._codec = load(path)
        self._of_bits = self._codec.unit == "bit/s"
        self.name, self.refine = name, refine
        self.title = file_title(path) + (" with search" if refine else "")
        notes = "the encoder does not know the channel"
        if refine:
            notes = "the search knows the mean SNR, not the kind of channel"
        if self._of_bits:
            notes = "bits without a code: QPSK and soft decisions on channels of symbols"
        self.facts = Facts(
            latency_ms=self._codec.latency_ms(refine),
            channel_state=f"{STATE_IN_WORDS}; {KNOWN_BITS}" if self._of_bits else STATE_IN_WORDS,
            trained_on=training_data(self._codec.provenance),
            notes=f"{IDEAL_SYNC}; {notes}",
        )
        settings: list[Path | str] = [f"{refine} steps", zoo.path(DEFAULT_MEL_PREDICTOR)] if refine else []
        self.fingerprint = registry.fingerprint_of(path, default_vocoder_path(), *settings)

    def offers(self, condition: Condition) -> bool:
        """Where the channel takes the payload at one of the codec's rates; refined symbols need an SNR."""
        link = self._link(condition, 0)
        if self._of_bits:
            return link.unit == "bit/s" and link.rate in BIT_RATES
        known = not self.refine or condition.snr_db is not None
        return link.unit == "uses/s" and link.rate in RATES and known

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        link = self._link(condition, seed)
        if self.refine and not self._of_bits:
            link = replace(link, target_snr_db=condition.snr_db)
        speech = clip.speech if len(clip.speech) and not self._of_bits else None
        result = run_link(self._codec, LinkInput(clip.features, len(clip.features), speech), link, refine=self.refine)
        measured: dict[str, float] = {}
        if self._of_bits:
            wrong, sent = result.bit_errors()
            measured = {"bit_rate": float(link.rate), "bit_error_rate": wrong / sent if sent else math.nan}
        if result.symbols is not None:
            measured |= registry.symbol_measures(result.symbols[0])
        payload = result.sent if result.symbols is None else result.symbols[0]
        uses = payload.values[0].numel()
        return Outcome(result.decoded, registry.speak(result.decoded) if audio else None, uses, measured)

    def _link(self, condition: Condition, seed: int) -> LinkConfig:
        return registry.link_of(condition, seed, "qpsk" if self._of_bits else None)


def file_title(path: Path) -> str:
    return f"Aether-lite {path.stem.removeprefix('codec_').replace('hash_', 'hash ')}"


def training_data(provenance: dict[str, Any]) -> str:
    """What the codec's file says about its training data, in a line."""
    return str(provenance.get("data", "not stated in the codec's file"))


@system("codec:")
def codec_file(path: str) -> CodecSystem:
    """System of a codec file, named ``codec-STEM`` or ``hash-STEM`` in lower case."""
    kind = "hash" if is_hash_codec(codec_path(path)) else "codec"
    name = f"{kind}-" + Path(path).stem.removeprefix(f"{kind}_").lower().replace(" ", "-")
    return CodecSystem(f"{name}-file" if name in SYSTEMS else name, path)


def _register(name: str, stem: str, steps: int) -> None:
    make: Callable[..., CodecSystem] = partial(CodecSystem, model=stem)
    system(name)(partial(make, name))
    system(name + REFINED)(partial(make, name + REFINED, refine=steps))


for _stem in sorted(zoo.names("codec"), key=lambda stem: (stem != DEFAULT_CODEC, stem)):
    _register(f"codec-{_stem}", _stem, SETTINGS["uses/s"].steps)
for _stem in zoo.names("hash codec"):
    _register(_stem.replace("_", "-"), _stem, SETTINGS["bit/s"].steps)
