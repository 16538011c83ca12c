"""This project's codec with analogue symbols."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aether_lite.baselines.air import IDEAL_SYNC, STATE_IN_WORDS, air_measures, fingerprint_of, link_of
from aether_lite.baselines.searching import search_settings
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome
from aether_lite.baselines.voice import speak
from aether_lite.channels import Symbols
from aether_lite.codec import Codec, load
from aether_lite.codec.loading import codec_path
from aether_lite.codec.search import wait_ms
from aether_lite.jscc import RATES
from aether_lite.link import LinkInput, run_link
from aether_lite.vocoder import default_vocoder_path

KNOWS = ("does not know the channel", "knows the mean SNR, not the kind of channel")


class AnalogueCodec:
    """A trained codec, blind to the channel when it encodes unless it searches; one set of weights for every rate.

    Args:
        model: name of released weights or a codec file.
        name: key in the results.
        search: steps of a search for better symbols, which is told the mean SNR; 0 for none.

    Raises:
        AetherError: no such file, or not a codec.
    """

    def __init__(self, model: str | Path, name: str, search: int = 0) -> None:
        path = codec_path(model)
        self._codec: Codec = load(path)
        self.name = name
        self.title = f"Aether-lite {path.stem.removeprefix('codec_')}{' with search' if search else ''}"
        self.search = search
        self.facts = Facts(
            latency_ms=self._codec.latency.milliseconds + wait_ms(search, self._codec.token_frames),
            channel_state=STATE_IN_WORDS,
            trained_on=training_data(self._codec.provenance),
            notes=f"{IDEAL_SYNC}; {'the search' if search else 'the encoder'} {KNOWS[bool(search)]}",
        )
        self.fingerprint = fingerprint_of(path, default_vocoder_path(), *search_settings(search))

    def offers(self, condition: Condition) -> bool:
        """At every rate of the codec."""
        known = not self.search or condition.snr_db is not None
        return condition.takes_symbols and condition.rate in RATES and known

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Features through encoder, channel and decoder; audio by the released vocoder."""
        link = link_of(condition, seed)
        if self.search:
            link = replace(link, target_snr_db=condition.snr_db)
        speech = clip.speech if len(clip.speech) else None  # of a data set of features there is none
        given = LinkInput(clip.features, len(clip.features), speech)
        result = run_link(self._codec, given, link, refine=self.search)
        assert isinstance(result.sent, Symbols)
        return Outcome(
            features=result.decoded,
            audio=speak(result.decoded) if audio else None,
            uses=result.sent.values[0].numel(),
            measured=air_measures(result.sent),
        )


def training_data(provenance: dict[str, Any]) -> str:
    """What the codec's file says about its training data, in a line."""
    return str(provenance.get("data", "not stated in the codec's file"))
