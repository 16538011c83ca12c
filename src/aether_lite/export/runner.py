"""Running an exported step with onnxruntime; the receiver example does the same without this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.export.graph import NEW_STATE
from aether_lite.export.packages import onnxruntime

MANIFEST = "manifest.json"
FORMAT = "aether-lite onnx 1"

Array = NDArray[Any]


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an exported folder.

    Raises:
        AetherError: there is none, or it is of another format.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AetherError(
            f"{path}: no manifest of exported graphs can be read; make one with aether-lite export"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise AetherError(f"{path}: not a manifest of exported graphs (format {FORMAT!r})")
    return manifest


def session(model: str | Path | bytes) -> Any:
    """An ``onnxruntime.InferenceSession`` on one core of the CPU: the products are too small to share."""
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model if isinstance(model, bytes) else str(model), options)


class OnnxStep:
    """One exported graph and its state.

    Args:
        session: from :func:`session`.
        outputs: names of the outputs that are no states.

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
        """The step ``encoder``, ``decoder`` or ``vocoder`` of an exported folder.

        Args:
            precision: ``float32``, or ``int8`` where it was exported.

        Raises:
            AetherError: no such step or precision in the manifest.
        """
        steps = read_manifest(folder)["steps"]
        files = steps.get(name, {}).get("files", {})
        if precision not in files:
            raise AetherError(f"{Path(folder) / MANIFEST}: no {name} in {precision}; steps: {', '.join(steps)}")
        outputs = [port["name"] for port in steps[name]["outputs"]]
        return cls(session(Path(folder) / files[precision]["name"]), outputs)

    def reset(self) -> None:
        """Forget everything."""
        self.state: dict[str, Array] = {name: np.zeros(self.shapes[name], self._dtypes[name]) for name in self._states}

    def __call__(self, **inputs: ArrayLike) -> list[Array]:
        """The outputs for these inputs (shapes and meanings: manifest); the state moves on."""
        fed: dict[str, Array] = {name: np.asarray(value, self._dtypes[name]) for name, value in inputs.items()}
        results = self._session.run(self._wanted, {**fed, **self.state})
        self.state = dict(zip(self._states, results[len(self._outputs) :], strict=True))
        return list(results[: len(self._outputs)])
