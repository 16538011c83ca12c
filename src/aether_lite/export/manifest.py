"""What a receiver must know besides the graphs: shapes, constants and where it all comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aether_lite import __version__
from aether_lite.codec.latency import latency
from aether_lite.codec.symbol_model import SpiJscc
from aether_lite.export.graph import NEW_STATE, OPSET
from aether_lite.export.runner import FORMAT
from aether_lite.export.steps import Port, Step
from aether_lite.features.layout import (
    CORRELATION_MAX,
    CORRELATION_MIN,
    FRAME,
    NUM_FREE,
    PITCH_MAX,
    PITCH_MIN,
    PREEMPHASIS,
    SAMPLE_RATE,
)
from aether_lite.jscc import RATES
from aether_lite.jscc.conditioning import SNR_RANGE_DB
from aether_lite.payload import elements_per_token
from aether_lite.vocoder import LOOKAHEAD_FRAMES

PRIMING = (
    "Run the vocoder once with the first feature row and audible = 0, from zero states; its samples are no sound. Then "
    "run it with audible = 1 on every later row, and at the end flush_rows times on the last row again. Drop the first "
    "and the last cut_samples: F rows give 160 F samples in line with the speech sent."
)


def manifest(codec: SpiJscc, steps: dict[str, Step], files: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """The manifest.

    Args:
        codec: the model exported.
        steps: by name.
        files: by name of the step and then of the precision: name, bytes and sha256 of the file, and its check.
        weights: the files of weights the graphs were made from, and their origin.
    """
    frames = codec.config.token_frames
    delay = latency(frames, codec.config.lookahead)
    return {
        "format": FORMAT,
        "package": {"name": "aether-lite", "version": __version__},
        "opset": OPSET,
        "sample_rate": SAMPLE_RATE,
        "frame_samples": FRAME,
        "token_frames": frames,
        "token_samples": frames * FRAME,
        "lookahead_tokens": codec.config.lookahead,
        "latency_samples": {**asdict(delay), "total": delay.samples},
        "rates": list(RATES),
        "uses_per_token": {str(rate): elements_per_token(rate, frames) for rate in RATES},
        "max_uses": elements_per_token(RATES[-1], frames),
        "symbols": "interleaved float32 I, Q, little-endian; uses_per_token[rate] pairs a token",
        "power": codec.config.power,
        "told_snr_db": list(SNR_RANGE_DB),
        "features": {
            "columns": NUM_FREE,
            "content": "0..17 Bark cepstrum, 18 pitch [octaves], 19 frame correlation",
            "pitch_range": [PITCH_MIN, PITCH_MAX],
            "correlation_range": [CORRELATION_MIN, CORRELATION_MAX],
            "normalisation": "inside the graphs: (rows of the speech image - mean) / scale",
            "mean": codec.image.mean.tolist(),
            "scale": codec.image.scale.tolist(),
        },
        "vocoder": {
            "lookahead_frames": LOOKAHEAD_FRAMES,
            "preemphasis": PREEMPHASIS,
            "deemphasis": "inside the graph: out[n] = s[n] + preemphasis * out[n-1]",
            "cut_samples": FRAME // 2,
            "flush_rows": 1 + LOOKAHEAD_FRAMES,
            "priming": PRIMING,
        },
        "steps": {name: {**_signature(step), "files": files[name]} for name, step in steps.items()},
        "weights": weights,
    }


def _signature(step: Step) -> dict[str, Any]:
    """Inputs, outputs and states of one step."""
    return {
        "inputs": [_described(port) for port in step.inputs],
        "outputs": [_described(port) for port in step.outputs],
        "states": [
            {"input": port.name, "output": NEW_STATE + port.name, **_described(port), "initial": 0}
            for port in step.states
        ],
    }


def _described(port: Port) -> dict[str, Any]:
    dtype = str(port.dtype).removeprefix("torch.")
    return {"name": port.name, "shape": list(port.shape), "dtype": dtype, "meaning": port.meaning}
