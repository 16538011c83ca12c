"""Digital modes of the separation baseline: a rate of Codec2, a 5G LDPC code and a modulation, in blocks of 120 ms.

A block is a token of 12 frames on the project's own channels: at R uses/s it has 0.12 R symbols, all of which the
code word fills. Its bits are scrambled with a fixed pseudo-random sequence, so that silence uses all points of the
constellation as often as speech does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.channels import Symbols, uses_per_token
from aether_lite.evaluation.digital.codec2 import CODEC2, Codec2
from aether_lite.evaluation.digital.ldpc import code_exists, ldpc_code
from aether_lite.evaluation.digital.modem import BITS_PER_SYMBOL, modulate, soft_bits
from aether_lite.evaluation.links import Link
from aether_lite.jscc import RATES

BLOCK_FRAMES = 12  # of 10 ms: a whole number of frames of every rate of Codec2
BLOCK_MS = 10 * BLOCK_FRAMES
SCRAMBLER_SEED = 0x5C2A


@dataclass(frozen=True)
class Mode:
    """One digital mode.

    Attributes:
        speech: a key of :data:`~aether_lite.evaluation.digital.codec2.CODEC2`.
        modulation: a key of :data:`~aether_lite.evaluation.digital.modem.BITS_PER_SYMBOL`.
    """

    speech: str
    modulation: str

    @property
    def name(self) -> str:
        """Key in tables, such as ``codec2-700c-qpsk``."""
        return f"codec2-{self.speech}-{self.modulation}"

    @property
    def codec(self) -> Codec2:
        """The speech codec."""
        return CODEC2[self.speech]

    @property
    def info_bits(self) -> int:
        """K: bits of a block."""
        return self.codec.frame_bits * BLOCK_MS // self.codec.frame_ms

    def coded_bits(self, rate: int) -> int:
        """N: bits that the symbols of a block carry at ``rate`` uses/s."""
        return int(uses_per_token(rate, BLOCK_FRAMES)) * BITS_PER_SYMBOL[self.modulation]

    def fits(self, rate: int) -> bool:
        """Whether a block fills whole symbols at ``rate`` uses/s and a code of its length exists."""
        return rate * BLOCK_FRAMES % 100 == 0 and code_exists(self.info_bits, self.coded_bits(rate))


MODES = tuple(
    mode
    for mode in (Mode(speech, modulation) for speech in CODEC2 for modulation in BITS_PER_SYMBOL)
    if any(mode.fits(rate) for rate in RATES)
)
"""Every mode that fits one of the codec's rates, slowest speech first."""


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


def send_blocks(bits: Tensor, mode: Mode, link: Link) -> Blocks:
    """Send blocks ``[B, K, info_bits] uint8`` over a link at its rate.

    Raises:
        MissingToolError: Sionna is not installed.
        AetherError: the mode does not fit the rate, or an option of the link is out of range.
    """
    batch, count, length = bits.shape
    code = ldpc_code(length, mode.coded_bits(link.rate), BITS_PER_SYMBOL[mode.modulation])
    key = torch.randint(0, 2, (length,), generator=torch.Generator().manual_seed(SCRAMBLER_SEED), dtype=torch.uint8)
    coded = code.encode((bits ^ key).flatten(0, 1)).reshape(batch, count, -1)
    symbols = Symbols(modulate(coded, mode.modulation), link.rate, BLOCK_FRAMES)
    logits = soft_bits(link.send(symbols), mode.modulation)
    scrambled, valid = code.decode(logits.flatten(0, 1))
    decoded = (scrambled ^ key).reshape(batch, count, -1)
    valid = valid.reshape(batch, count)
    return Blocks(symbols, decoded, valid, ~valid | (decoded != bits).any(dim=-1))
