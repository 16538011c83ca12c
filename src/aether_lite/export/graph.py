"""From a step to an ONNX graph.

ONNX Runtime computes with real numbers only. The exporter already writes complex products, sums, conjugates and
views as real ones; the two operations it lacks are rewritten here, in the exported program.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from aether_lite.export.steps import Step

OPSET = 18  # ONNX operator set: onnxruntime 1.14 and later
NEW_STATE = "new_"  # prefix of a state's name where it comes out


def to_onnx(step: Step) -> Any:
    """The step as an ``onnx.ModelProto``: one self-contained graph of fixed shapes.

    Inputs are the step's inputs and states, outputs its outputs and its states under ``new_NAME``. Nothing of the
    machine that exports (paths, stack traces) is kept.
    """
    ports = (*step.inputs, *step.states)
    outputs = [port.name for port in step.outputs] + [NEW_STATE + port.name for port in step.states]
    with _quiet(), torch.no_grad():
        exported = torch.export.export(step, tuple(port.zeros() for port in ports), strict=False)
        exported = exported.run_decompositions(
            {
                torch.ops.aten.where.self: _complex_where,
                torch.ops.aten.zeros.default: _complex_zeros,
                torch.ops.aten.gru.input: torch.export.default_decompositions()[torch.ops.aten.gru.input],
            }
        )
        program = torch.onnx.export(
            exported,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[port.name for port in ports],
            output_names=outputs,
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    return model


def _complex_where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """``torch.where`` of complex tensors by their real and imaginary parts."""
    if not (yes.is_complex() and no.is_complex()):
        return cast(Tensor, NotImplemented)  # the exporter's own rule applies
    parts = torch.where(condition[..., None], torch.view_as_real(yes), torch.view_as_real(no))
    return torch.view_as_complex(parts)


def _complex_zeros(size: Sequence[int], *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """Complex zeros by their real and imaginary parts."""
    if dtype is None or not dtype.is_complex:
        return cast(Tensor, NotImplemented)  # the exporter's own rule applies
    return torch.view_as_complex(torch.zeros(*size, 2, dtype=dtype.to_real()))


def _forget_origin(model: Any) -> None:
    """Delete notes that name files and lines of the exporting machine."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages it can do without and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "The tensor attributes", UserWarning)  # nn.GRU's list of its weights
            yield
    finally:
        logger.setLevel(level)
