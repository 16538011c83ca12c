"""Separation: speech coding and channel coding apart, a speech coder with 5G LDPC and QPSK or 16-QAM."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from aether_lite.baselines.air import IDEAL_SYNC, STATE_IN_WORDS, air_measures, fingerprint_of, link_of
from aether_lite.baselines.digital.adaptation import best_mode, table_text
from aether_lite.baselines.digital.modem import require_sionna
from aether_lite.baselines.digital.modes import Mode, send_blocks
from aether_lite.baselines.system import Clip, Condition, Facts, Outcome

WORDS = {"qpsk": "QPSK", "16qam": "16-QAM"}


class SpeechCoder(Protocol):
    """Makes the bits of the modes' blocks, and speech of those that arrive.

    Attributes:
        title: in legends.
        latency_ms: of speech to bits and back in blocks, the blocks included [ms].
        trained_on: data behind its weights, in words; empty without weights.
        notes: what it does with lost blocks, and what else a reader must know.
    """

    title: str
    latency_ms: float
    trained_on: str
    notes: str

    def fingerprint(self, modes: Sequence[Mode]) -> list[Path | str | bytes]:
        """What results with these modes depend on."""
        ...

    def name_of(self, mode: Mode) -> str:
        """Of a mode's speech, in legends."""
        ...

    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Bits ``[K, info_bits] uint8`` of a clip; the last block is filled up."""
        ...

    def heard(
        self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor, audio: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Features ``[F, 20]`` or None, and audio ``[N]`` or None, of the clip's length.

        Args:
            clip: gives the length, and nothing else.
            mode: what the bits are of.
            bits: ``[K, info_bits] uint8`` as they were decoded.
            valid: ``[K] bool``, blocks that the receiver takes for good.
            audio: whether audio is wanted.
        """
        ...


class Separation:
    """A speech coder over LDPC: the best of some modes at each condition, or one mode everywhere.

    Args:
        coder: of the speech.
        modes: to choose from, see :mod:`aether_lite.baselines.digital.adaptation`.
        name: key in the results.

    Raises:
        MissingToolError: Sionna is not installed.
    """

    def __init__(self, coder: SpeechCoder, modes: Sequence[Mode], name: str) -> None:
        require_sionna()
        self._coder, self._modes = coder, tuple(modes)
        self.name = name
        fixed = f"{coder.name_of(modes[0])} + LDPC {WORDS[modes[0].modulation]}"
        self.title = f"{coder.title} {fixed}" if len(modes) == 1 else f"{coder.title} + 5G LDPC, best mode"
        choice = "mode chosen by channel and mean SNR, not by outcome; " if len(modes) > 1 else ""
        self.facts = Facts(
            latency_ms=coder.latency_ms,
            channel_state=STATE_IN_WORDS,
            trained_on=coder.trained_on,
            notes=f"{IDEAL_SYNC}; {choice}blocks of {10 * modes[0].block_frames} ms; {coder.notes}",
        )
        self.fingerprint = fingerprint_of(
            *(mode.name for mode in modes),
            *coder.fingerprint(modes),
            table_text(),
            version("sionna-no-rt"),
            torch.__version__,
        )

    def offers(self, condition: Condition) -> bool:
        """Where a mode fits the rate of a channel of symbols."""
        return condition.takes_symbols and any(mode.fits(condition.rate) for mode in self._modes)

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Speech through coder, code and channel; a coder without features makes audio whether asked for or not."""
        link = link_of(condition, seed)
        mode = best_mode(self._modes, link, condition.options)
        blocks = send_blocks(self._coder.blocks(clip, mode)[None], mode, link)
        features, heard = self._coder.heard(clip, mode, blocks.bits[0], blocks.valid[0], audio)
        return Outcome(
            features=features,
            audio=heard,
            uses=blocks.symbols.values[0].numel(),
            measured={
                **air_measures(blocks.symbols),
                "bit_rate": float(mode.bit_rate),
                "bits_per_symbol": float(mode.coded_bits(condition.rate) / blocks.symbols.values.shape[2]),
                "bler": float(blocks.failed.float().mean()),
            },
        )
