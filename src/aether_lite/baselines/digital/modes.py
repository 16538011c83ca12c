"""Digital modes (a bit rate of a speech coder, a 5G LDPC code and a modulation), and the choice among them.

A block is a token of some frames on the project's own channels: of 120 ms, at R uses/s, it has 0.12 R symbols, all of
which the code word fills. Its bits are scrambled with a fixed pseudo-random sequence, so that silence uses all points
of the constellation as often as speech does.

Blocks of Codec2 take 120 ms, a whole number of frames of each of its rates. Blocks of the hash codec take one token of
80 ms: they add nothing to the latency of its tokens and its look-ahead. Two tokens (160 ms) need 0.1 to 0.8 dB less for
5 % of failed blocks over AWGN (400 blocks of four modes at 300 and 1000 uses/s), and fail as often over MPP, where each
failure would then cost twice as much.

Adaptation assumes a transmitter that knows the channel model and its mean SNR, not the outcome: of the modes that fit
the rate, it takes the fastest speech whose block error rate at this condition is at most 5 %, with the modulation of
the lower block error rate; where none is that good, the mode of the lowest block error rate. Block error rates are
measured with random bits and seeds of their own. Those of the standard conditions come with the package
(``mode_bler.tsv``); others are measured when first needed, once in a process, in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines.codec2 import CODEC2
from aether_lite.baselines.digital.modem import BITS_PER_SYMBOL, code_exists, ldpc_code, modulate, soft_bits
from aether_lite.channels.channel import seeded
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig
from aether_lite.payload import BIT_RATES, RATES, Symbols, elements_per_token

CODEC2_BLOCK_FRAMES = 12  # of 10 ms
CODEC2_RATES = ("700c", "1300", "2400")  # of the separation baseline
HASH_BLOCK_FRAMES = 8  # a token
SCRAMBLER_SEED = 0x5C2A
BITS_STREAM = 5  # of the random numbers of a seed

TARGET_BLER = 0.05
TRIALS = (20, 20)  # clips of random bits, and blocks of each: 400 blocks, 32 s or more of transmission
TRIAL_SEED = 271_828_182
TABLE = "mode_bler.tsv"


@dataclass(frozen=True)
class Mode:
    """One digital mode.

    Attributes:
        coder, speech: ``codec2`` or ``hash``, and the coder's name of its rate, such as ``700c``.
    """

    coder: str
    speech: str
    bit_rate: int  # of the speech [bit/s]
    block_frames: int  # frames of 10 ms in a block
    modulation: str  # a key of :data:`~aether_lite.baselines.digital.modem.BITS_PER_SYMBOL`

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
    """Modes of these bit rates [bit/s] that fit a rate of the codecs of symbols, slowest speech first."""
    modes = (
        Mode(coder, name, rate, block_frames, modulation)
        for name, rate in speech.items()
        for modulation in BITS_PER_SYMBOL
    )
    return tuple(mode for mode in modes if any(mode.fits(rate) for rate in RATES))


CODEC2_MODES = _fitting("codec2", {name: round(CODEC2[name].bit_rate) for name in CODEC2_RATES}, CODEC2_BLOCK_FRAMES)
HASH_MODES = _fitting("hash", {str(rate): rate for rate in BIT_RATES}, HASH_BLOCK_FRAMES)


@dataclass(frozen=True)
class Blocks:
    """Blocks after a link."""

    symbols: Symbols  # sent, ``[B, K, n]``
    bits: Tensor  # decoded ``[B, K, info_bits] uint8``
    valid: Tensor  # ``[B, K] bool``, every parity check holds: what the receiver knows of success
    failed: Tensor  # ``[B, K] bool``, a check or a bit is wrong: for the results, unknown to the receiver


def send_blocks(bits: Tensor, mode: Mode, link: LinkConfig) -> Blocks:
    """Send blocks ``[B, K, info_bits] uint8`` over a link at its rate; AetherError for a mode that does not fit it."""
    batch, count, length = bits.shape
    code = ldpc_code(length, mode.coded_bits(link.rate), BITS_PER_SYMBOL[mode.modulation])
    key = random_bits(SCRAMBLER_SEED, length)
    coded = code.encode((bits ^ key).flatten(0, 1)).reshape(batch, count, -1)
    symbols = Symbols(modulate(coded, mode.modulation), link.rate, mode.block_frames)
    logits = soft_bits(link.send(symbols), mode.modulation)
    scrambled, valid = code.decode(logits.flatten(0, 1))
    decoded = (scrambled ^ key).reshape(batch, count, -1)
    valid = valid.reshape(batch, count)
    return Blocks(symbols, decoded, valid, ~valid | (decoded != bits).any(dim=-1))


def random_bits(seed: int, *shape: int) -> Tensor:
    """Bits ``[...] uint8`` of a seed."""
    return torch.from_numpy(seeded(seed, stream=BITS_STREAM).integers(0, 2, shape, dtype=np.uint8))


def best_mode(modes: Iterable[Mode], link: LinkConfig) -> Mode:
    """The mode for a link by the rule above, whatever its seed; AetherError where none fits the rate."""
    fitting = [mode for mode in modes if mode.fits(link.rate)]
    if not fitting:
        raise AetherError(f"no digital mode fits {link.rate} uses/s")
    if len(fitting) == 1:
        return fitting[0]
    rates = {mode: block_error_rate(mode, link) for mode in fitting}
    good = [mode for mode in fitting if rates[mode] <= TARGET_BLER]
    if not good:
        return min(fitting, key=lambda mode: rates[mode])
    fastest = max(mode.bit_rate for mode in good)
    return min((mode for mode in good if mode.bit_rate == fastest), key=lambda mode: rates[mode])


def block_error_rate(mode: Mode, link: LinkConfig) -> float:
    """Share of blocks that fail, from the table or measured, then once in a process; 0 without noise."""
    if link.channel == "clean":
        return 0.0
    if link.snr_db is not None and not link.options and link.erasure is None and link.burst_tokens is None:
        stored = stored_rates().get((mode.name, link.channel, link.rate, link.snr_db))
        if stored is not None:
            return stored
    trial = replace(link, seed=TRIAL_SEED)
    key = (mode, repr(trial))
    if key not in _measured:
        failed, blocks = failed_blocks(mode, trial)
        _measured[key] = failed / blocks
    return _measured[key]


_measured: dict[tuple[Mode, str], float] = {}


@cache
def stored_rates() -> dict[tuple[str, str, int, float], float]:
    """(mode, channel, uses/s, Es/N0 [dB]) -> block error rate, of the table that comes with the package."""
    rates = {}
    for line in table_text().splitlines()[1:]:
        mode, channel, rate, snr_db, blocks, failed = line.split("\t")
        rates[mode, channel, int(rate), float(snr_db)] = int(failed) / int(blocks)
    return rates


def table_text() -> str:
    return (files("aether_lite.baselines.digital") / TABLE).read_text()


def failed_blocks(mode: Mode, link: LinkConfig, trials: tuple[int, int] = TRIALS) -> tuple[int, int]:
    """Blocks of random bits that fail on a link, and how many were sent; the link's seed decides."""
    failed = send_blocks(random_bits(link.seed, *trials, mode.info_bits), mode, link).failed
    return int(failed.sum()), failed.numel()
