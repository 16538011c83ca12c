"""ONNX graphs of steps, in float32 or with int8 weights.

ONNX Runtime computes with real numbers only. The exporter already writes complex products, sums, conjugates and
views as real ones; the two operations it lacks are rewritten here, in the exported program.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from aether_lite.export.runner import NEW_STATE
from aether_lite.export.steps import Step
from aether_lite.optional import disable_onnxruntime_telemetry

OPSET = 18  # ONNX operator set: onnxruntime 1.14 and later
MIN_INPUTS, MIN_OUTPUTS = 32, 64  # a smaller matrix stays in float32


def to_onnx(step: Step) -> Any:
    """The step as an ``onnx.ModelProto``: one self-contained graph of fixed shapes.

    Inputs are the step's inputs and states, outputs its outputs and its states under ``new_NAME``. No path or stack
    trace of the exporting machine is kept.
    """
    ports = (*step.inputs, *step.states)
    outputs = [port.name for port in step.outputs] + [NEW_STATE + port.name for port in step.states]
    with _quiet(), torch.no_grad():
        exported = torch.export.export(step, tuple(port.zeros() for port in ports), strict=False)
        aten = torch.ops.aten
        rules = {aten.where.self: _complex_where, aten.zeros.default: _complex_zeros}
        gru = {aten.gru.input: torch.export.default_decompositions()[aten.gru.input]}
        exported = exported.run_decompositions({**rules, **gru})
        names = [port.name for port in ports]
        program = torch.onnx.export(
            exported, dynamo=True, verbose=False, opset_version=OPSET, input_names=names, output_names=outputs
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    return model


def _complex_where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    if not (yes.is_complex() and no.is_complex()):
        return cast(Tensor, NotImplemented)  # the exporter's own rule applies
    parts = torch.where(condition[..., None], torch.view_as_real(yes), torch.view_as_real(no))
    return torch.view_as_complex(parts)


def _complex_zeros(size: Sequence[int], *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
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
    """Without the exporter's warnings of packages it can do without and of its own deprecations."""
    with _errors_only(logging.getLogger("torch.onnx")), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "The tensor attributes", UserWarning)  # nn.GRU's list of its weights
        yield


@contextmanager
def _errors_only(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def quantise(source: Path, destination: Path) -> None:
    """Write the int8 variant of the float32 graph ``source``: onnxruntime's dynamic quantisation of the matrices.

    Each output's column of a weight matrix becomes 8-bit numbers with a scale of its own; activations are quantised at
    run time with one scale for each vector. Convolutions, embeddings and everything else stay in float32, and so do
    products too small to gain anything, among them the transforms that make the final features and samples, and the
    de-emphasis: the error of what is quantised last reaches the output directly. Full 8-bit unsigned weights: signed
    ones would need one bit less where a processor adds products of bytes in 16 bits (x86 before VNNI).
    """
    import onnx

    disable_onnxruntime_telemetry()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    gemm_to_matmul(model)
    with _errors_only(logging.root):  # it advises, on the root logger, to run its preprocessing
        quantize_dynamic(
            model, destination, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8, per_channel=True,
            nodes_to_exclude=_kept_in_float(model), extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )  # fmt: skip


def _kept_in_float(model: Any) -> list[str]:
    """Names of the products that are not quantised; the de-emphasis is known by its triangular matrix."""
    from onnx import numpy_helper

    matrices = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        matrix = matrices.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None:
            continue
        small = matrix.shape[0] < MIN_INPUTS or matrix.shape[1] < MIN_OUTPUTS
        if small or np.array_equal(matrix, np.triu(matrix)):
            kept.append(node.name)
    return kept


def gemm_to_matmul(model: Any) -> None:
    """Turn ``Gemm`` with constant weights into ``MatMul`` (and ``Add``), in place.

    onnxruntime's quantiser would transpose weights anew for each node, and the vocoder's four sub-frames share theirs.
    """
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    transposed: dict[str, Any] = {}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in weights:
            nodes.append(node)
            continue
        options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0 or options.get("transA", 0):
            raise ValueError(f"{node.name}: a scaled or transposed product was not expected")
        name = node.input[1]
        if options.get("transB", 0):
            if name not in transposed:
                matrix = np.ascontiguousarray(numpy_helper.to_array(weights[name]).T)
                transposed[name] = numpy_helper.from_array(matrix, f"{name}.T")
            name = transposed[name].name
        biased = len(node.input) == 3
        product = f"{node.output[0]}_product" if biased else node.output[0]
        nodes.append(helper.make_node("MatMul", [node.input[0], name], [product], f"{node.name}_product"))
        if biased:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]], node.name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(transposed.values())
    still_read = {name for node in nodes for name in node.input}
    for name in transposed:
        if name not in still_read:
            model.graph.initializer.remove(weights[name])
