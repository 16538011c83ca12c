"""The LDPC code of 5G New Radio (3GPP TS 38.212, rate matching and bit interleaver included), by Sionna.

Decoding is belief propagation (exact check nodes, flooding, 20 iterations). A block counts as failed at the receiver
where the decoded word breaks a parity check: that needs no bits on the air, and misses only the rare block that
converged to a wrong code word.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from aether_lite.baselines.digital.modem import CPU, require_sionna
from aether_lite.errors import AetherError

ITERATIONS = 20
LOWEST_RATE, HIGHEST_RATE = 1 / 5, 948 / 1024  # K / N that the code supports
LEAST_BITS = 12  # K
BATCH_BLOCKS = 256  # decoded at a time: bounds memory


def code_exists(info_bits: int, coded_bits: int) -> bool:
    """Whether 5G has a code of K = ``info_bits`` and N = ``coded_bits``."""
    return info_bits >= LEAST_BITS and LOWEST_RATE <= info_bits / max(coded_bits, 1) <= HIGHEST_RATE


class LdpcCode:
    """Encoder and decoder of one code.

    Args:
        info_bits: K.
        coded_bits: N.
        bits_per_symbol: of the modulation, for 5G's bit interleaver; None leaves the interleaver out.

    Raises:
        MissingToolError: Sionna is not installed.
        AetherError: 5G has no such code.
    """

    def __init__(self, info_bits: int, coded_bits: int, bits_per_symbol: int | None = None) -> None:
        require_sionna()
        if not code_exists(info_bits, coded_bits):
            raise AetherError(f"no 5G LDPC code of {info_bits} bits in {coded_bits}: the rate must be 1/5 to 948/1024")
        from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

        self._encoder: Any = LDPC5GEncoder(
            info_bits, coded_bits, num_bits_per_symbol=bits_per_symbol, precision="single", device=CPU
        )
        self._decoder: Any = LDPC5GDecoder(
            self._encoder, num_iter=ITERATIONS, v2c_callbacks=[self._watch], precision="single", device=CPU
        )
        self._checks = _sparse(self._decoder.pcm)
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

    def _watch(self, messages: Tensor, iteration: int, beliefs: Tensor) -> Tensor:
        """Called by the decoder after each iteration: keeps log p(0) - log p(1) of the whole word ``[B, N']``."""
        self._beliefs = beliefs
        return messages


@cache
def ldpc_code(info_bits: int, coded_bits: int, bits_per_symbol: int | None = None) -> LdpcCode:
    """:class:`LdpcCode`, built once in a process."""
    return LdpcCode(info_bits, coded_bits, bits_per_symbol)


def _sparse(matrix: Any) -> Tensor:
    """A scipy matrix as a sparse tensor."""
    entries = matrix.tocoo()
    indices = torch.stack((torch.from_numpy(entries.row), torch.from_numpy(entries.col))).long()
    return torch.sparse_coo_tensor(indices, torch.ones(entries.nnz), entries.shape, check_invariants=False).coalesce()
