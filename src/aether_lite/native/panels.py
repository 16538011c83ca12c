"""Products of packed matrices with one or a few vectors.

A product is one pass over memory: an input against four vectors of weights at a time, see
:mod:`aether_lite.native.matrices`. :func:`_panel` writes that loop as vectors of 8 in LLVM's language, from
which LLVM makes the instructions of the machine at hand. The order of additions is that of the inputs, whatever the
number of streams side by side, so the samples of a stream do not depend on the others.

Weights are float32 or int8. With int8 the inputs, all within +-1, are int16 in steps of 1 / 16383; products and
sums are then exact integers. What depends on the type of the weights is decided when compiling.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from aether_lite.native.compiling import called, compiled
from aether_lite.native.matrices import PANEL

LANES = 8  # numbers in a vector; LLVM splits or joins them to the registers of the machine
VECTORS = PANEL // LANES
INT32, INT64, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)


def _dot_step(b: Any, total: Any, weights: Any, x: Any) -> Any:
    """One input (float32) or a pair of inputs (int8 weights) times a vector of weights, added to ``total``."""
    if total.type == FLOATS:
        return b.fadd(total, b.fmul(weights, x, flags=("contract",)), flags=("contract",))
    pairs, wide = ir.VectorType(ir.IntType(16), 2 * LANES), ir.VectorType(INT32, 2 * LANES)
    products = b.mul(b.sext(b.sext(weights, pairs), wide), b.sext(b.bitcast(x, pairs), wide))
    every_second = [ir.Constant(INTS, [2 * i + first for i in range(LANES)]) for first in (0, 1)]
    even, odd = (b.shuffle_vector(products, products, choice) for choice in every_second)
    return b.add(total, b.add(even, odd))


def _load(b: Any, pointer: Any, alignment: int) -> Any:
    value = b.load(pointer)
    value.align = alignment
    return value


def _emit_sums(b: Any, panel: Any, sources: list[Any], steps: Any, sums: Any) -> list[list[Any]]:
    """The loop over inputs: ``VECTORS`` sums for each stream, whose inputs start at ``sources``."""
    before, loop, after = b.block, b.append_basic_block("inputs"), b.append_basic_block("summed")
    b.branch(loop)
    b.position_at_end(loop)
    step = b.phi(INT64)
    step.add_incoming(ir.Constant(INT64, 0), before)
    totals = [[b.phi(sums) for _ in range(VECTORS)] for _ in sources]
    first = b.mul(step, ir.Constant(INT64, VECTORS))
    weights = [_load(b, b.gep(panel, [b.add(first, ir.Constant(INT64, v))]), 1) for v in range(VECTORS)]
    nothing, everywhere = ir.Constant(sums, ir.Undefined), ir.Constant(INTS, [0] * LANES)
    updated = []
    for source, row in zip(sources, totals, strict=True):
        x = b.insert_element(nothing, _load(b, b.gep(source, [step]), 2), ir.Constant(INT32, 0))
        x = b.shuffle_vector(x, nothing, everywhere)
        updated.append([_dot_step(b, total, w, x) for total, w in zip(row, weights, strict=True)])
    following = b.add(step, ir.Constant(INT64, 1))
    step.add_incoming(following, loop)
    for row, new_row in zip(totals, updated, strict=True):
        for total, new in zip(row, new_row, strict=True):
            total.add_incoming(ir.Constant(sums, None), before)
            total.add_incoming(new, loop)
    b.cbranch(b.icmp_signed("<", following, steps), loop, after)
    b.position_at_end(after)
    return updated


@intrinsic  # type: ignore[untyped-decorator]
def _panel(_, weights, at, scales, scales_at, x, x_at, y, y_at, inputs, streams):  # type: ignore[no-untyped-def]
    """32 outputs ``y[s, y_at : y_at + 32]`` from ``x[s, x_at : x_at + inputs]`` for every entry s of ``streams``."""
    signature = types.void(weights, at, scales, scales_at, x, x_at, y, y_at, inputs, streams)
    exact = weights.dtype == types.float32
    stored = FLOATS if exact else ir.VectorType(ir.IntType(8), 2 * LANES)
    sums, element = (FLOATS, FLOAT) if exact else (INTS, INT32)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        def view(number: int) -> Any:
            return context.make_array(signature.args[number])(context, b, arguments[number])

        def start(number: int, kind: Any) -> Any:
            """Of a one-dimensional array, from the index that follows it on."""
            return b.bitcast(b.gep(view(number).data, [arguments[number + 1]]), kind.as_pointer())

        def starts(number: int, kind: Any) -> list[Any]:
            """Of the rows of a two-dimensional array."""
            rows = view(number)
            length = b.extract_value(rows.shape, 1)
            places = [b.add(arguments[number + 1], b.mul(length, ir.Constant(INT64, s))) for s in range(streams.count)]
            return [b.bitcast(b.gep(rows.data, [place]), kind.as_pointer()) for place in places]

        steps = arguments[8] if exact else b.lshr(arguments[8], ir.Constant(INT64, 1))
        results = _emit_sums(b, start(0, stored), starts(4, element), steps, sums)
        factors = start(2, FLOATS)
        for target, totals in zip(starts(6, FLOATS), results, strict=True):
            for v, total in enumerate(totals):
                place = [ir.Constant(INT64, v)]
                if not exact:
                    total = b.fmul(b.sitofp(total, FLOATS), _load(b, b.gep(factors, place), 4))
                b.store(total, b.gep(target, place)).align = 4
        return context.get_dummy_value()

    return signature, codegen


@compiled
def product(weights, scales, places, layer, x, x_at, y, y_at, streams):  # type: ignore[no-untyped-def]
    """``y[s, y_at : y_at + outputs] = W x[s, x_at : x_at + inputs]`` for every entry s of the tuple ``streams``.

    Padded outputs are written too: ``y`` needs room for them.
    """
    called()
    at, scales_at, inputs, outputs = places[layer, 0], places[layer, 1], places[layer, 2], places[layer, 3]
    for output in range(0, outputs, PANEL):
        _panel(weights, at, scales, scales_at + output, x, x_at, y, y_at + output, inputs, streams)
        at += inputs * PANEL
