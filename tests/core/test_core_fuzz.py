"""Hostile weights, states and tokens under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import tiny

from aether_lite.codec import SpiCodec
from aether_lite.core import weights
from aether_lite.core.weights import Kind, Section
from aether_lite.export.native import codec_sections

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
RUNS = 60


@pytest.fixture(scope="module")
def fuzzer(build_script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with the library in it."""
    program = tmp_path_factory.mktemp("fuzz") / "fuzz"
    sources = [Path(__file__).with_name("fuzz.c"), *build_script.SOURCES]
    try:
        build_script.compile_c(build_script.compiler(), [*build_script.EXACT, *SANITIZERS, *sources, "-o", program])
    except subprocess.CalledProcessError:
        pytest.skip("the C compiler has no sanitizers: apt install gcc")
    return program


@pytest.mark.slow
@pytest.mark.parametrize("precision", weights.PRECISIONS)
@pytest.mark.parametrize("of_bits", [False, True])
@pytest.mark.parametrize("vocoder", [tiny.fargan_sections, tiny.hnsf_sections])
def test_no_file_state_or_token_makes_a_fault(
    fuzzer: Path,
    tiny_codec_of: dict[bool, SpiCodec],
    vocoder: Callable[[Kind], dict[str, Section]],
    of_bits: bool,
    precision: str,
    tmp_path: Path,
) -> None:
    kind, path = weights.PRECISIONS[precision], tmp_path / "tiny.aether"
    weights.write(path, codec_sections(tiny_codec_of[of_bits], kind) | vocoder(kind))
    done = subprocess.run([fuzzer, path, "1", str(RUNS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    accepted = int(done.stdout.split()[0])
    assert RUNS // 5 < accepted < RUNS


@pytest.fixture(scope="module")
def tiny_codec_of(tiny: SpiCodec, tiny_hash: SpiCodec) -> dict[bool, SpiCodec]:
    """Untrained codecs of symbols and, True, of bits."""
    return {False: tiny, True: tiny_hash}
