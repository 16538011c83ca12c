"""Multiply-accumulates, counted from the matrix products and convolutions that a network runs.

Every product that reaches torch is counted with its real shapes, so those of a GRU count and those written without a
module too. Additions, activations and gathering are not counted, as is the custom.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

FLOPS_PER_MAC = 2


def count_macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of one call of ``run``."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // FLOPS_PER_MAC


def count_parameters(*modules: nn.Module) -> int:
    """Trainable numbers of modules; shared ones count once."""
    return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())
