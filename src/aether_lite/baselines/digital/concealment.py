"""What the receiver plays where blocks failed: the last good frame again, then silence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REPEATED_BLOCKS = 1
RAMP_SAMPLES = 160  # 10 ms, fade into and out of silence


def concealed(frames: NDArray[np.uint8], valid: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames with those of failed blocks replaced by the last frame of the last good block.

    Args:
        frames: ``[K, frames, bits]`` of K blocks as they were decoded.
        valid: ``[K]``, which blocks the receiver takes for good.

    Returns:
        ``[K, frames, bits]``, and ``[K] bool``: blocks to be muted, because the last good block is more than one
        block back, or none has come yet.
    """
    index = np.arange(len(valid))
    last = np.maximum.accumulate(np.where(valid, index, -1))
    held = np.broadcast_to(frames[np.maximum(last, 0), -1:], frames.shape)
    mended = np.where(valid[:, None, None], frames, held)
    return mended, (last < 0) | (index - last > REPEATED_BLOCKS)


def muted(speech: NDArray[np.float32], mute: NDArray[np.bool_], block_samples: int) -> NDArray[np.float32]:
    """Speech ``[K block_samples]`` with blocks ``mute [K]`` silent, faded over 10 ms."""
    gain = np.repeat(np.where(mute, 0.0, 1.0), block_samples)
    padded = np.pad(gain, RAMP_SAMPLES // 2, mode="edge")
    total = np.concatenate(([0.0], np.cumsum(padded)))
    smooth = (total[RAMP_SAMPLES:] - total[:-RAMP_SAMPLES])[: len(gain)] / RAMP_SAMPLES
    return (speech * smooth).astype(np.float32)
