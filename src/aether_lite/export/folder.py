"""The exported folder: graphs, their comparison with torch and the manifest, there as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aether_lite import __version__
from aether_lite.codec import SpiCodec
from aether_lite.codec.base import latency
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.errors import AetherError
from aether_lite.export.graphs import OPSET, quantise, to_onnx
from aether_lite.export.runner import EXPORT_PACKAGES, FORMAT, MANIFEST, NEW_STATE, OnnxStep, session
from aether_lite.export.steps import Step, codec_and_vocoder_steps, most_elements
from aether_lite.features import layout
from aether_lite.files import atomic_folder
from aether_lite.jscc import SNR_RANGE_DB
from aether_lite.optional import require_packages
from aether_lite.payload import elements_per_token
from aether_lite.vocoder import load_fargan, vocoder_path
from aether_lite.vocoder.fargan import LOOKAHEAD_FRAMES

TOLERANCE = 1e-4  # of a graph's outputs against torch
NOISE_VARIANCE = 0.1  # of the probes
Inputs = dict[str, Tensor]
PRIMING = (
    "Run the vocoder once with the first feature row and audible = 0, from zero states; its samples are no sound. Then "
    "run it with audible = 1 on every later row, and at the end flush_rows times on the last row again. Drop the first "
    "and the last cut_samples: F rows give 160 F samples in line with the speech sent."
)


def export_folder(
    folder: str | Path,
    model: str | Path = DEFAULT_CODEC,
    vocoder: str | Path | None = None,
    *,
    int8: bool = False,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Export a codec and a vocoder; every float32 graph is compared with torch before the folder appears.

    Args:
        folder: a new or empty folder; its parent must exist.
        model: name of released weights or a codec file.
        vocoder: file of vocoder weights or a released name; None for ``fargan``.
        int8: also write the int8 variants.
        force: whether an earlier export in ``folder`` is replaced, once the new one is complete.
        progress: called with the name of each part as work on it begins.

    Returns:
        The manifest.

    Raises:
        AetherError: the folder is not empty or cannot be written, a package is missing, the weights cannot be
            read, or a graph does not compute what torch computes.
    """
    require_packages("export", EXPORT_PACKAGES, "onnx")
    with atomic_folder(Path(folder), MANIFEST if force else None) as partial:
        codec_file = codec_path(model)
        vocoder_file = vocoder_path(vocoder)
        codec, provenance = load_codec(codec_file)
        steps = codec_and_vocoder_steps(codec, load_fargan(vocoder_file))
        inputs = probes(codec)
        files: dict[str, Any] = {}
        for name, step in steps.items():
            if progress is not None:
                progress(name)
            files[name] = _write_step(partial, name, step, inputs[name], int8)
        weights = {
            "codec": {"name": str(model), "sha256": _sha256(codec_file), "provenance": provenance},
            "vocoder": {"name": vocoder_file.name, "sha256": _sha256(vocoder_file)},
        }
        record = manifest(codec, steps, files, weights)
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        (partial / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    return record


def _write_step(folder: Path, name: str, step: Step, inputs: list[dict[str, Any]], int8: bool) -> dict[str, Any]:
    """Write the graphs of one step; return its entry ``files`` of the manifest."""
    import onnx

    path = folder / f"{name}.onnx"
    onnx.save(to_onnx(step), path)
    outputs = [port.name for port in step.outputs]
    difference = largest_difference(step, OnnxStep(session(path), outputs), inputs)
    if not difference <= TOLERANCE:
        raise AetherError(f"{name}: the graph differs from torch by {difference:.1e}, more than {TOLERANCE:g}")
    files = {"float32": {**_entry(path), "largest_difference_from_torch": difference}}
    if int8:
        small = folder / f"{name}_int8.onnx"
        quantise(path, small)
        files["int8"] = _entry(small)
    return files


def _entry(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def probes(codec: SpiCodec) -> dict[str, list[Inputs]]:
    """Inputs for each step: as many tokens as there are rates, the rows of one; the same at every call."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    frames, count, bits = codec.config.token_frames, most_elements(codec), bool(codec.config.hash)
    unknown = torch.tensor([torch.nan])
    encoder, decoder = [], []
    for number, rate in enumerate(codec.bottleneck.rates):
        common = {"rate": torch.tensor([rate])}
        features = codec.image.to_features(normal(1, frames, codec.image.mean.numel()))[0].detach()
        target = torch.tensor([3.0 * number]) if number % 2 else unknown
        encoder.append({"features": features, **common} | ({} if bits else {"target_snr_db": target}))
        received = normal(count).tanh() if bits else normal(count, 2)
        noise_variance = unknown if number % 3 == 1 else torch.tensor([NOISE_VARIANCE])
        state = {} if bits else {"gain": normal(count, 2), "noise_variance": noise_variance}
        decoder.append({"received": received, **common, **state, "erased": torch.tensor([number == 3])})
    rows = encoder[0]["features"]
    vocoder = [{"row": row, "audible": torch.tensor([float(number > 0)])} for number, row in enumerate(rows)]
    return {"encoder": encoder, "decoder": decoder, "vocoder": vocoder}


def largest_difference(step: Step, onnx: OnnxStep, inputs: list[Inputs]) -> float:
    """Largest absolute difference of outputs between a step and its graph, each with its own state; NaN if one is."""
    onnx.reset()
    worst = 0.0
    states = [port.zeros() for port in step.states]
    for given in inputs:
        with torch.no_grad():
            results = step(*(given[port.name] for port in step.inputs), *states)
        states = list(results[len(step.outputs) :])
        found = onnx(**{name: value.numpy() for name, value in given.items()})
        differences = [np.abs(a - b.numpy()).max() for a, b in zip(found, results, strict=False)]
        worst = float(np.max([worst, *differences]))
    return worst


def manifest(codec: SpiCodec, steps: dict[str, Step], files: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """The manifest; ``files`` by name of the step and precision, ``weights`` the files the graphs were made from."""
    frames, rates = codec.config.token_frames, codec.bottleneck.rates
    payload: dict[str, Any]
    if codec.config.hash:
        element, payload = "bits", {"bits": "packed, the highest of a byte first; 1 is sent as +1, 0 as -1"}
    else:
        symbols = "interleaved float32 I, Q, little-endian; uses_per_token[rate] pairs a token"
        element, payload = "uses", {"symbols": symbols, "power": codec.config.power, "told_snr_db": list(SNR_RANGE_DB)}
    delay = latency(frames, codec.config.lookahead)
    return {
        "format": FORMAT,
        "package": {"name": "aether-lite", "version": __version__},
        "opset": OPSET,
        "sample_rate": layout.SAMPLE_RATE,
        "frame_samples": layout.FRAME,
        "token_frames": frames,
        "token_samples": frames * layout.FRAME,
        "lookahead_tokens": codec.config.lookahead,
        "latency_samples": {**asdict(delay), "total": delay.samples},
        "unit": codec.bottleneck.unit,
        "rates": list(rates),
        "default_rate": codec.bottleneck.default_rate,
        f"{element}_per_token": {str(rate): elements_per_token(rate, frames) for rate in rates},
        f"max_{element}": most_elements(codec),
        **payload,
        "features": {
            "columns": layout.NUM_FREE,
            "content": "0..17 Bark cepstrum, 18 pitch [octaves], 19 frame correlation",
            "pitch_range": [layout.PITCH_MIN, layout.PITCH_MAX],
            "correlation_range": [layout.CORRELATION_MIN, layout.CORRELATION_MAX],
            "normalisation": "inside the graphs: (rows of the speech image - mean) / scale",
            "mean": codec.image.mean.tolist(),
            "scale": codec.image.scale.tolist(),
        },
        "vocoder": {
            "lookahead_frames": LOOKAHEAD_FRAMES,
            "preemphasis": layout.PREEMPHASIS,
            "deemphasis": "inside the graph: out[n] = s[n] + preemphasis * out[n-1]",
            "cut_samples": layout.FRAME // 2,
            "flush_rows": 1 + LOOKAHEAD_FRAMES,
            "priming": PRIMING,
        },
        "steps": {
            name: {
                "inputs": [port.record() for port in step.inputs],
                "outputs": [port.record() for port in step.outputs],
                "states": [
                    {"input": port.name, "output": NEW_STATE + port.name, **port.record(), "initial": 0}
                    for port in step.states
                ],
                "files": files[name],
            }
            for name, step in steps.items()
        },
        "weights": weights,
    }
