"""Which weights an `.aeth` file needs: their id, and the name and version that go with it.

The header holds the first 8 bytes of a digest of the weights. ``zoo/versions.json`` lists the id of every file that
was ever released under a name, in order, and where it is kept: ``hash_small@2`` is the second one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np

from aether_lite.container.layout import ID_BYTES
from aether_lite.errors import AetherError
from aether_lite.features.samples import numbers


@dataclass(frozen=True)
class ReleasedWeights:
    """A version of released weights."""

    name: str  # with its version, ``hash_small@2``
    current: bool  # it comes with this package
    place: str  # how to get it from the repository, where it does not


def weights_id(state: Mapping[str, Any]) -> bytes:
    """First 8 bytes of the SHA-256 over a model's weights: names, shapes and values, in the order of the names.

    Tensors or arrays; values count as float32 (integers as int64), little-endian, so neither the file nor the device
    matters.
    """
    digest = sha256()
    for name in sorted(state):
        values = numbers(state[name], name)
        values = values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
        digest.update(f"{name}{list(values.shape)}".encode())
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return digest.digest()[:ID_BYTES]


@cache
def _versions() -> dict[bytes, ReleasedWeights]:
    listed = json.loads((files("aether_lite") / "zoo" / "versions.json").read_text(encoding="utf-8"))
    return {
        bytes.fromhex(entry["id"]): ReleasedWeights(
            f"{name}@{number}", number == len(entries), f"git show {entry['commit']}:{entry['file']}"
        )
        for name, entries in listed.items()
        for number, entry in enumerate(entries, 1)
    }


def released_weights(model_id: bytes) -> ReleasedWeights | None:
    """The released weights with this id; None where it is not that of a release."""
    return _versions().get(model_id)


def check_model(model_id: bytes, wanted: bytes | None, name: str) -> None:
    """Refuse a file of other weights than ``wanted`` (None: any); the AetherError says where to find those it needs."""
    if wanted is None or model_id == wanted:
        return
    needed, given = released_weights(model_id), released_weights(wanted)
    made, other = (
        ident.hex() if known is None else f"{known.name} ({ident.hex()})"
        for ident, known in ((model_id, needed), (wanted, given))
    )
    if needed is None:
        where = "give the weights that made it with --model FILE"
    elif needed.current:
        where = f"give --model {needed.name.partition('@')[0]}"
    else:
        where = f"get them from the repository ({needed.place} > FILE) and give --model FILE"
    raise AetherError(f"{name}: made by model {made}, not by {other}; {where}")
