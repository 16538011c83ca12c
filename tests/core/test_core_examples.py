"""The library installed by CMake, and the example programs built against it, by CMake and by pkg-config, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_core_targets import write_case

from aether_lite.core.library import Decoder, Encoder, Library, Model

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "c"
SYMBOLS, BITS = "symbols, hnsf, int8", "bits, hnsf, float16"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the examples are run as POSIX has them"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of symbols and of bits, and speech as ``in.wav``."""
    made = tmp_path_factory.mktemp("examples")
    for name, case in (("symbols", SYMBOLS), ("bits", BITS)):
        write_case(made, case)
        (made / "w.aether").rename(made / f"{name}.aether")
    samples = np.rint(np.fromfile(made / "s.f32", "<f4") * 32768).astype("<i2").tobytes()
    head = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + bytes([16, 0, 0, 0, 1, 0, 1, 0])
    head += bytes([0x80, 0x3E, 0, 0, 0, 0x7D, 0, 0, 2, 0, 16, 0]) + b"data" + len(samples).to_bytes(4, "little")
    (made / "in.wav").write_bytes(head + samples)
    return made


@pytest.fixture(scope="module")
def prefix(folder: Path) -> Path:
    """Where CMake installed the library."""
    if not shutil.which("cmake"):
        pytest.skip("no cmake: apt install cmake")
    _cmake(ROOT / "core", folder / "core", "-DBUILD_SHARED_LIBS=ON", f"-DCMAKE_INSTALL_PREFIX={folder / 'prefix'}")
    subprocess.run(["cmake", "--install", folder / "core"], check=True, capture_output=True)
    return folder / "prefix"


@pytest.fixture(scope="module")
def programs(prefix: Path, folder: Path) -> Path:
    """Folder of the examples, built against it."""
    build = folder / "examples"
    build.mkdir()
    embed = [sys.executable, ROOT / "core" / "embed.py", folder / "symbols.aether", build / "weights.c"]
    subprocess.run(embed, check=True)
    _cmake(EXAMPLES, build, f"-DCMAKE_PREFIX_PATH={prefix}")
    return build


def _cmake(source: Path, build: Path, *options: str) -> None:
    subprocess.run(["cmake", "-S", source, "-B", build, *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build], check=True, capture_output=True)


def _run(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float64) / 32767


def _written(folder: Path) -> np.ndarray:
    """Samples of ``out.wav``, whose head must say how many they are."""
    data = (folder / "out.wav").read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert int.from_bytes(data[40:44], "little") == len(data) - 44
    return _samples(data[44:])


def _expected(core: Library, weights: Path, noise: float | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Tokens of ``in.wav``, and what the streams of the binding make of them."""
    model = Model(core, weights)
    encoder, decoder = Encoder(model), Decoder(model)
    speech = np.frombuffer((weights.parent / "in.wav").read_bytes()[44:], "<i2").astype(np.float32) / 32768
    tokens = [*encoder.push(speech), *encoder.flush()]
    pieces = [decoder.push(token, None, noise)[0] for token in tokens]
    return tokens, np.concatenate([*pieces, decoder.flush()[0]])


def test_speech_passes_a_noisy_channel(core: Library, programs: Path, folder: Path) -> None:
    _, expected = _expected(core, folder / "symbols.aether", 1e-10)
    _run(programs / "noisy", folder / "symbols.aether", folder / "in.wav", folder / "out.wav", 100)
    clear = _written(folder)
    assert clear == pytest.approx(expected, abs=2e-2)
    _run(programs / "noisy", folder / "symbols.aether", folder / "in.wav", folder / "out.wav", 0)
    noisy = _written(folder)
    assert len(noisy) == len(expected)
    assert np.square(noisy - expected).sum() > 100 * np.square(clear - expected).sum()


def test_a_link_over_udp_restores_the_order_and_conceals_losses(core: Library, programs: Path, folder: Path) -> None:
    tokens, expected = _expected(core, folder / "bits.aether")
    words = programs / "voice_link", folder / "bits.aether", folder / "in.wav", folder / "out.wav"
    said = _run(*words, 0)
    assert said.startswith(f"{len(tokens)} tokens of ")
    assert " 0 lost, " in said
    assert ", 0 overtaken" not in said
    assert _written(folder) == pytest.approx(expected, abs=1 / 32000)
    assert " 0 lost" not in _run(*words, 20)
    damaged = _written(folder)
    assert len(damaged) == len(expected)
    assert not np.allclose(damaged, expected, atol=1e-2)


def test_a_decoder_stands_in_a_pipe(core: Library, programs: Path, folder: Path) -> None:
    tokens, expected = _expected(core, folder / "symbols.aether", 0.125)
    given = np.concatenate(tokens).tobytes() + b"\0\0"  # a token cut short is dropped
    rate = Model(core, folder / "symbols.aether").info.default_rate
    words = [programs / "pipe", folder / "symbols.aether", str(rate)]
    done = subprocess.run([*words, "0.125"], input=given, capture_output=True, check=True)
    assert _samples(done.stdout) == pytest.approx(expected, abs=1 / 32000)
    wrong = subprocess.run([*words[:2], "601"], input=given, capture_output=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    assert wrong.stderr.startswith(b"RATE: ")


def test_weights_in_a_program_need_as_much_memory_as_those_of_a_file(
    core: Library, programs: Path, folder: Path
) -> None:
    numbers = {name: int(value) for name, value in map(str.split, _run(programs / "board").splitlines())}
    model = Model(core, folder / "symbols.aether")
    assert numbers["weights"] == (folder / "symbols.aether").stat().st_size
    assert numbers["model"] == model.memory_bytes
    assert numbers["encoder"] == Encoder(model).memory_bytes
    assert numbers["decoder_state"] == len(Decoder(model).save())
    for part in ("model", "encoder", "decoder"):
        assert 1000 < numbers[f"{part}_stack"] < 24_000


def test_pkg_config_finds_the_library(build_script: ModuleType, prefix: Path, programs: Path, folder: Path) -> None:
    if not shutil.which("pkg-config"):
        pytest.skip("no pkg-config: apt install pkg-config")
    found = next(prefix.rglob("aether.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(found)}
    asked = ["pkg-config", "--cflags", "--libs", "aether"]
    flags = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout.split()
    command = [*build_script.compiler(), "-std=c11", str(EXAMPLES / "pipe.c"), *flags, "-lm", "-o", folder / "pipe"]
    subprocess.run(command, check=True)
    loaded = {**os.environ, "LD_LIBRARY_PATH": str(found.parent), "DYLD_LIBRARY_PATH": str(found.parent)}
    given = [folder / "pipe", folder / "symbols.aether"]
    done = subprocess.run(given, input=b"", env=loaded, capture_output=True, check=True)
    assert done.stdout == b""


def test_wrong_files_end_a_program_with_one_line(programs: Path, folder: Path) -> None:
    for weights, speech, fault in (
        ("in.wav", "in.wav", "not a file of native weights"),
        ("bits.aether", "in.wav", "sends bits"),
        ("symbols.aether", "symbols.aether", "not a WAV file"),
        ("none.aether", "in.wav", "cannot be read"),
    ):
        words = [programs / "noisy", folder / weights, folder / speech, folder / "no.wav", "10"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert fault in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (folder / "no.wav").exists()
