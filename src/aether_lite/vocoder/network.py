"""What a vocoder is to training: a differentiable network."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn


class VocoderNetwork(nn.Module):
    """A vocoder as a differentiable network, which training uses and whose weights can be saved.

    For synthesis the native core runs its weights (:func:`~aether_lite.vocoder.synthesize`).

    Attributes:
        kind: name that files of its weights state.
        model_kwargs: it is made with.
        first_row: feature row that the first frame it makes belongs to.
        context_rows: rows it needs beyond the frames it makes.
    """

    kind: ClassVar[str]
    first_row: ClassVar[int]
    context_rows: ClassVar[int]
    model_kwargs: dict[str, Any]
