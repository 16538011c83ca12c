"""Native weights that are damaged, hostile or of another kind: an error code, and never a crash."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import fargan_sections, hnsf_sections

from aether_lite.core import weights
from aether_lite.core.library import Library, Model
from aether_lite.core.weights import ENTRY
from aether_lite.errors import AetherError

KNOWN = range(-10, 1)  # codes of errors


def _sealed(data: bytearray) -> bytes:
    """The file with a checksum that fits, as an attacker would write it."""
    data[32:64] = hashlib.sha256(bytes(data[:32]) + bytes(data[64:])).digest()
    return bytes(data)


def _code(core: Library, data: bytes) -> int:
    """What making a model of a file returns."""
    memory, size, made = core.memory(len(data)), core.ffi.new("size_t *"), core.ffi.new("aether_model **")
    core.ffi.memmove(memory, data, len(data))
    code: int = core.functions.aether_model_size(memory, len(data), core.ffi.NULL, size)
    if code == 0:
        room = core.memory(size[0])
        code = core.functions.aether_model_init(room, size[0], memory, len(data), core.ffi.NULL, made)
    if code == 0:
        _run(core, made[0])
    return code


def _run(core: Library, model: Any) -> None:
    """A few rows through the vocoder of a model, where it has one."""
    size, made = core.functions.aether_vocoder_size(model), core.ffi.new("aether_vocoder **")
    if size == 0:
        return
    room = core.memory(size)
    assert core.functions.aether_vocoder_init(room, size, model, made) == 0
    row, samples, count = core.ffi.new("float[20]"), core.ffi.new("float[160]"), core.ffi.new("size_t *")
    for _ in range(3):
        assert core.functions.aether_vocoder_push(made[0], row, 1, samples, count) == 0


@pytest.fixture(scope="module", params=product((fargan_sections, hnsf_sections), weights.PRECISIONS.values()))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of small networks."""
    path, (sections, kind) = tmp_path_factory.mktemp("tiny") / "tiny.aether", request.param
    weights.write(path, sections(kind))
    return path.read_bytes()


@pytest.mark.parametrize("end", [0, 10, 63, 64, 1000, -64, -1])
def test_a_file_cut_short_is_refused(core: Library, tiny: bytes, end: int) -> None:
    assert _code(core, tiny[:end]) < 0


def test_a_flipped_bit_anywhere_is_noticed(core: Library, tiny: bytes) -> None:
    for place in np.random.default_rng(1).integers(0, 8 * len(tiny), 500).tolist():
        data = bytearray(tiny)
        data[place // 8] ^= 1 << place % 8
        assert _code(core, bytes(data)) < 0, place


def test_the_message_names_the_file_and_the_fault(core: Library, tiny: bytes, tmp_path: Path) -> None:
    faults = {
        "not a file of native weights": b"RIFF" + tiny[4:],
        "cut short or changed": tiny[:-64],
        "of another version": tiny[:8] + b"\x02" + tiny[9:],
    }
    for words, data in faults.items():
        (tmp_path / "x.aether").write_bytes(data)
        with pytest.raises(AetherError, match=rf"x\.aether: .*{words}"):
            Model(core, tmp_path / "x.aether")
    with pytest.raises(AetherError, match="cannot be read"):
        Model(core, tmp_path / "none.aether")
    (tmp_path / "x.aether").write_bytes(tiny)
    with pytest.raises(AetherError, match="no such set of kernels"):
        Model(core, tmp_path / "x.aether", "magic")


def test_hostile_sizes_with_a_checksum_that_fits_never_crash(core: Library, tiny: bytes) -> None:
    """Sizes, kinds, places and names are changed at random; what still passes is run."""
    end = 64 + ENTRY.size * int.from_bytes(tiny[12:16], "little")
    random, codes = np.random.default_rng(0), list[int]()
    for _ in range(300):
        data = bytearray(tiny)
        for place in random.integers(8, end, random.integers(1, 4)):
            data[place] = random.choice([0, 1, 2, 127, 128, 255, data[place] ^ 1 << random.integers(8)])
        codes.append(_code(core, _sealed(data)))
    assert set(codes) <= set(KNOWN)
    assert 0 < codes.count(0) < len(codes) / 2  # zeros become zeros


def test_weights_that_are_no_numbers_are_run_without_a_crash(core: Library, tiny: bytes) -> None:
    end = 64 + ENTRY.size * int.from_bytes(tiny[12:16], "little")
    data = bytearray(tiny)
    data[end:] = b"\xff" * (len(data) - end)
    assert _code(core, _sealed(data)) == 0
