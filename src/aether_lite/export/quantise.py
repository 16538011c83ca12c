"""int8 weights: onnxruntime's dynamic quantisation of the matrices.

Each output's column of a weight matrix becomes 8-bit numbers with a scale of its own; activations are quantised at run
time with one scale for each vector. Convolutions, embeddings and everything else stay in float32. Full 8-bit unsigned
weights: signed ones would need one bit less where a processor adds products of bytes in 16 bits (x86 before VNNI).

Some products stay in float32: those too small to gain anything, among them the transforms that make the final features
and samples, and the de-emphasis. Whatever is quantised last is heard directly.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

MIN_INPUTS, MIN_OUTPUTS = 32, 64  # a smaller matrix stays in float32


def quantise(source: Path, destination: Path) -> None:
    """Write the int8 variant of a float32 graph.

    Args:
        source: an exported graph.
        destination: where its int8 variant goes.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    gemm_to_matmul(model)
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it advises, on the root logger, to run its preprocessing
    try:
        quantize_dynamic(
            model,
            destination,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QUInt8,
            per_channel=True,
            nodes_to_exclude=_kept_in_float(model),
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.root.setLevel(level)


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

    onnxruntime's quantiser does so too, but transposes weights anew for each node, and the four sub-frames of the
    vocoder share theirs.
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
