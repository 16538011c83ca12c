"""Pre-emphasis of the vocoder's targets; de-emphasis ``out[n] = s[n] + 0.85 out[n-1]`` without a loop over samples."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.features.layout import FRAME, PREEMPHASIS


def deemphasize(signal: Tensor, memory: Tensor | None = None) -> Tensor:
    """Undo the pre-emphasis of ``y[n] = x[n] - 0.85 x[n-1]``; differentiable.

    Each frame of 160 samples is a product with a triangular matrix, plus the decaying last sample of the
    frame before. What lies further back has decayed by ``0.85^160 = 5e-12``, less than float32 resolves.

    Args:
        signal: ``[B, N]``, pre-emphasised.
        memory: ``[B]``, the output sample before the first; zero without it.

    Returns:
        ``[B, N]``.
    """
    length = signal.shape[1]
    if length == 0:
        return signal
    frames = torch.unflatten(F.pad(signal, (0, -length % FRAME)), 1, (-1, FRAME))
    response, decay = _responses(signal.dtype, signal.device)
    within = frames @ response
    first = signal.new_zeros(signal.shape[0]) if memory is None else memory
    before = torch.cat((first[:, None], within[:, :-1, -1]), dim=1)
    return (within + before[..., None] * decay).flatten(1)[:, :length]


def emphasised_frames(speech: Tensor, row: int, frames: int) -> Tensor:
    """Pre-emphasised speech of the frames that belong to feature rows from ``row`` on.

    Row t's frame is ``[160 t - 80, 160 t + 80)``.

    Args:
        speech: ``[..., N]``, begins at row 0's centre. Beyond its ends there is silence.
        row: first row, at least 0.
        frames: number of frames.

    Returns:
        ``[..., 160 * frames]``.
    """
    first = row * FRAME - FRAME // 2
    before, after = max(0, 1 - first), max(0, first + frames * FRAME - speech.shape[-1])
    start = first - 1 + before
    piece = F.pad(speech, (before, after))[..., start : start + frames * FRAME + 1]
    return piece[..., 1:] - PREEMPHASIS * piece[..., :-1]


@cache
def _responses(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Effect of each sample on the frame ``[160, 160]``, and of the sample before the frame ``[160]``."""
    with torch.inference_mode(False), torch.no_grad():  # the cached tensors must serve training too
        position = torch.arange(FRAME, device=device)
        age = position - position[:, None]
        response = (PREEMPHASIS ** age.to(dtype)).triu()
        return response, PREEMPHASIS ** (position + 1).to(dtype)
