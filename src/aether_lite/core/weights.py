"""The file of native weights, ``NAME.aether``: named sections of numbers, little-endian, checksum in the head.

Every part begins on a multiple of 64 bytes. The head: ``AETHERNW``, version 1 and number of sections as uint32, bytes
of the file as uint64, 8 zeros, SHA-256 of these 32 bytes and of all from byte 64 on. Then a table of 64 bytes a
section: name (40 bytes, filled up with zeros), kind, rows, columns and 0 as uint32, place of the data as uint64; then
the data in the order of the table.

Matrices ``[outputs, inputs]`` lie in panels of 32 outputs (the last of 8, 16, 24 or 32, filled up with zeros); a panel
holds, for each input, the weights of its outputs, in int8 for each pair of inputs, those of the first output first.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.files import atomic_path

MAGIC, VERSION, SUFFIX = b"AETHERNW", 1, ".aether"
ALIGNMENT = 64  # bytes
HEAD, ENTRY, NAME = struct.Struct("<8sIIQ8x32s"), struct.Struct("<40sIIIIQ"), 40
PANEL, OCTET = 32, 8  # outputs
INT8_MAX = 127

Matrix = NDArray[np.floating[Any]]


class Kind(IntEnum):
    """How the values of a section are stored."""

    FLOAT32 = 1
    INT32 = 2
    PANELS_F32 = 3
    PANELS_F16 = 4
    PANELS_I8 = 5


PRECISIONS = {"float32": Kind.PANELS_F32, "float16": Kind.PANELS_F16, "int8": Kind.PANELS_I8}
"""Kinds of the large matrices by what a user calls them."""


@dataclass(frozen=True)
class Section:
    """Values of a section: ``rows`` by ``columns`` of them, and their bytes as stored."""

    kind: Kind
    rows: int
    columns: int
    data: bytes


def values(array: ArrayLike) -> Section:
    """Plain values ``[rows]`` or ``[rows, columns]``, integers as int32 and others as float32."""
    given = np.asarray(array)
    whole = np.issubdtype(given.dtype, np.integer)
    table = np.ascontiguousarray(given.reshape(len(given), -1), "<i4" if whole else "<f4")
    rows, columns = table.shape
    return Section(Kind.INT32 if whole else Kind.FLOAT32, rows, columns, table.tobytes())


def dense(
    name: str,
    matrix: Matrix,
    bias: ArrayLike | None = None,
    scale: ArrayLike | None = None,
    kind: Kind = Kind.PANELS_F16,
) -> dict[str, Section]:
    """Sections of a layer ``y = scale * (matrix x) + bias``.

    Args:
        name: of the layer.
        matrix: ``[outputs, inputs]``.
        bias, scale: ``[outputs]``; None for 0 and 1.
        kind: of panels; int8 weights are rounded with a scale for each output.

    Raises:
        ValueError: weights that are not finite, or beyond the range of float16.
    """
    outputs, inputs = matrix.shape
    if kind == Kind.PANELS_I8:
        steps = np.maximum(np.abs(matrix).max(axis=1), np.finfo(np.float32).tiny) / INT8_MAX
        scale = steps if scale is None else steps * np.asarray(scale)
        matrix = np.pad(np.rint(matrix / steps[:, None]), ((0, 0), (0, inputs % 2)))
    stored = {Kind.PANELS_F32: "<f4", Kind.PANELS_F16: "<f2", Kind.PANELS_I8: "i1"}[kind]
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = matrix.astype(stored)
    if not np.isfinite(matrix).all() or not np.isfinite(rounded).all():
        raise ValueError(f"{name}: weights that are not finite, or beyond the range of float16, have no native form")
    sections = {name: Section(kind, outputs, inputs, _panels(rounded, 2 if stored == "i1" else 1))}
    for part, column in (("scale", scale), ("bias", bias)):
        if column is not None:
            sections[f"{name}.{part}"] = values(np.asarray(column, np.float32))
    return sections


def _panels(matrix: NDArray[Any], together: int) -> bytes:
    """A matrix in panels, ``together`` inputs of an output side by side."""
    padded = np.pad(matrix, ((0, -len(matrix) % OCTET), (0, 0)))
    panels = [padded[first : first + PANEL] for first in range(0, len(padded), PANEL)]
    return b"".join(p.reshape(len(p), -1, together).swapaxes(0, 1).tobytes() for p in panels)


def packed(sections: Mapping[str, Section]) -> bytes:
    """The bytes of a file of native weights."""
    place = ALIGNMENT + ENTRY.size * len(sections)
    table, data = [], []
    for name, section in sections.items():
        if not 0 < len(name) < NAME:
            raise ValueError(f"a section's name has 1 to {NAME - 1} letters, not {name!r}")
        table.append(ENTRY.pack(name.encode(), section.kind, section.rows, section.columns, 0, place))
        padded = section.data + bytes(-len(section.data) % ALIGNMENT)
        data.append(padded)
        place += len(padded)
    body = b"".join([*table, *data])
    head = HEAD.pack(MAGIC, VERSION, len(sections), place, bytes(32))[:32]
    return head + hashlib.sha256(head + body).digest() + body


def write(path: str | Path, sections: Mapping[str, Section]) -> None:
    """Write a file of native weights, whole or not at all; AetherError if it cannot be written."""
    data = packed(sections)
    with atomic_path(path) as partial:
        partial.write_bytes(data)
