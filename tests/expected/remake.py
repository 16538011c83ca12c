"""Golden figures of what is released: measure them, and write them with ``python tests/expected/remake.py [NAME ...]``.

Two seconds of bundled speech go through every released codec and vocoder at fixed rates, channels and seeds. A file
``NAME.json`` holds, by case, feature loss, V/UV error and ESTOI, the bits in hexadecimal, and checksums of symbols,
received values, decoded features and samples: their rms and their projections on fixed random vectors, which agree
within :data:`TOLERANCES` wherever the arithmetic is the same but for rounding. ``test_golden_figures.py`` compares.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import aether_lite
from aether_lite import channels
from aether_lite.audio import read_audio
from aether_lite.features import extract_features
from aether_lite.metrics import clip_feature_loss, estoi, vuv_error
from aether_lite.vocoder import load_vocoder, synthesize

HERE = Path(__file__).parent
COMMAND = "python tests/expected/remake.py"
CLIPS = ("en_f_intro", "it_m_intro")
FIRST, SAMPLES = 8_000, 32_000  # of the bundled clips
PROJECTIONS = 4
Figures = dict[str, Any]

SYMBOL_CASES: dict[str, tuple[int, float | None, Callable[..., Any]]] = {
    "150 uses/s, awgn 6 dB": (150, 6.0, lambda s: channels.awgn(s, 6.0, seed=[1, 2])),
    "300 uses/s, mpp 9 dB": (300, 9.0, lambda s: channels.mpp(s, 9.0, seed=[3, 4])),
    "600 uses/s, blind, rayleigh 12 dB": (600, None, lambda s: channels.rayleigh(s, 12.0, seed=[5, 6])),
    "1000 uses/s, awgn 10 dB": (1000, 10.0, lambda s: channels.awgn(s, 10.0, seed=[7, 8])),
    "1000 uses/s, erasures": (1000, None, lambda s: channels.erasure(s, 20.0, probability=0.2, seed=[9, 10])),
    "1200 uses/s, clean": (1200, None, lambda s: channels.clean(s)),
}
BIT_CASES: dict[str, tuple[int, Callable[..., Any]]] = {
    "300 bit/s, bsc 0.01": (300, lambda b: channels.bsc(b, 0.01, seed=[1, 2])),
    "600 bit/s, bsc 0": (600, lambda b: channels.bsc(b, 0.0, seed=[3, 4])),
    "1200 bit/s, bpsk over awgn 3 dB": (
        1200,
        lambda b: channels.keyed(b, lambda s: channels.awgn(s, 3.0, seed=[5, 6])),
    ),
    "2400 bit/s, qpsk over mpp 12 dB": (
        2400,
        lambda b: channels.keyed(b, lambda s: channels.mpp(s, 12.0, seed=[7, 8]), "qpsk"),
    ),
}

TOLERANCES: dict[str, tuple[float, float]] = {
    # relative, absolute; checksums of an array are measured by its rms
    "feature_loss": (0.01, 5e-4),
    "vuv_error": (0.0, 0.006),  # two frames of one clip
    "estoi": (0.0, 0.004),
    "symbols": (0.0, 1e-3),
    "received": (0.0, 1e-3),
    "features": (0.0, 5e-3),
    "samples": (0.0, 0.02),
}
BITS_APART = 2  # latents within rounding of their threshold


@cache
def speech() -> Tensor:
    """``[2, 32000] float32`` of two speakers."""
    clips = []
    for name in CLIPS:
        with as_file(files("aether_lite").joinpath(f"assets/samples/{name}.flac")) as path:
            clips.append(read_audio(path)[FIRST : FIRST + SAMPLES])
    return torch.from_numpy(np.stack(clips))


def measured(name: str) -> dict[str, Figures]:
    """Figures of a released codec or vocoder, by case."""
    return {case: rounded(figures) for case, figures in _MEASURES[name]()}


def of_symbols(model: str) -> Iterator[tuple[str, Figures]]:
    """Cases of a codec of symbols."""
    codec = aether_lite.load(model)
    for case, (rate, target_snr_db, channel) in SYMBOL_CASES.items():
        sent = codec.encode(speech(), rate, target_snr_db)
        received = channel(sent)
        known = {"symbols": checksum(sent.values), "received": checksum(received.values)}
        yield case, {**known, **of_speech(codec, received)}


def of_bits(model: str) -> Iterator[tuple[str, Figures]]:
    """Cases of a codec of bits."""
    codec = aether_lite.load(model)
    for case, (rate, channel) in BIT_CASES.items():
        sent = codec.encode(speech(), rate)
        received = channel(sent)
        bits = np.packbits(sent.values.numpy() > 0).tobytes().hex()
        yield case, {"bits": bits, "received": checksum(received.values), **of_speech(codec, received)}


def of_speech(codec: Any, received: Any) -> Figures:
    """What a codec makes of received values."""
    true, decoded = codec.features(speech()), codec.decode_features(received)
    return {"features": checksum(decoded), **scores(decoded, true, codec.decode(received)[:, :SAMPLES])}


def of_vocoder(name: str) -> Iterator[tuple[str, Figures]]:
    """The case of a vocoder: features of speech to speech, scored on their features."""
    true = torch.from_numpy(np.stack([extract_features(clip)[:, :20] for clip in speech().numpy()]))
    samples = synthesize(true, load_vocoder(name))
    found = torch.from_numpy(np.stack([extract_features(clip)[:, :20] for clip in samples.numpy()]))
    yield "speech", scores(found, true, samples)


def scores(features: Tensor, true: Tensor, samples: Tensor) -> Figures:
    """Means over the clips, and the checksum of the samples."""
    return {
        "feature_loss": float(clip_feature_loss(features, true).mean()),
        "vuv_error": float(vuv_error(features, true).mean()),
        "estoi": float(estoi(samples, speech()).mean()),
        "samples": checksum(samples),
    }


def checksum(values: Tensor) -> dict[str, Any]:
    """Shape, rms, and projections on vectors of variance 1 / size, in units of the rms."""
    reals = (torch.view_as_real(values) if values.is_complex() else values).numpy(force=True).astype(np.float64)
    rms = float(np.sqrt(np.mean(reals**2)))
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([2026])))
    vectors = generator.standard_normal((PROJECTIONS, reals.size)) / (np.sqrt(reals.size) * max(rms, 1e-12))
    return {"shape": list(values.shape), "rms": rms, "projections": (vectors @ reals.ravel()).tolist()}


def differences(expected: dict[str, Figures], found: dict[str, Figures]) -> list[str]:
    """A line for every figure that is not the expected one."""
    if expected.keys() != found.keys():
        return [f"cases {sorted(found)} instead of {sorted(expected)}"]
    lines = []
    for case, figures in expected.items():
        for name in sorted(figures.keys() | found[case].keys()):
            old, new = figures.get(name), found[case].get(name)
            if old is None or new is None or not _agree(name, old, new):
                lines.append(f"{case}: {name} is {new} instead of {old}")
    return lines


def _agree(name: str, old: Any, new: Any) -> bool:
    if name == "bits":
        return len(old) == len(new) and (int(old, 16) ^ int(new, 16)).bit_count() <= BITS_APART
    relative, absolute = TOLERANCES[name]
    if not isinstance(old, dict):
        return bool(abs(new - old) <= absolute + relative * abs(old))
    close = abs(new["rms"] / max(old["rms"], 1e-12) - 1) <= absolute
    near = np.abs(np.subtract(new["projections"], old["projections"])) <= PROJECTIONS * absolute
    return bool(old["shape"] == new["shape"] and close and near.all())


def rounded(value: Any) -> Any:
    """Floats to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


_MEASURES: dict[str, Callable[[], Iterator[tuple[str, Figures]]]] = {
    "small": lambda: of_symbols("small"),
    "base": lambda: of_symbols("base"),
    "hash_small": lambda: of_bits("hash_small"),
    "fargan": lambda: of_vocoder("fargan"),
    "fargan_adversarial": lambda: of_vocoder("fargan_adversarial"),
    "hnsf": lambda: of_vocoder("hnsf"),
}
NAMES = tuple(_MEASURES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files, and say what moved."""
    parser = argparse.ArgumentParser(description="Measure the golden figures again and write tests/expected/*.json.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; default: all")
    names = parser.parse_args(arguments).names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
    torch.set_num_threads(1)
    for name in names:
        path, found = HERE / f"{name}.json", measured(name)
        if path.is_file():
            print("\n".join([f"== {name}", *differences(json.loads(path.read_text())["cases"], found)]))
        path.write_text(json.dumps({"made_by": f"{COMMAND} {name}", "cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
