"""Building blocks of the numba kernels: compilation and its cache, activations, products of packed matrices.

A product is one pass over memory: an input against four vectors of weights at a time, laid out as
:mod:`aether_lite.native` says. :func:`_panel` writes that loop as vectors of 8 in LLVM's language, from
which LLVM makes the instructions of the machine at hand. Additions follow the order of the inputs whatever the number
of streams side by side, so the samples of a stream do not depend on the others.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aether_lite.environment import load_numba
from aether_lite.native import PANEL

load_numba()
import numba  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba import types  # noqa: E402
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator  # noqa: E402
from numba.extending import intrinsic  # noqa: E402

OPTIONS = {
    "nogil": True,  # threads work side by side
    "fastmath": {"contract"},  # a multiplication and an addition may become one instruction
    "error_model": "numpy",  # no check for division by zero, which would keep loops from becoming vector code
}
ROUNDING = np.float32(1.5 * 2**23)  # added to a small float32, leaves its nearest integer in the lowest bits
LOG2_E = np.float32(math.log2(math.e))
LN_2_HIGH = np.float32(0.693359375)  # 9 bits: its product with an exponent is exact
LN_2_LOW = np.float32(math.log(2) - 0.693359375)
C2, C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))  # Taylor series of exp
LARGEST = np.float32(80)  # |x| of exp, far from overflow; sigmoid and tanh are constant long before
EXP_ERROR = 2e-7  # relative
ERROR = 2e-7  # of sigmoid and tanh; absolute
ONE, TWO = np.float32(1), np.float32(2)
LANES = 8  # numbers in a vector; LLVM splits or joins them to the registers of the machine
VECTORS = PANEL // LANES
INT32, INT64, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS = ir.VectorType(FLOAT, LANES)


def compiled(function: Callable[..., Any]) -> Any:
    """``numba.njit`` as this package uses it."""
    return numba.njit(**OPTIONS)(function)


@intrinsic  # type: ignore[untyped-decorator]
def called(_: Any) -> Any:
    """Placed in a function: LLVM calls it and never copies it into its callers. Copies cost many seconds."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


class _InOwnFolder(CompileResultCacheImpl):  # type: ignore[misc]
    """numba's files of compiled code in the folder of :func:`~aether_lite.environment.load_numba`, nowhere else."""

    _locator_classes = (UserProvidedCacheLocator,)


UNREADABLE = (
    OSError, EOFError, pickle.UnpicklingError, ArithmeticError, AttributeError, ImportError, LookupError, MemoryError,
    TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged file of pickled code raises."""


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache of compiled code; what cannot be read there (cut) or written (disk full) is compiled again."""

    _impl_class = _InOwnFolder

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except UNREADABLE:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(*UNREADABLE):  # it reads the index first
            super().save_overload(sig, data)


def cached(*constants: ModuleType) -> Callable[[Callable[..., Any]], Any]:
    """:func:`compiled` for an outermost function, kept on disk.

    That is in ``NUMBA_CACHE_DIR`` or the user's cache (:func:`~aether_lite.environment.cache_folder`); where neither
    can be written the function is compiled once in every process. numba notices changes of one file only, so the name
    of what is kept holds a digest of all sources it depends on: this package and the modules ``constants``.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        sources = [*sorted(Path(__file__).parent.glob("*.py")), *(Path(str(module.__file__)) for module in constants)]
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
        function.__qualname__ = f"{function.__qualname__}_{digest[:12]}"
        dispatcher = compiled(function)
        with suppress(RuntimeError):  # no folder to write
            dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_two(_: Any, shifted: Any) -> Any:
    """``2^n`` from ``n + ROUNDING``."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        exponent = b.shl(b.bitcast(arguments[0], INT32), ir.Constant(INT32, 23))
        return b.bitcast(b.add(exponent, ir.Constant(INT32, 127 << 23)), FLOAT)

    return types.float32(types.float32), codegen


@compiled
def exp(x):  # type: ignore[no-untyped-def]
    """float32, with a relative error below :data:`EXP_ERROR`; x is limited to +-80."""
    x = min(max(x, -LARGEST), LARGEST)
    shifted = x * LOG2_E + ROUNDING
    n = shifted - ROUNDING
    r = (x - n * LN_2_HIGH) - n * LN_2_LOW
    series = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
    return series * _power_of_two(shifted)


@compiled
def sigmoid(x):  # type: ignore[no-untyped-def]
    return ONE / (ONE + exp(-x))


@compiled
def tanh(x):  # type: ignore[no-untyped-def]
    return ONE - TWO / (ONE + exp(TWO * x))


@compiled
def clip(x):  # type: ignore[no-untyped-def]
    return min(max(x, -ONE), ONE)


def _load(b: Any, pointer: Any, alignment: int) -> Any:
    value = b.load(pointer)
    value.align = alignment
    return value


def _emit_sums(b: Any, panel: Any, sources: list[Any], inputs: Any) -> list[list[Any]]:
    """The loop over inputs: ``VECTORS`` sums for each stream, whose inputs start at ``sources``."""
    before, loop, after = b.block, b.append_basic_block("inputs"), b.append_basic_block("summed")
    b.branch(loop)
    b.position_at_end(loop)
    step = b.phi(INT64)
    step.add_incoming(ir.Constant(INT64, 0), before)
    totals = [[b.phi(FLOATS) for _ in range(VECTORS)] for _ in sources]
    first = b.mul(step, ir.Constant(INT64, VECTORS))
    weights = [_load(b, b.gep(panel, [b.add(first, ir.Constant(INT64, v))]), 1) for v in range(VECTORS)]
    nothing, everywhere = ir.Constant(FLOATS, ir.Undefined), ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES)
    updated = []
    for source, row in zip(sources, totals, strict=True):
        x = b.insert_element(nothing, _load(b, b.gep(source, [step]), 4), ir.Constant(INT32, 0))
        x = b.shuffle_vector(x, nothing, everywhere)
        products = [b.fmul(w, x, flags=("contract",)) for w in weights]
        updated.append([b.fadd(total, p, flags=("contract",)) for total, p in zip(row, products, strict=True)])
    following = b.add(step, ir.Constant(INT64, 1))
    step.add_incoming(following, loop)
    for row, new_row in zip(totals, updated, strict=True):
        for total, new in zip(row, new_row, strict=True):
            total.add_incoming(ir.Constant(FLOATS, None), before)
            total.add_incoming(new, loop)
    b.cbranch(b.icmp_signed("<", following, inputs), loop, after)
    b.position_at_end(after)
    return updated


@intrinsic  # type: ignore[untyped-decorator]
def _panel(_, weights, at, x, x_at, y, y_at, inputs, streams):  # type: ignore[no-untyped-def]
    """32 outputs ``y[s, y_at : y_at + 32]`` from ``x[s, x_at : x_at + inputs]`` for every entry s of ``streams``."""
    signature = types.void(weights, at, x, x_at, y, y_at, inputs, streams)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        def view(number: int) -> Any:
            return context.make_array(signature.args[number])(context, b, arguments[number])

        def starts(number: int, kind: Any) -> list[Any]:
            """Of the rows of a two-dimensional array, from the column that follows it in the arguments on."""
            rows = view(number)
            length = b.extract_value(rows.shape, 1)
            places = [b.add(arguments[number + 1], b.mul(length, ir.Constant(INT64, s))) for s in range(streams.count)]
            return [b.bitcast(b.gep(rows.data, [place]), kind.as_pointer()) for place in places]

        panel = b.bitcast(b.gep(view(0).data, [arguments[1]]), FLOATS.as_pointer())
        results = _emit_sums(b, panel, starts(2, FLOAT), arguments[6])
        for target, totals in zip(starts(4, FLOATS), results, strict=True):
            for v, total in enumerate(totals):
                b.store(total, b.gep(target, [ir.Constant(INT64, v)])).align = 4
        return context.get_dummy_value()

    return signature, codegen


@compiled
def product(weights, places, layer, x, x_at, y, y_at, streams):  # type: ignore[no-untyped-def]
    """``y[s, y_at : y_at + outputs] = W x[s, x_at : x_at + inputs]`` for every entry s of the tuple ``streams``.

    Padded outputs are written too: ``y`` needs room for them.
    """
    called()
    at, inputs, outputs = places[layer, 0], places[layer, 2], places[layer, 3]
    for output in range(0, outputs, PANEL):
        _panel(weights, at, x, x_at, y, y_at + output, inputs, streams)
        at += inputs * PANEL
