"""Weights of a codec and a vocoder for the native core: which of their layers make which sections of a file.

Values stay those of the torch modules, so that float16 weights are stored as they are: what scales an output (weight
normalisation) is a column beside its matrix. Layers whose results are added are one matrix.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aether_lite.core.weights import Kind, Section, dense, values
from aether_lite.vocoder.fargan import FARGAN, NormedLinear

Sections = dict[str, Section]


@torch.no_grad()
def fargan_sections(model: FARGAN, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``fargan.*``, the large matrices in panels of this kind."""
    cond, net = model.cond_net, model.sig_net
    plain = {  # as small as to stay in float16 where others are int8
        "cond_in": (cond.fdense1.weight, None),
        "gain": (net.cond_gain_dense.weight, net.cond_gain_dense.bias),
        "pitch_gates": (net.gain_dense_out.weight, net.gain_dense_out.bias),
    }
    large: dict[str, Tensor | NormedLinear] = {
        "cond_conv": cond.fconv1.weight.transpose(1, 2).flatten(1),  # oldest row first
        "cond_out": cond.fdense2.weight,
        "conv": net.fwc0.conv,
        "conv_gate": net.fwc0.glu.gate,
    }
    grus = ((net.gru1, net.gru1_glu), (net.gru2, net.gru2_glu), (net.gru3, net.gru3_glu))
    for number, (gru, unit) in enumerate(grus, 1):
        large |= {
            f"gru{number}_input": gru.weight_ih,
            f"gru{number}_state": gru.weight_hh,
            f"gru{number}_gate": unit.gate,
        }
    large |= {"skip": net.skip_dense.weight, "skip_gate": net.skip_glu.gate, "out": net.sig_dense_out.weight}
    sections = {"fargan.embedding": values(_array(cond.pembed.weight))}
    for name, (weight, bias) in plain.items():
        few = Kind.PANELS_F16 if kind == Kind.PANELS_I8 else kind
        sections |= dense(f"fargan.{name}", _array(weight), None if bias is None else _array(bias), kind=few)
    for name, layer in large.items():
        if isinstance(layer, NormedLinear):
            direction = _array(layer.weight_v)
            scale = _array(layer.weight_g)[:, 0] / np.linalg.norm(direction, axis=1)
            sections |= dense(f"fargan.{name}", direction, scale=scale, kind=kind)
        else:
            sections |= dense(f"fargan.{name}", _array(layer), kind=kind)
    return sections


def _array(value: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Values in float64, in which float16 and float32 are exact."""
    return value.detach().to("cpu", torch.float64).numpy()
