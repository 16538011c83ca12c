"""The same bits on every machine: the library built for others, run where this machine can, against recorded digests.

``python tests/core/test_core_targets.py`` records the digests anew, from the reference kernels of this machine.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tiny

from aether_lite.codec import SpiCodec, preset
from aether_lite.core import weights
from aether_lite.core.library import Library
from aether_lite.core.weights import PRECISIONS, Kind, Section
from aether_lite.export.native import codec_sections

HERE = Path(__file__).parent
DIGESTS = HERE / "digests.json"
SPEECH = HERE.parent / "vectors" / "en_f_intro.pcm"
Sections = dict[str, Section]


@dataclass(frozen=True)
class Target:
    """A machine: how to compile for it and how to run its programs; empty for this machine itself."""

    kernels: tuple[str, ...]
    zig: str = ""  # its name for the compiler of zig
    gcc: str = ""  # a cross compiler that does as well
    options: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


TARGETS = {
    "here": Target(("scalar", "sse2", "avx2", "neon")),
    "aarch64": Target(
        ("scalar", "neon"), "aarch64-linux-musl", "aarch64-linux-gnu-gcc", ("-static",), ("qemu-aarch64",)
    ),
    "armv7": Target(("scalar",), "arm-linux-musleabihf", "arm-linux-gnueabihf-gcc", ("-static",), ("qemu-arm",)),
    "wasm": Target(("scalar",), "wasm32-wasi", run=("node", "--no-warnings", str(HERE / "run_wasi.mjs"))),
    "wasm-simd": Target(
        ("wasm",), "wasm32-wasi", options=("-msimd128",), run=("node", "--no-warnings", str(HERE / "run_wasi.mjs"))
    ),
}
CASES: dict[str, tuple[bool, Callable[[Kind], Sections], str]] = {
    "symbols, fargan, float16": (False, tiny.fargan_sections, "float16"),
    "bits, hnsf, float16": (True, tiny.hnsf_sections, "float16"),
    "symbols, hnsf, int8": (False, tiny.hnsf_sections, "int8"),
    "bits, fargan, int8": (True, tiny.fargan_sections, "int8"),
    "symbols, fargan, float32": (False, tiny.fargan_sections, "float32"),
}


def _command(target: Target, build: ModuleType) -> list[str]:
    """A compiler for a target; skips, naming what would do, where there is none."""
    if not target.zig:
        return list(build.compiler())
    zig = ["zig"] if shutil.which("zig") else [sys.executable, "-m", "ziglang"]
    if shutil.which("zig") or importlib.util.find_spec("ziglang"):
        return [*zig, "cc", "-target", target.zig]
    if target.gcc and shutil.which(target.gcc):
        return [target.gcc]
    pytest.skip(f"no compiler for {target.zig}: pip install ziglang{target.gcc and ' or ' + target.gcc}")


def exact(sections: Sections, kind: Kind) -> Sections:
    """Sections of the same sizes with values that no library of functions has a part in."""
    random, made = np.random.default_rng(7), dict[str, Section]()
    for name, section in sections.items():
        stem, _, part = name.rpartition(".")
        if part in ("bias", "scale") and stem in sections:
            continue
        if section.kind == Kind.INT32:
            made[name] = section
        elif section.kind == Kind.FLOAT32:
            made[name] = weights.values(random.integers(64, 192, (section.rows, section.columns)) / 128)
        else:
            step = 2.0 ** -round(np.log2(128 * section.columns**0.5))
            matrix = random.integers(-127, 128, (section.rows, section.columns)) * step
            bias = random.integers(-32, 33, section.rows) / 128
            stored = section.kind if section.kind in (Kind.PANELS_F32, Kind.PANELS_F16) else kind
            made |= weights.dense(name, matrix, bias, kind=stored)
    return made


def write_case(folder: Path, name: str) -> None:
    """Files of weights and of speech."""
    of_bits, vocoder, precision = CASES[name]
    kind = PRECISIONS[precision]
    codec = codec_sections(SpiCodec(replace(preset("tiny"), hash="sign" if of_bits else "", power="held")), kind)
    if not of_bits:
        codec["codec.target_power"] = weights.values(np.ones((11, codec["codec.power"].rows)))
    weights.write(folder / "w.aether", exact(codec | vocoder(kind), kind))
    samples = np.fromfile(SPEECH, "<i2")[16000:40000] / 32768
    (folder / "s.f32").write_bytes(samples.astype("<f4").tobytes())


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow if t.zig else ()) for name, t in TARGETS.items()]
)
def target(request: pytest.FixtureRequest) -> Target:
    """A machine."""
    return TARGETS[request.param]


@pytest.fixture(scope="module")
def program(
    target: Target, build_script: ModuleType, core: Library, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """``vectors.c`` with the library, built for it; here with the one that all tests use."""
    if target.run and not shutil.which(target.run[0]):
        pytest.skip(f"no {target.run[0]}: apt install {'nodejs' if target.run[0] == 'node' else 'qemu-user'}")
    path = tmp_path_factory.mktemp("target") / ("vectors.wasm" if "wasm" in target.zig else "vectors")
    options = [*build_script.EXACT, "-O2", *target.options, HERE / "vectors.c"]
    if target.zig or sys.platform == "win32":
        options += build_script.SOURCES
    else:
        options += ["-L", core.folder, "-laether", f"-Wl,-rpath,{core.folder}"]
    build_script.compile_c(_command(target, build_script), [*options, "-o", path])
    return path


@pytest.mark.parametrize("case", CASES)
def test_every_machine_gives_the_recorded_bits(target: Target, program: Path, case: str, tmp_path: Path) -> None:
    write_case(tmp_path, case)
    ran = []
    for kernels in target.kernels:
        done = run(target, program, tmp_path, kernels)
        if target is TARGETS["here"] and "no such set of kernels" in done.stderr:
            continue
        assert done.returncode == 0, done.stderr
        ran.append(kernels)
        assert digest_of(tmp_path) == json.loads(DIGESTS.read_text())[case], kernels
    assert "scalar" in ran or target.kernels == ("wasm",)


def run(target: Target, program: Path, folder: Path, kernels: str) -> subprocess.CompletedProcess[str]:
    """The program on files in a folder."""
    wasi = [folder] if program.suffix == ".wasm" else []
    root = "" if wasi else f"{folder}/"
    words = [f"{root}{name}" for name in ("w.aether", "s.f32", "out.f32")]
    command = [*target.run, program, *wasi, *words, kernels]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def digest_of(folder: Path) -> str:
    """Of what the program wrote."""
    return sha256((folder / "out.f32").read_bytes()).hexdigest()


def record(build: ModuleType) -> None:
    """Write the digests that the reference kernels give here."""
    made, here = dict[str, str](), TARGETS["here"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build.compile_c(build.compiler(), [*build.EXACT, "-O2", HERE / "vectors.c", *build.SOURCES, "-o", folder / "v"])
        for case in CASES:
            write_case(folder, case)
            run(here, folder / "v", folder, "scalar").check_returncode()
            made[case] = digest_of(folder)
    DIGESTS.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1] / "core"))
    record(importlib.import_module("build"))
