"""Separate source and channel coding: Codec2 or the hash codec with 5G LDPC and QPSK or 16-QAM."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aether_lite import zoo
from aether_lite.baselines import codec2, registry
from aether_lite.baselines.codec import file_title, training_data
from aether_lite.baselines.codec2 import CODEC2, NARROW_BAND, RESAMPLERS_MS
from aether_lite.baselines.digital import modes as digital
from aether_lite.baselines.digital.modem import require_sionna
from aether_lite.baselines.digital.modes import Mode
from aether_lite.baselines.registry import IDEAL_SYNC, STATE_IN_WORDS, Clip, Condition, Facts, Outcome, system
from aether_lite.codec import load
from aether_lite.codec.base import latency
from aether_lite.codec.loading import codec_path
from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.payload import ReceivedBits
from aether_lite.vocoder import default_vocoder_path

MODULATIONS = {"qpsk": "QPSK", "16qam": "16-QAM"}
CODED_HASH = "hash_small"  # released hash codec that is also compared with a channel code


class Separation(ABC):
    """A speech coder over LDPC: the best of some modes at each condition, or one mode everywhere.

    Args:
        name: key in the results.
        modes: to choose from, see :mod:`aether_lite.baselines.digital.modes`.
        coder, speech: names of the speech coder and of its rate in the first mode, for the title.
        facts: of the coder in blocks; what it does with lost blocks stands in the notes.
        parts: what the coder's results depend on.

    Raises:
        MissingToolError: Sionna is not installed.
    """

    def __init__(
        self, name: str, modes: Sequence[Mode], coder: str, speech: str, facts: Facts, parts: Sequence[Path | bytes]
    ) -> None:
        require_sionna()
        self.name, self._modes = name, tuple(modes)
        several = len(modes) > 1
        fixed = f"{coder} {speech} + LDPC {MODULATIONS[modes[0].modulation]}"
        self.title = f"{coder} + 5G LDPC, best mode" if several else fixed
        choice = "mode chosen by channel and mean SNR, not by outcome; " if several else ""
        notes = f"{IDEAL_SYNC}; {choice}blocks of {10 * modes[0].block_frames} ms; {facts.notes}"
        self.facts = Facts(facts.latency_ms, facts.channel_state, facts.trained_on, notes)
        names, versions = [mode.name for mode in modes], (version("sionna-no-rt"), torch.__version__)
        self.fingerprint = registry.fingerprint_of(*names, *parts, digital.table_text(), *versions)

    @abstractmethod
    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Bits ``[K, info_bits] uint8`` of a clip; the last block is filled up."""

    @abstractmethod
    def decoded(self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Features ``[F, 20]`` or None, and audio ``[N]`` or None, as long as the clip (nothing else of it is used).

        ``bits [K, info_bits] uint8`` are as decoded; ``valid [K] bool`` are blocks that the receiver takes for good.
        """

    def offers(self, condition: Condition) -> bool:
        """Where a mode fits the rate of a channel of symbols."""
        return condition.takes_symbols and any(mode.fits(condition.rate) for mode in self._modes)

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        """Speech through coder, code and channel; a coder without features makes audio whether asked for or not."""
        link = registry.link_of(condition, seed)
        mode = digital.best_mode(self._modes, link)
        sent = digital.send_blocks(self.blocks(clip, mode)[None], mode, link)
        features, speech = self.decoded(clip, mode, sent.bits[0], sent.valid[0])
        if speech is None and features is not None and audio:
            speech = registry.speak(features)
        coded = {
            "bit_rate": float(mode.bit_rate),
            "bits_per_symbol": float(mode.coded_bits(condition.rate) / sent.symbols.values.shape[2]),
            "bler": float(sent.failed.float().mean()),
        }
        uses = sent.symbols.values[0].numel()
        return Outcome(features, speech, uses, {**registry.symbol_measures(sent.symbols), **coded})


class Codec2Separation(Separation):
    """Codec2 with a channel code; Codec2's programs are needed too."""

    def __init__(self, name: str, modes: Sequence[Mode]) -> None:
        codec2.require_codec2()
        require_sionna()  # before the programs are run
        delay = max(CODEC2[mode.speech].delay_samples for mode in modes)
        latency_ms = 10 * digital.CODEC2_BLOCK_FRAMES + RESAMPLERS_MS + 1000 * delay / SAMPLE_RATE
        notes = f"a failed block repeats the last good frame, further ones are silent; {NARROW_BAND}"
        facts = Facts(latency_ms, STATE_IN_WORDS, notes=notes)
        outputs = [codec2.output_of_programs(mode.speech) for mode in modes]
        super().__init__(name, modes, "Codec2", CODEC2[modes[0].speech].name, facts, outputs)

    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Whole frames of the speech; silence fills the last block."""
        codec, block = CODEC2[mode.speech], mode.block_frames * FRAME
        count = -(-(len(clip.speech) + codec.delay_samples) // block)
        speech = np.pad(clip.speech.numpy(), (0, count * block - len(clip.speech)))
        return torch.from_numpy(codec.encode(speech).reshape(count, -1))

    def decoded(self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor) -> tuple[None, Tensor]:
        codec = CODEC2[mode.speech]
        frames = bits.numpy().reshape(len(bits), -1, codec.frame_bits)
        mended, mute = codec2.concealed(frames, valid.numpy())
        speech = codec.decode(mended.reshape(-1, codec.frame_bits))
        return None, codec.aligned(codec2.muted(speech, mute, mode.block_frames * FRAME), clip)


class HashSeparation(Separation):
    """A hash codec (name of released weights or a file) with a channel code, the best mode at each condition."""

    def __init__(self, name: str, model: str | Path) -> None:
        path = codec_path(model)
        self._codec = load(path, unit="bit/s")
        ahead = self._codec.model.config.lookahead * self._codec.token_frames  # frames, behind the block
        notes = "a failed block is a lost token, for which the decoder has a path of its own"
        latency_ms = latency(digital.HASH_BLOCK_FRAMES + ahead).milliseconds
        facts = Facts(latency_ms, STATE_IN_WORDS, training_data(self._codec.provenance), notes)
        super().__init__(name, digital.HASH_MODES, file_title(path), "", facts, [path, default_vocoder_path()])

    def blocks(self, clip: Clip, mode: Mode) -> Tensor:
        """Bits of whole tokens; the last row of features fills the last block."""
        missing = -len(clip.features) % mode.block_frames
        rows = torch.cat((clip.features, clip.features[-1:].expand(missing, -1)))
        values: Tensor = self._codec.encode_features(rows[None], mode.bit_rate).values
        return (values > 0).to(torch.uint8).reshape(-1, mode.info_bits)

    def decoded(self, clip: Clip, mode: Mode, bits: Tensor, valid: Tensor) -> tuple[Tensor, None]:
        """Features by the decoder's own path for lost tokens."""
        tokens = mode.block_frames // self._codec.token_frames
        erased = ~valid.repeat_interleave(tokens)[None]
        values = (2.0 * bits - 1).reshape(1, len(bits) * tokens, -1).masked_fill(erased[:, :, None], 0)
        received = ReceivedBits(values, mode.bit_rate, erased, self._codec.token_frames)
        return self._codec.decode_features(received)[0, : len(clip.features)], None


if CODED_HASH in zoo.names("hash codec"):
    system("hash-ldpc")(partial(HashSeparation, "hash-ldpc", CODED_HASH))
system("codec2-ldpc")(partial(Codec2Separation, "codec2-ldpc", digital.CODEC2_MODES))
for _mode in digital.CODEC2_MODES:
    system(_mode.name)(partial(Codec2Separation, _mode.name, (_mode,)))
