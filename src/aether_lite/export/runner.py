"""Exported graphs in onnxruntime, step by step or a whole clip; a receiver can do the same without this package."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, Float32
from aether_lite.optional import disable_onnxruntime_telemetry, require_packages
from aether_lite.reading import inside, read_json, reading
from aether_lite.vocoder.fargan import LOOKAHEAD_FRAMES

EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the last one checks what was exported
MANIFEST = "manifest.json"
FORMAT, MANIFEST_KIND = "aether-lite onnx 1", "a manifest of exported graphs"
NEW_STATE = "new_"  # prefix of a state's name where it comes out

Array = NDArray[Any]
Complex64 = NDArray[np.complex64]


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an exported folder; AetherError where there is none, or one of another format."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise AetherError(f"{path}: no manifest of exported graphs can be read; make one with aether-lite export")
    manifest = read_json(path, MANIFEST_KIND)
    if manifest.get("format") != FORMAT:
        raise AetherError(f"{path}: not {MANIFEST_KIND} (format {FORMAT!r})")
    return manifest


def session(model: str | Path | bytes) -> Any:
    """An ``onnxruntime.InferenceSession`` on one core: the products are too small to share."""
    require_packages("running exported graphs", ("onnxruntime",), "onnx")
    disable_onnxruntime_telemetry()
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model if isinstance(model, bytes) else Path(model).read_bytes(), options)


class OnnxStep:
    """One exported graph (a :func:`session`; the ``outputs`` that are no states) and its state.

    Example:
        decoder = OnnxStep.load("exported", "decoder")
        (features,) = decoder(received=..., rate=[1000], gain=..., noise_variance=[0.1], erased=[False])
    """

    def __init__(self, session: Any, outputs: list[str]) -> None:
        self._session = session
        self._outputs = outputs
        names = {port.name for port in session.get_outputs()}
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
        self._dtypes = {port.name: kinds[port.type] for port in session.get_inputs()}
        self.shapes = {port.name: tuple(port.shape) for port in session.get_inputs()}
        self._states = [name for name in self._dtypes if NEW_STATE + name in names]
        self._wanted = outputs + [NEW_STATE + name for name in self._states]
        self.reset()

    @classmethod
    def load(cls, folder: str | Path, name: str, precision: str = "float32") -> OnnxStep:
        """The step ``encoder``, ``decoder`` or ``vocoder`` of a folder, in ``float32`` or, if exported, ``int8``."""
        path = Path(folder) / MANIFEST
        steps: Any = read_manifest(folder).get("steps")
        with reading(path, MANIFEST_KIND):
            files = steps.get(name, {}).get("files", {})
            if precision not in files:
                raise AetherError(f"{path}: no {name} in {precision}; steps: {', '.join(steps)}")
            outputs = [str(port["name"]) for port in steps[name]["outputs"]]
            graph = inside(Path(folder), files[precision]["name"])
        with reading(graph, "a graph of aether-lite export"):
            return cls(session(graph), outputs)

    def reset(self) -> None:
        self.state: dict[str, Array] = {name: np.zeros(self.shapes[name], self._dtypes[name]) for name in self._states}

    def __call__(self, **inputs: ArrayLike) -> list[Array]:
        """The outputs for these inputs (shapes and meanings: manifest); the state moves on."""
        fed: dict[str, Array] = {name: np.asarray(value, self._dtypes[name]) for name, value in inputs.items()}
        results = self._session.run(self._wanted, {**fed, **self.state})
        self.state = dict(zip(self._states, results[len(self._outputs) :], strict=True))
        return list(results[: len(self._outputs)])


def encode_clip(encoder: OnnxStep, features: Float32, rate: int, uses: int, target_snr_db: float = np.nan) -> Complex64:
    """Symbols ``[K, uses]`` of ``features [8 K, 20]``, from the start of a stream.

    Args:
        rate, uses: channel uses per second and in a token, ``uses_per_token`` of the manifest.
        target_snr_db: Es/N0 the link is designed for [dB]; NaN encodes blind.
    """
    encoder.reset()
    tokens = features.reshape(-1, *encoder.shapes["features"])
    sent = [encoder(features=token, rate=[rate], target_snr_db=[target_snr_db])[0][:uses] for token in tokens]
    return np.stack(sent).view(np.complex64)[..., 0]


def decode_clip(
    decoder: OnnxStep,
    received: Complex64,
    rate: int,
    gain: Complex64 | None = None,
    noise_variance: Float32 | None = None,
    erased: NDArray[np.bool_] | None = None,
    lookahead: int = 0,
) -> Float32:
    """Features ``[F, 20]`` of K whole tokens of symbols ``received [K, n]``, from the start of a stream.

    Args:
        rate: channel uses per second.
        gain: ``[K, n]``, estimates of the symbols' gains; None for no CSI.
        noise_variance: ``[K]``, estimates of N0; None (or NaN) for no CSI.
        erased: ``[K]``, lost tokens.
        lookahead: tokens that the decoder waits for, ``lookahead_tokens`` of the manifest.
    """
    decoder.reset()
    sent, uses = received.shape
    count = sent + lookahead  # lost ones behind the last
    places = decoder.shapes["received"][0]
    values, gains = np.zeros((count, places), np.complex64), np.full((count, places), np.nan, np.complex64)
    values[:sent, :uses] = received
    if gain is not None:
        gains[:sent, :uses] = gain
    noise, lost = np.full(count, np.nan, np.float32), np.ones(count, np.bool_)
    noise[:sent] = np.nan if noise_variance is None else noise_variance
    lost[:sent] = False if erased is None else erased
    pairs = (part.view(np.float32).reshape(count, places, 2) for part in (values, gains))
    rows = [
        decoder(received=symbols, rate=[rate], gain=gains_of_token, noise_variance=[variance], erased=[is_lost])[0]
        for symbols, gains_of_token, variance, is_lost in zip(*pairs, noise, lost, strict=True)
    ]
    return np.concatenate(rows[lookahead:])


def speak_clip(vocoder: OnnxStep, rows: Float32) -> Float32:
    """Speech ``[160 F]`` in -1..1 of feature rows ``[F, 20]``, aligned with the speech they describe."""
    vocoder.reset()
    vocoder(row=rows[0], audible=[0])
    flushed = np.concatenate((rows[1:], np.repeat(rows[-1:], 1 + LOOKAHEAD_FRAMES, axis=0)))
    speech = np.concatenate([vocoder(row=row, audible=[1])[0] for row in flushed])
    return speech[FRAME // 2 : -(FRAME // 2)]
