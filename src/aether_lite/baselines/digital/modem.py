"""Digital modem by Sionna: QPSK and 16-QAM with soft decisions, and the LDPC code of 5G New Radio.

Gray labels are those of 3GPP TS 38.211. The receiver's front end is that of the codec
(:func:`aether_lite.jscc.equalise`) with the same channel state. Its MMSE estimate r of reliability rho is
made unbiased::

    y / h = r / rho,    N0 / |h|^2 = (1 - rho) / rho

and each bit gets log p(1) - log p(0) (a posteriori, all points counted), 0 in lost tokens.

The code is that of 3GPP TS 38.212, rate matching and bit interleaver included, decoded by belief propagation (exact
check nodes, flooding, 20 iterations). A block counts as failed at the receiver where the decoded word breaks a parity
check: that needs no bits of the payload, and misses only the rare block that converged to a wrong code word.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.jscc import equalise
from aether_lite.optional import require_packages
from aether_lite.payload import Received

BITS_PER_SYMBOL = {"qpsk": 2, "16qam": 4}
"""Modulation -> bits in a symbol."""

LEAST_RELIABILITY = 1e-6  # keeps a symbol in a deep fade finite: its soft bits are then about 0
ITERATIONS = 20
LOWEST_RATE, HIGHEST_RATE = 1 / 5, 948 / 1024  # K / N that the code supports
LEAST_BITS = 12  # K
BATCH_BLOCKS = 256  # decoded at a time: bounds memory
SETTINGS = {"precision": "single", "device": "cpu"}  # of Sionna's blocks


def require_sionna() -> None:
    """Raise MissingToolError where Sionna is not installed."""
    require_packages("digital transmission (LDPC, QAM; sionna-no-rt)", ("sionna",))


def modulate(bits: Tensor, modulation: str) -> Tensor:
    """Symbols ``[..., n] complex64`` of mean power 1 of bits ``[..., n m]`` (0 or 1), m bits a symbol."""
    symbols: Tensor = _mappers(modulation)[0](bits)
    return symbols


def soft_bits(received: Received, modulation: str) -> Tensor:
    """``[B, K, n m] float32``: log p(1) - log p(0) of every bit of ``received [B, K, n]``."""
    used = torch.ones_like(received.values[:, :1], dtype=torch.bool)
    front = equalise(received, used)
    reliability = front.reliability.clamp(min=LEAST_RELIABILITY)
    noise = (1 - reliability) / reliability
    logits: Tensor = _mappers(modulation)[1](front.symbols / reliability, noise)
    return logits.masked_fill(received.erased[:, :, None], 0.0)


@cache
def _mappers(modulation: str) -> tuple[Any, Any]:
    require_sionna()
    from sionna.phy.mapping import Demapper, Mapper

    bits = BITS_PER_SYMBOL[modulation]
    return Mapper("qam", bits, **SETTINGS), Demapper("app", "qam", bits, **SETTINGS)


def code_exists(info_bits: int, coded_bits: int) -> bool:
    """Whether 5G has a code of K = ``info_bits`` and N = ``coded_bits``."""
    return info_bits >= LEAST_BITS and LOWEST_RATE <= info_bits / max(coded_bits, 1) <= HIGHEST_RATE


class LdpcCode:
    """Encoder and decoder of the 5G LDPC code of K = ``info_bits`` and N = ``coded_bits``.

    ``bits_per_symbol`` of the modulation is for 5G's bit interleaver; None leaves it out.

    Raises:
        MissingToolError: Sionna is not installed.
        AetherError: 5G has no such code.
    """

    def __init__(self, info_bits: int, coded_bits: int, bits_per_symbol: int | None = None) -> None:
        require_sionna()
        if not code_exists(info_bits, coded_bits):
            raise AetherError(f"no 5G LDPC code of {info_bits} bits in {coded_bits}: the rate must be 1/5 to 948/1024")
        from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

        self._encoder: Any = LDPC5GEncoder(info_bits, coded_bits, num_bits_per_symbol=bits_per_symbol, **SETTINGS)
        self._decoder: Any = LDPC5GDecoder(
            self._encoder, num_iter=ITERATIONS, v2c_callbacks=[self._keep_beliefs], **SETTINGS
        )
        entries = self._decoder.pcm.tocoo()
        indices = torch.stack((torch.from_numpy(entries.row), torch.from_numpy(entries.col))).long()
        ones = torch.ones(entries.nnz)
        self._checks = torch.sparse_coo_tensor(indices, ones, entries.shape, check_invariants=False).coalesce()
        self._beliefs = torch.zeros(0)

    def encode(self, bits: Tensor) -> Tensor:
        """Coded bits ``[B, N] float32`` of bits ``[B, K]`` (0 or 1)."""
        coded: Tensor = self._encoder(bits.float())
        return coded

    def decode(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Bits ``[B, K] uint8`` of ``logits [B, N]`` (log p(1) - log p(0)), and ``[B] bool``: every check holds."""
        bits, valid = [], []
        for block in torch.split(logits, BATCH_BLOCKS):
            bits.append(self._decoder(block).to(torch.uint8))
            word = (self._beliefs <= 0).float()
            valid.append((torch.sparse.mm(self._checks, word.T) % 2 == 0).all(dim=0))
        return torch.cat(bits), torch.cat(valid)

    def _keep_beliefs(self, messages: Tensor, iteration: int, beliefs: Tensor) -> Tensor:
        """Called by the decoder after each iteration: keeps log p(0) - log p(1) of the whole word ``[B, N']``."""
        self._beliefs = beliefs
        return messages


@cache
def ldpc_code(info_bits: int, coded_bits: int, bits_per_symbol: int | None = None) -> LdpcCode:
    """:class:`LdpcCode`, built once in a process."""
    return LdpcCode(info_bits, coded_bits, bits_per_symbol)
