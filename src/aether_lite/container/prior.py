"""Causal prior over token bits: its integers, its contexts, its files and the released ones.

The chance of bit i of token t, given all that was sent before it, is a logistic mixture
::

    logit = sum_k w[i, k] stretch(p_k) + w[i, K] (b[i] + V[i] . clip(c + U s(t-1, t-2) + sum_{j<i} W[j] s_j(t), 0, 4))

of K = 4 adaptive tables and of a small network (an autoregressive estimator with one hidden layer, NADE; Larochelle
and Murray 2011) that is trained offline. s = +1 for a one, -1 for a zero, 0 where nothing is known. Tables and mixing
weights adapt to the stream (:mod:`aether_lite.container.entropy`), the network does not. All of it is integer
arithmetic, so every machine computes the same chances.

With u, v the same clip's last two tokens and b this one, bit i is looked up by (bits that do not exist count as 0)

* table 0: i; u[i], v[i]
* table 1: i; u[i], b[i-1], b[i-2]
* table 2: i; u[i], b[i-1], u[i-1], u[i+1]
* table 3: u[i], v[i], b[i-1] = u[i-1], b[i-2] = u[i-2], the same cells for every i, so that it learns soon.

Units: stretch(p) = ln(p / (1 - p)) in 1/256; table cells 2^-22; weights w 2^-16; c, U and W 2^-12; V 2^-12; b 1/256.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from aether_lite import zoo
from aether_lite.container.layout import ID_BYTES, BitArray, Header
from aether_lite.container.weights import released_weights
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.reading import parse_json, read_metadata, read_tensors

FORMAT, KIND = "aether-lite bit prior 1", "a prior of this project"
ADAPTIVE = "adaptive"  # name of the prior that needs no training
CELL_ONE = 1 << 22
WEIGHT_ONE = 1 << 16
START_WEIGHT = WEIGHT_ONE // 4  # of each of the four tables before training: their mean
MAX_BITS = 2400  # of a token: one second at 2400 bit/s
MAX_HIDDEN = 512
COUNT_LIMIT = 255  # a cell's newest observation never weighs less than 1 / (COUNT_LIMIT + 1.5)
PAD = 2  # zeros before bit 0 of a padded token, and after its last
CELLS_PER_BIT = (4, 8, 16)
SHARED_CELLS = 16


def cells_per_table(token_bits: int) -> tuple[int, ...]:
    """Cells of each table for tokens of ``token_bits`` bits."""
    return (*(cells * token_bits for cells in CELLS_PER_BIT), SHARED_CELLS)


def table_starts(token_bits: int) -> tuple[int, ...]:
    """Index of every table's first cell when all tables lie in a row."""
    return tuple(accumulate(cells_per_table(token_bits)[:-1], initial=0))


def context_cells(clip: BitArray) -> NDArray[np.int64]:
    """``[K, n]`` bits of a clip -> ``[K, n, 4]`` index of the cell of every bit and table; the clip starts afresh."""
    tokens, n = clip.shape
    rows = np.zeros((tokens + 2, n + 2 * PAD), dtype=np.int64)
    rows[2:, PAD:-PAD] = clip

    def bit(age: int, shift: int) -> NDArray[np.int64]:
        return rows[2 - age : 2 - age + tokens, PAD + shift : PAD + shift + n]

    u, v, position = bit(1, 0), bit(2, 0), np.arange(n)
    tables = (
        4 * position + 2 * u + v,
        8 * position + 4 * u + 2 * bit(0, -1) + bit(0, -2),
        16 * position + 8 * u + 4 * bit(0, -1) + 2 * bit(1, -1) + bit(1, 1),
        8 * u + 4 * v + 2 * (bit(0, -1) == bit(1, -1)) + (bit(0, -2) == bit(1, -2)),
    )
    inside: NDArray[np.int64] = np.stack(tables, axis=-1) + np.array(table_starts(n))
    return inside


@dataclass(frozen=True, eq=False)
class Prior:
    """The integers of a prior for tokens of n bits, with H hidden units (0: no network).

    Args:
        hidden_bias, past, within: ``[H] int32`` c; ``[H, 2 n] int16`` U, first the newest token; ``[n, H] int16`` W.
        out, out_bias: ``[n, H] int16`` V; ``[n] int16`` b.

    Raises:
        AetherError: shapes that do not fit each other, or values out of range.
    """

    cells: NDArray[np.int32]  # ``[C] int32`` chance of a one of every table cell, all tables in a row, 1..2^22 - 1
    counts: NDArray[np.uint8]  # ``[C] uint8`` observations each cell stands for
    weights: NDArray[np.int32]  # ``[n, K + 1] int32`` mixing weights
    hidden_bias: NDArray[np.int32]
    past: NDArray[np.int16]
    within: NDArray[np.int16]
    out: NDArray[np.int16]
    out_bias: NDArray[np.int16]

    def __post_init__(self) -> None:
        n, hidden = self.out.shape if self.out.ndim == 2 else (0, 0)
        if not 1 <= n <= MAX_BITS or hidden > MAX_HIDDEN:
            raise AetherError(f"prior: out of shape {list(self.out.shape)}; must be 1..{MAX_BITS} x 0..{MAX_HIDDEN}")
        for name, (dtype, shape) in _shapes(n, hidden).items():
            values = getattr(self, name)
            if values.dtype != dtype or values.shape != shape:
                found = f"{values.dtype} {list(values.shape)}"
                raise AetherError(f"prior: {name} is {found}; must be {np.dtype(dtype)} {list(shape)}")
        if (self.cells < 1).any() or (self.cells >= CELL_ONE).any():
            raise AetherError(f"prior: cells must be 1..{CELL_ONE - 1}")
        if (np.abs(self.weights.astype(np.int64)) > 64 * WEIGHT_ONE).any():
            raise AetherError("prior: mixing weights must be within -64..64")

    @property
    def token_bits(self) -> int:
        return int(self.out.shape[0])

    @property
    def hidden(self) -> int:
        return int(self.out.shape[1])

    @cached_property
    def identity(self) -> bytes:
        """First 8 bytes of the SHA-256 over all integers: what an entropy-coded file names."""
        digest = sha256(FORMAT.encode())
        for name, values in _tensors(self).items():
            digest.update(f"{name}{list(values.shape)}".encode())
            digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
        return digest.digest()[:ID_BYTES]


def _shapes(n: int, hidden: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    tables = cells_per_table(n)
    cells, each = (sum(tables),), (n, hidden)
    return {
        "cells": (np.int32, cells), "counts": (np.uint8, cells), "weights": (np.int32, (n, len(tables) + 1)),
        "hidden_bias": (np.int32, (hidden,)), "past": (np.int16, (hidden, 2 * n)), "within": (np.int16, each),
        "out": (np.int16, each), "out_bias": (np.int16, (n,)),
    }  # fmt: skip


def adaptive_prior(token_bits: int) -> Prior:
    """The prior that knows nothing and learns from the stream alone; no training, no network."""
    integers: dict[str, Any] = {name: np.zeros(shape, dtype) for name, (dtype, shape) in _shapes(token_bits, 0).items()}
    integers["cells"][:] = CELL_ONE // 2
    integers["weights"][:] = START_WEIGHT
    integers["weights"][:, -1] = WEIGHT_ONE
    return Prior(**integers)


@dataclass(frozen=True)
class PriorLabel:
    """What a prior file says of itself without its integers."""

    identity: bytes  # of the prior, 8 bytes (:attr:`Prior.identity`)
    model_id: bytes  # of the model whose bits it was fitted on, 8 bytes; empty where that is not known
    token_bits: int  # of the tokens it describes
    provenance: dict[str, Any]  # options, data, version and commit; empty where not known


def save_prior(prior: Prior, path: str | Path, model_id: bytes = b"", provenance: dict[str, Any] | None = None) -> None:
    """Write the integers and a :class:`PriorLabel` to a ``.safetensors`` file, whole or not at all."""
    label = {
        "identity": prior.identity.hex(),
        "model": model_id.hex(),
        "token_bits": str(prior.token_bits),
        "provenance": json.dumps(provenance or {}, sort_keys=True),
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(_tensors(prior), {"format": FORMAT, **label}))


def load_prior(path: str | Path) -> Prior:
    """Read a file of ``save_prior``; AetherError, naming the file, where it is none or its integers do not fit."""
    metadata, tensors = read_tensors(Path(path), KIND, "np")
    _check_format(path, metadata)
    if tensors.keys() != {field.name for field in fields(Prior)}:
        raise AetherError(f"{path}: not a prior of this project (it holds {', '.join(sorted(tensors))})")
    try:
        return Prior(**tensors)
    except AetherError as error:
        raise AetherError(f"{path}: {error}") from error


def read_label(path: str | Path) -> PriorLabel:
    """Label of a file of ``save_prior``, without reading the integers; AetherError where it is none."""
    metadata = read_metadata(Path(path), KIND)
    _check_format(path, metadata)
    try:
        identity, model_id = bytes.fromhex(metadata["identity"]), bytes.fromhex(metadata["model"])
        provenance = parse_json(metadata["provenance"])
        if len(identity) != ID_BYTES or len(model_id) not in (0, ID_BYTES) or not isinstance(provenance, dict):
            raise ValueError(f"identities of {ID_BYTES} bytes and a provenance are needed")
        return PriorLabel(identity, model_id, int(metadata["token_bits"]), provenance)
    except (KeyError, ValueError) as error:
        raise AetherError(f"{path}: its label cannot be read ({error})") from error


def _check_format(path: str | Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not {KIND} (format {metadata.get('format')!r:.40})")


def _tensors(prior: Prior) -> dict[str, NDArray[np.generic]]:
    return {field.name: np.ascontiguousarray(getattr(prior, field.name)) for field in fields(Prior)}


def released_priors() -> dict[Path, PriorLabel]:
    """Priors that come with the package, ``prior_<codec>_<bit rate>.safetensors``; only their labels are read."""
    return {path: read_label(path) for path in map(zoo.path, zoo.names("prior"))}


def prior_for_model(model_id: bytes, token_bits: int) -> Prior:
    """The released prior of a model's tokens of ``token_bits`` bits; AetherError where there is none."""
    for path, label in released_priors().items():
        if label.model_id == model_id and label.token_bits == token_bits:
            return load_prior(path)
    raise AetherError(
        f"no released prior for model {model_id.hex()} with tokens of {token_bits} bits: fit one with "
        f"`aether-lite train-prior` and give it with --prior FILE, or give --prior {ADAPTIVE}, which needs no training"
    )


def prior_name(header: Header) -> str | None:
    """Name of the prior of an entropy-coded file: a released one, or ``adaptive``; None for another."""
    return next((name for name, _ in _candidates(header)), None)


def prior_of_file(header: Header, name: str) -> Prior:
    """The prior of the entropy-coded file ``name``: a released one or the adaptive one, else AetherError."""
    for _, path in _candidates(header):
        return adaptive_prior(header.token_bits) if path is None else load_prior(path)
    assert header.prior_id is not None
    model = released_weights(header.model_id)
    where = "" if model is None or model.current else f" (those of {model.name} lay beside its weights: {model.place})"
    raise AetherError(
        f"{name}: entropy coded with prior {header.prior_id.hex()}, which is not a released one; "
        f"give its file with --prior FILE{where}"
    )


def _candidates(header: Header) -> Iterator[tuple[str, Path | None]]:
    """Name and file of the prior that the header means; no file for the adaptive one."""
    if header.prior_id is None:
        return
    if adaptive_prior(header.token_bits).identity == header.prior_id:
        yield ADAPTIVE, None
    yield from ((path.stem, path) for path, label in released_priors().items() if label.identity == header.prior_id)
