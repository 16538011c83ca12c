"""This project's hash codec: its bits uncoded over QPSK or a binary channel, or in the blocks of a digital mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from aether_lite.baselines.air import (
    IDEAL_SYNC,
    STATE_IN_WORDS,
    air_measures,
    bit_link_of,
    fingerprint_of,
)
from aether_lite.baselines.analogue import training_data
from aether_lite.baselines.digital.modes import HASH_BLOCK_FRAMES, HASH_MODES, Mode
from aether_lite.baselines.searching import search_settings
from aether_lite.baselines.separation import Separation
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome
from aether_lite.baselines.voice import speak
from aether_lite.codec import load_hash
from aether_lite.codec.latency import latency
from aether_lite.codec.loading import codec_path
from aether_lite.codec.search import wait_ms
from aether_lite.hash import BIT_RATES
from aether_lite.link import run_link
from aether_lite.payload import ReceivedBits
from aether_lite.vocoder import default_vocoder_path

KNOWN_BITS = "of bits the error rate, estimated from one known bit in ten, not counted"


class HashSystem:
    """A trained hash codec without a channel code: two bits a use by QPSK with soft decisions, or a binary channel.

    Args:
        model: name of released weights or a codec file.
        name: key in the results.
        search: steps of a search for better bits, see :mod:`aether_lite.codec.search`; 0 for none.

    Raises:
        AetherError: no such file, or not a hash codec.
    """

    def __init__(self, model: str | Path, name: str, search: int = 0) -> None:
        path = codec_path(model)
        self._codec = load_hash(path)
        self.name = name
        self.search = search
        self.title = _title(path) + (" with search" if search else "")
        self.facts = Facts(
            latency_ms=self._codec.latency.milliseconds + wait_ms(search, self._codec.token_frames),
            channel_state=f"{STATE_IN_WORDS}; {KNOWN_BITS}",
            trained_on=training_data(self._codec.provenance),
            notes=f"{IDEAL_SYNC}; bits without a code: QPSK and soft decisions on channels of symbols",
        )
        self.fingerprint = fingerprint_of(path, default_vocoder_path(), *search_settings(search))

    def offers(self, condition: Condition) -> bool:
        """Where the uses carry one of the codec's bit rates."""
        return bit_link_of(condition, 0).rate in BIT_RATES

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Features through encoder, channel and decoder; audio by the released vocoder."""
        result = run_link(self._codec, clip.features, bit_link_of(condition, seed), refine=self.search)
        wrong, decided = result.bit_errors()
        measured = {
            "bit_rate": float(result.config.rate),
            "bit_error_rate": wrong / decided if decided else float("nan"),
        }
        uses = result.sent.values[0].numel()
        if result.air is not None:
            symbols = result.air[0]
            measured |= air_measures(symbols)
            uses = symbols.values[0].numel()
        return Outcome(result.decoded, speak(result.decoded) if audio else None, uses, measured)


class HashCoder:
    """The hash codec in blocks of tokens; see :class:`~aether_lite.baselines.separation.SpeechCoder`.

    Args:
        model: name of released weights or a codec file.
    """

    notes = "a failed block is a lost token, for which the decoder has a path of its own"

    def __init__(self, model: str | Path) -> None:
        self._path = codec_path(model)
        self._codec = load_hash(self._path)
        self.title = _title(self._path)
        waited = self._codec.model.config.lookahead * self._codec.token_frames  # frames, behind the block
        self.latency_ms = latency(HASH_BLOCK_FRAMES + waited).milliseconds
        self.trained_on = training_data(self._codec.provenance)

    def fingerprint(self, modes: Sequence[Mode]) -> list[Path | str | bytes]:
        """The weights."""
        return [self._path, default_vocoder_path()]

    def name_of(self, mode: Mode) -> str:
        """Its bit rate."""
        return f"{mode.bit_rate} bit/s"

    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Bits ``[K, info_bits] uint8``; the last row of features fills the last block."""
        missing = -len(clip.features) % mode.block_frames
        rows = torch.cat((clip.features, clip.features[-1:].expand(missing, -1)))
        values = self._codec.encode_features(rows[None], mode.bit_rate).values
        return (values > 0).to(torch.uint8).reshape(-1, mode.info_bits)

    def heard(
        self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor, audio: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Features by the decoder's own path for lost tokens; audio by the released vocoder."""
        tokens = mode.block_frames // self._codec.token_frames
        erased = ~valid.repeat_interleave(tokens)[None]
        values = (2.0 * bits - 1).reshape(1, len(bits) * tokens, -1).masked_fill(erased[:, :, None], 0)
        received = ReceivedBits(values, mode.bit_rate, erased, self._codec.token_frames)
        features = self._codec.decode_features(received)[0, : len(clip.features)]
        return features, speak(features) if audio else None


def hash_over_ldpc(model: str | Path, name: str) -> Separation:
    """A hash codec with a channel code, the best mode at each condition.

    Raises:
        MissingToolError: Sionna is not installed.
        AetherError: no such file, or not a hash codec.
    """
    return Separation(HashCoder(model), HASH_MODES, name)


def _title(path: Path) -> str:
    return f"Aether-lite hash {path.stem.removeprefix('hash_')}"
