"""Element-wise functions, free of calls and branches so that loops over them become vector code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from aether_lite.native.compiling import compiled
from aether_lite.native.matrices import ACTIVATION_STEPS

INT32 = ir.IntType(32)
ROUNDING = np.float32(1.5 * 2**23)  # added to a small float32, leaves its nearest integer in the lowest bits
LOG2_E = np.float32(math.log2(math.e))
LN_2_HIGH = np.float32(0.693359375)  # 9 bits: its product with an exponent is exact
LN_2_LOW = np.float32(math.log(2) - 0.693359375)
C2, C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))  # Taylor series of exp
LARGEST = np.float32(80)  # |x| of exp, far from overflow; sigmoid and tanh are constant long before
EXP_ERROR = 2e-7  # relative
ERROR = 2e-7  # of sigmoid and tanh; absolute
ONE, TWO = np.float32(1), np.float32(2)
STEPS = np.float32(ACTIVATION_STEPS)


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_two(_: Any, shifted: Any) -> Any:
    """``2^n`` from ``n + ROUNDING``."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        exponent = b.shl(b.bitcast(arguments[0], INT32), ir.Constant(INT32, 23))
        return b.bitcast(b.add(exponent, ir.Constant(INT32, 127 << 23)), ir.FloatType())

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


def as_input(row: Any, value: Any) -> Any:
    """``value``, in [-1, 1], as ``row`` stores the inputs of a product (in kernels see :func:`_as_input`)."""
    return np.int16(np.rint(value * STEPS)) if row.dtype == np.int16 else value


@overload(as_input)  # type: ignore[untyped-decorator]
def _as_input(row, value):  # type: ignore[no-untyped-def]
    """Numba cannot choose by a run-time value between two types; here the type of ``row`` is known."""
    if row.dtype == types.int16:
        return lambda row, value: np.int16(np.rint(value * STEPS))
    return lambda row, value: value
