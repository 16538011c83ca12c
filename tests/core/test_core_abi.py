"""The binary interface: names and sizes that programs were compiled for, as recorded for this version.

A change breaks such programs: AETHER_VERSION_MINOR then goes up, and ``abi.json`` is recorded anew by
``python tests/core/test_core_abi.py``. New functions alone raise AETHER_VERSION_PATCH.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aether_lite.core.library import HEADER, LIBRARY, Library, default

RECORD = Path(__file__).with_name("abi.json")
STRUCTURES = ("aether_info", "aether_received")


def interface(core: Library) -> dict[str, Any]:
    """What a program depends on, on a machine of 64 bits."""
    ffi, header = core.ffi, (core.folder / HEADER).read_text(encoding="utf-8")
    version = core.functions.aether_version()
    structures = {
        name: {"bytes": ffi.sizeof(name), **{field: ffi.offsetof(name, field) for field, _ in ffi.typeof(name).fields}}
        for name in STRUCTURES
    }
    constants = re.findall(r"^\s+(AETHER_\w+) = (-?\d+),", header, flags=re.MULTILINE)
    return {
        "version": [version // 10000, version // 100 % 100],
        "functions": sorted(set(re.findall(r"^AETHER_API .*?\b(aether_\w+)\(", header, flags=re.MULTILINE))),
        "structures": structures,
        "constants": {name: int(value) for name, value in constants},
    }


@pytest.mark.skipif(sys.maxsize < 2**32, reason="recorded for machines of 64 bits")
def test_names_and_sizes_are_those_of_the_recorded_version(core: Library) -> None:
    assert interface(core) == json.loads(RECORD.read_text())


def test_every_declared_function_is_exported_and_nothing_else(core: Library) -> None:
    names = interface(core)["functions"]
    assert all(getattr(core.functions, name) for name in names)
    if sys.platform != "linux":
        return
    if not shutil.which("nm"):
        pytest.skip("no nm: apt install binutils")
    command = ["nm", "-D", "--defined-only", "--format=posix", core.folder / LIBRARY]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(line.split()[0] for line in listed) == names


if __name__ == "__main__":
    RECORD.write_text(json.dumps(interface(default()), indent=1) + "\n")
