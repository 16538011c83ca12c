"""One bit per latent dimension: thresholds at zero, with a gradient for training.

Latents are real and ordered; the bit of a dimension is b = +1 where z >= 0 and -1 elsewhere, always, whatever the
kind. Nothing of a batch, a clip or a running average enters it. For training the d latents of a token are scaled to
u = sqrt(d) z / |z| (:func:`on_sphere`), which changes no bit: without it gradients through a threshold let latents grow
without bound (docs/experiments.md). The kinds differ in training alone:

=============  ===========================  ========================================================================
kind           forward in training          gradient
=============  ===========================  ========================================================================
``sign``       the bit                      db/du = 1 - tanh(u)^2: straight through a saturating curve
``tanh``       tanh(k u), k rises by step   its own; k goes from 1 to 10, so that the values become bits
``spherical``  the bit                      db/du = 1: the code point sign(u) / sqrt(d) of binary spherical
                                            quantisation, straight through, scaled to +1 and -1
=============  ===========================  ========================================================================

Sources: Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients through stochastic neurons"
(arXiv:1308.3432); Z. Cao et al., "HashNet: deep learning to hash by continuation" (ICCV 2017, arXiv:1702.00758);
Y. Zhao, Y. Xiong, P. Kraehenbuehl, "Image and video tokenization with binary spherical quantization"
(arXiv:2406.07548).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.errors import AetherError

HashKind = Literal["sign", "tanh", "spherical"]
KINDS: tuple[HashKind, ...] = get_args(HashKind)

FIRST_SHARPNESS = 1.0  # k at step 0
LAST_SHARPNESS = 10.0  # k once annealed: tanh(10 z) is a bit within 1 % for |z| > 0.27


def checked_kind(kind: str) -> HashKind:
    """The kind itself; an unknown one is a stated error."""
    for known in KINDS:
        if kind == known:
            return known
    raise AetherError(f"hash kind must be one of {', '.join(KINDS)}, not {kind!r}")


def sharpness_at(step: int, anneal_steps: int) -> float:
    """k of the ``tanh`` kind at a step: a geometric rise over ``anneal_steps`` steps, then constant."""
    progress = min(step / anneal_steps, 1.0) if anneal_steps > 0 else 1.0
    return float(FIRST_SHARPNESS * (LAST_SHARPNESS / FIRST_SHARPNESS) ** progress)


class HashBottleneck(nn.Module):
    """Scaled latents to bits; has no weights.

    Args:
        kind: gradient of training, one of :data:`KINDS`.

    Attributes:
        sharpness: k of the ``tanh`` kind; set by the trainer (:func:`sharpness_at`), without effect on any other kind.
    """

    def __init__(self, kind: HashKind = "sign") -> None:
        super().__init__()
        self.kind = checked_kind(kind)
        self.sharpness = LAST_SHARPNESS

    def forward(self, latents: Tensor) -> Tensor:
        """Bits ``[..., d]``, +1 or -1, of latents ``[..., d]``.

        In training mode they carry the gradient of the kind, and the kind ``tanh`` gives values between -1 and 1.
        """
        if not self.training:
            return signs(latents)
        if self.kind == "tanh":
            return torch.tanh(self.sharpness * latents)
        smooth = torch.tanh(latents) if self.kind == "sign" else latents
        return signs(latents) + (smooth - smooth.detach())


def on_sphere(latents: Tensor) -> Tensor:
    """Latents ``[..., d]`` scaled to a mean square of 1 in every token: ``sqrt(d) z / |z|``, zero for zero."""
    return math.sqrt(latents.shape[-1]) * F.normalize(latents, dim=-1)


def signs(latents: Tensor) -> Tensor:
    """+1 where a latent is at least 0, -1 elsewhere; no gradient."""
    one = torch.ones((), dtype=latents.dtype, device=latents.device)
    return torch.where(latents.detach() >= 0, one, -one)
