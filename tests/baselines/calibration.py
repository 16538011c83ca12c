"""Calibration of channels and channel code: measured error rates against theory and an independent chain.

Uncoded QPSK and 16-QAM have bit error rates in closed form; two LDPC points were measured once with Sionna's own
chain (its source, mapper, noise and demapper; :data:`LDPC_REFERENCES`). Every row says whether the measured share of
errors is within a 99.9 % interval of the expected one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from aether_lite.baselines.digital.modem import BITS_PER_SYMBOL, ITERATIONS, ldpc_code, modulate, soft_bits
from aether_lite.baselines.digital.modes import random_bits
from aether_lite.channels import Symbols, awgn, rayleigh

QUANTILE = 3.2905  # of the normal distribution, two-sided 99.9 %
UNCODED_SYMBOLS = 100_000
SEED = 20_261_123
TOKEN_FRAMES = 10  # a token of n symbols then means 10 n uses/s


@dataclass(frozen=True)
class LdpcReference:
    """Block errors of a 5G LDPC code over AWGN, measured with Sionna 2.2.0's own chain.

    Made once with::

        sionna.phy.config.seed = 42
        encoder = LDPC5GEncoder(K, N); decoder = LDPC5GDecoder(encoder, num_iter=20, hard_out=True)
        Mapper / Demapper("app") of Constellation("qam", m), AWGN, no = ebnodb2no(ebno_db, m, K / N),
        BinarySource in batches of 500 blocks

    Attributes:
        info_bits, coded_bits: K and N; no bit interleaver.
        blocks, failed: sent, and wrong in any bit.
    """

    modulation: str
    info_bits: int
    coded_bits: int
    ebno_db: float  # energy of an information bit over N0 [dB]
    blocks: int
    failed: int

    @property
    def esn0_db(self) -> float:
        bits = BITS_PER_SYMBOL[self.modulation] * self.info_bits / self.coded_bits
        return self.ebno_db + 10 * math.log10(bits)


LDPC_REFERENCES = (
    LdpcReference("qpsk", info_bits=80, coded_bits=160, ebno_db=2.0, blocks=20_000, failed=2576),
    LdpcReference("16qam", info_bits=500, coded_bits=1000, ebno_db=4.0, blocks=6_000, failed=237),
)


@dataclass(frozen=True)
class CalibrationRow:
    """One check of modulation, code and channel (``what``) at Es/N0 ``esn0_db`` [dB] with ``trials`` bits or blocks.

    Attributes:
        measured, expected: share of errors, the latter by theory or reference (``source``).
        low, high: interval in which the measured share lies with 99.9 % if all is right.
    """

    what: str
    esn0_db: float
    measured: float
    expected: float
    low: float
    high: float
    trials: int
    source: str

    @property
    def inside(self) -> bool:
        return self.low <= self.measured <= self.high


def calibration(uncoded_symbols: int = UNCODED_SYMBOLS, blocks: tuple[int, int] = (2000, 1000)) -> list[CalibrationRow]:
    """All checks, with so many symbols of each uncoded and blocks of each LDPC point; some 15 s on an idle core."""
    points = [("QPSK over AWGN", "qpsk", esn0_db, qpsk_ber) for esn0_db in (-3.0, 0.0, 3.0, 6.0)]
    points += [("16-QAM over AWGN", "16qam", 9.0, qam16_ber), ("QPSK over Rayleigh", "qpsk", 9.0, qpsk_rayleigh_ber)]
    rows = [_uncoded(*point, uncoded_symbols) for point in points]
    return rows + [_coded(reference, count) for reference, count in zip(LDPC_REFERENCES, blocks, strict=True)]


def gaussian_tail(x: float) -> float:
    """Q(x): probability that a standard normal variable exceeds x."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def qpsk_ber(esn0: float) -> float:
    """Bit error rate of Gray-coded QPSK over AWGN, Q(sqrt(Es/N0)) (Proakis, Digital Communications, ch. 5)."""
    return gaussian_tail(math.sqrt(esn0))


def qam16_ber(esn0: float) -> float:
    """Bit error rate of Gray-coded 16-QAM over AWGN, exact (Cho and Yoon, IEEE Trans. Commun. 50, 2002)."""
    x = math.sqrt(esn0 / 5)
    return 0.75 * gaussian_tail(x) + 0.5 * gaussian_tail(3 * x) - 0.25 * gaussian_tail(5 * x)


def qpsk_rayleigh_ber(esn0: float) -> float:
    """Bit error rate of QPSK over Rayleigh fading of mean Es/N0 (Proakis, ch. 14): 1/2 (1 - sqrt(g / (1 + g))),
    g = Es / 2 N0."""
    per_bit = esn0 / 2
    return 0.5 * (1 - math.sqrt(per_bit / (1 + per_bit)))


def binomial_interval(share: float, trials: int, reference_trials: float = math.inf) -> tuple[float, float]:
    """Where a measured share lies with 99.9 % (normal approximation), the expected one itself measured or exact."""
    width = QUANTILE * math.sqrt(share * (1 - share) * (1 / trials + 1 / reference_trials))
    return share - width, share + width


def _uncoded(
    what: str, modulation: str, esn0_db: float, theory: Callable[[float], float], count: int
) -> CalibrationRow:
    fading = theory is qpsk_rayleigh_ber
    bits = random_bits(SEED, count * BITS_PER_SYMBOL[modulation])
    symbols = _as_symbols(modulate(bits, modulation).reshape(-1, 100))
    channel = partial(rayleigh, block_ms=1.0) if fading else awgn  # a gain for every symbol, known exactly
    received = channel(symbols, esn0_db, csi="perfect", seed=SEED)
    wrong = int(((soft_bits(received, modulation).flatten() > 0) != bits.bool()).sum())
    expected = theory(10 ** (esn0_db / 10))
    # Both bits of a faded symbol share its gain: its symbols, not its bits, are independent
    interval = binomial_interval(expected, count if fading else len(bits))
    return CalibrationRow(
        f"{what}, uncoded bits", esn0_db, wrong / len(bits), expected, *interval, len(bits), "closed form"
    )


def _coded(reference: LdpcReference, blocks: int) -> CalibrationRow:
    code = ldpc_code(reference.info_bits, reference.coded_bits)
    bits = random_bits(SEED, blocks, reference.info_bits)
    sent = modulate(code.encode(bits), reference.modulation)
    received = awgn(_as_symbols(sent), reference.esn0_db, csi="perfect", seed=SEED)
    decoded, _ = code.decode(soft_bits(received, reference.modulation)[0])
    failed = int((decoded != bits).any(dim=1).sum())
    expected = reference.failed / reference.blocks
    interval = binomial_interval(expected, blocks, reference.blocks)
    code_name = f"5G LDPC K={reference.info_bits} N={reference.coded_bits}, {ITERATIONS} iterations, blocks"
    what = f"{reference.modulation} {code_name}"
    source = f"Sionna's own chain, {reference.failed} of {reference.blocks} blocks"
    return CalibrationRow(what, reference.esn0_db, failed / blocks, expected, *interval, blocks, source)


def _as_symbols(values: Tensor) -> Symbols:
    return Symbols(values[None], values.shape[1] * 100 // TOKEN_FRAMES, TOKEN_FRAMES)
