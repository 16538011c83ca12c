"""Digital modes: a bit rate of a speech coder, a 5G LDPC code and a modulation, in blocks.

A block is a token of some frames on the project's own channels: of 120 ms, at R uses/s, it has 0.12 R symbols, all of
which the code word fills. Its bits are scrambled with a fixed pseudo-random sequence, so that silence uses all points
of the constellation as often as speech does.

Blocks of Codec2 take 120 ms, a whole number of frames of each of its rates. Blocks of the hash codec take one token of
80 ms: they add nothing to the latency that its tokens and its look-ahead have without a code.
Two tokens (160 ms) need 0.1 to 0.8 dB less for 5 % of failed blocks over AWGN (400 blocks of four modes at 300 and 1000
uses/s), and fail as often over MPP, where each failure would then cost twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines.digital.codec2 import CODEC2
from aether_lite.baselines.digital.ldpc import code_exists, ldpc_code
from aether_lite.baselines.digital.modem import BITS_PER_SYMBOL, modulate, soft_bits
from aether_lite.channels.randomness import seeded
from aether_lite.hash import BIT_RATES
from aether_lite.jscc import RATES
from aether_lite.link import LinkConfig
from aether_lite.payload import Symbols, elements_per_token

CODEC2_BLOCK_FRAMES = 12  # of 10 ms
CODEC2_RATES = ("700c", "1300", "2400")  # of the separation baseline
HASH_BLOCK_FRAMES = 8  # a token
SCRAMBLER_SEED = 0x5C2A


@dataclass(frozen=True)
class Mode:
    """One digital mode.

    Attributes:
        coder: of the speech, ``codec2`` or ``hash``.
        speech: the coder's name of its rate, such as ``700c``.
        bit_rate: of the speech [bit/s].
        block_frames: frames of 10 ms in a block.
        modulation: a key of :data:`~aether_lite.baselines.digital.modem.BITS_PER_SYMBOL`.
    """

    coder: str
    speech: str
    bit_rate: int
    block_frames: int
    modulation: str

    @property
    def name(self) -> str:
        """Key in tables, such as ``codec2-700c-qpsk``."""
        return f"{self.coder}-{self.speech}-{self.modulation}"

    @property
    def info_bits(self) -> int:
        """K: bits of a block."""
        return self.bit_rate * self.block_frames // 100

    def coded_bits(self, rate: int) -> int:
        """N: bits that the symbols of a block carry at ``rate`` uses/s."""
        return elements_per_token(rate, self.block_frames) * BITS_PER_SYMBOL[self.modulation]

    def fits(self, rate: int) -> bool:
        """Whether a block fills whole symbols at ``rate`` uses/s and a code of its length exists."""
        return rate * self.block_frames % 100 == 0 and code_exists(self.info_bits, self.coded_bits(rate))


def _fitting(coder: str, speech: dict[str, int], block_frames: int) -> tuple[Mode, ...]:
    """Modes of these bit rates [bit/s] that fit one of the analogue codec's rates, slowest speech first."""
    modes = (
        Mode(coder, name, rate, block_frames, modulation)
        for name, rate in speech.items()
        for modulation in BITS_PER_SYMBOL
    )
    return tuple(mode for mode in modes if any(mode.fits(rate) for rate in RATES))


CODEC2_MODES = _fitting("codec2", {name: round(CODEC2[name].bit_rate) for name in CODEC2_RATES}, CODEC2_BLOCK_FRAMES)
HASH_MODES = _fitting("hash", {str(rate): rate for rate in BIT_RATES}, HASH_BLOCK_FRAMES)
MODES = CODEC2_MODES + HASH_MODES
"""Every mode."""


@dataclass(frozen=True)
class Blocks:
    """Blocks that went over a link.

    Attributes:
        symbols: what was sent, ``[B, K, n]``.
        bits: decoded ``[B, K, info_bits] uint8``.
        valid: ``[B, K] bool``, every parity check holds: what the receiver knows of success.
        failed: ``[B, K] bool``, a check or a bit is wrong: for the results, unknown to the receiver.
    """

    symbols: Symbols
    bits: Tensor
    valid: Tensor
    failed: Tensor


def send_blocks(bits: Tensor, mode: Mode, link: LinkConfig) -> Blocks:
    """Send blocks ``[B, K, info_bits] uint8`` over a link at its rate.

    Raises:
        MissingToolError: Sionna is not installed.
        AetherError: the mode does not fit the rate, or an option of the link is out of range.
    """
    batch, count, length = bits.shape
    code = ldpc_code(length, mode.coded_bits(link.rate), BITS_PER_SYMBOL[mode.modulation])
    key = torch.from_numpy(seeded(SCRAMBLER_SEED, stream=5).integers(0, 2, length, dtype=np.uint8))
    coded = code.encode((bits ^ key).flatten(0, 1)).reshape(batch, count, -1)
    symbols = Symbols(modulate(coded, mode.modulation), link.rate, mode.block_frames)
    logits = soft_bits(link.send(symbols), mode.modulation)
    scrambled, valid = code.decode(logits.flatten(0, 1))
    decoded = (scrambled ^ key).reshape(batch, count, -1)
    valid = valid.reshape(batch, count)
    return Blocks(symbols, decoded, valid, ~valid | (decoded != bits).any(dim=-1))
