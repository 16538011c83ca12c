"""Networks of the native core with sizes of their own, so small that thousands are made and run in seconds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from aether_lite.core.weights import Kind, Section, dense, values

UNITS, COND, PAST = 8, 8, 80
TAP = COND + 84
_FARGAN = {  # outputs, inputs
    "cond_in": (16, 24),
    "cond_conv": (UNITS, 48),
    "cond_out": (4 * COND, UNITS),
    "gain": (1, COND),
    "conv": (16, 2 * TAP),
    "conv_gate": (16, 16),
    "pitch_gates": (4, 16),
    "gru1_input": (3 * UNITS, 16 + PAST),
    "gru1_state": (3 * UNITS, UNITS),
    "gru1_gate": (UNITS, UNITS),
    "gru2_input": (36, UNITS + PAST),
    "gru2_state": (36, 12),
    "gru2_gate": (12, 12),
    "gru3_input": (3 * UNITS, 12 + PAST),
    "gru3_state": (3 * UNITS, UNITS),
    "gru3_gate": (UNITS, UNITS),
    "skip": (UNITS, 28 + 16 + PAST),
    "skip_gate": (UNITS, UNITS),
    "out": (40, UNITS),
}


CHANNELS = 12
_HNSF = {
    "first": (CHANNELS, 69),
    **{f"layer{i}": (2 * CHANNELS, 3 * CHANNELS) for i in range(6)},
    "head": (386, CHANNELS),
}


def layers(prefix: str, sizes: Iterable[tuple[str, tuple[int, int]]], kind: Kind) -> dict[str, Section]:
    """Random layers with scale and bias."""
    random, sections = np.random.default_rng(5), {}
    for name, (outputs, inputs) in sizes:
        matrix = random.normal(0, inputs**-0.5, (outputs, inputs))
        columns = {"bias": random.normal(0, 0.1, outputs), "scale": random.uniform(0.5, 2, outputs)}
        sections |= dense(f"{prefix}.{name}", matrix, **columns, kind=kind)
    return sections


def fargan_sections(kind: Kind = Kind.PANELS_F16) -> dict[str, Section]:
    """A vocoder of other sizes than the released one."""
    embedding = np.random.default_rng(6).normal(0, 1, (10, 4))
    return {"fargan.embedding": values(embedding), **layers("fargan", _FARGAN.items(), kind)}


def hnsf_sections(kind: Kind = Kind.PANELS_F16) -> dict[str, Section]:
    """A light vocoder of few channels."""
    return layers("hnsf", _HNSF.items(), kind)
