"""Contexts of the prior's four adaptive tables, for one bit and for whole clips.

With u, v the same clip's last two tokens and b this one, bit i is looked up by (bits that do not exist count as 0)

* table 0: i; u[i], v[i]
* table 1: i; u[i], b[i-1], b[i-2]
* table 2: i; u[i], b[i-1], u[i-1], u[i+1]
* table 3: u[i], v[i], b[i-1] = u[i-1], b[i-2] = u[i-2], the same cells for every i, so that it learns soon.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aether_lite.container.bitstream import BitArray

PAD = 2  # zeros before bit 0 of a padded token, and after its last
CELLS_PER_BIT = (4, 8, 16)
SHARED_CELLS = 16


def cells_per_table(token_bits: int) -> tuple[int, ...]:
    """Cells of each table for tokens of ``token_bits`` bits."""
    return (*(cells * token_bits for cells in CELLS_PER_BIT), SHARED_CELLS)


def table_starts(token_bits: int) -> tuple[int, ...]:
    """Index of every table's first cell when all tables lie in a row."""
    sizes = cells_per_table(token_bits)
    return tuple(sum(sizes[:k]) for k in range(len(sizes)))


def context_cells(clip: BitArray) -> NDArray[np.int64]:
    """``[K, n]`` bits of a clip -> ``[K, n, 4]`` index of the cell of every bit and table; the clip starts afresh."""
    tokens, n = clip.shape
    rows = np.zeros((tokens + 2, n + 2 * PAD), dtype=np.int64)
    rows[2:, PAD:-PAD] = clip

    def bit(age: int, shift: int) -> NDArray[np.int64]:
        return rows[2 - age : 2 - age + tokens, PAD + shift : PAD + shift + n]

    u, v, position = bit(1, 0), bit(2, 0), np.arange(n)
    inside: NDArray[np.int64] = np.stack(
        [
            4 * position + 2 * u + v,
            8 * position + 4 * u + 2 * bit(0, -1) + bit(0, -2),
            16 * position + 8 * u + 4 * bit(0, -1) + 2 * bit(1, -1) + bit(1, 1),
            8 * u + 4 * v + 2 * (bit(0, -1) == bit(1, -1)) + (bit(0, -2) == bit(1, -2)),
        ],
        axis=-1,
    )
    inside += np.array(table_starts(n))
    return inside
