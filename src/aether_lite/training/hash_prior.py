"""Priors of a hash codec's bits: the bits of prepared speech, fits, and the size of real files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from aether_lite.codec import SpiHash
from aether_lite.container.files import read_stream
from aether_lite.container.layout import BitArray, Header, bit_array, token_bits
from aether_lite.container.prior import Prior
from aether_lite.container.streams import TokenWriter
from aether_lite.data.pairs import Clip, read_frames
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES

BATCH_FRAMES = 16_384  # encoded at a time, padding included

Progress = Callable[[int, int], None]
"""Told how much of how much is done."""


def clip_bits(model: SpiHash, clips: Sequence[Clip], progress: Progress | None = None) -> list[BitArray]:
    """Bits ``[K, n] uint8`` of every clip at the highest rate; those of a lower one are its first ones.

    Clips are encoded many at a time, so that a bit within rounding of its threshold may differ from what
    :meth:`~aether_lite.codec.hash_codec.HashCodec.encode` gives; chances do not depend on so few.
    """
    order = sorted(range(len(clips)), key=lambda index: clips[index].frames)
    frames = model.config.token_frames
    found: dict[int, BitArray] = {}
    while len(found) < len(order):
        rest = order[len(found) :]
        longest = -(-clips[rest[0]].frames // frames) * frames
        chosen = rest[: max(1, BATCH_FRAMES // longest)]
        longest = -(-clips[chosen[-1]].frames // frames) * frames
        rows = torch.stack([_padded(clips[index], longest) for index in chosen])
        sent, _ = model.encode(rows, BIT_RATES[-1])
        for index, bits in zip(chosen, bit_array(sent), strict=True):
            found[index] = bits[: -(-clips[index].frames // frames)]
        if progress is not None:
            progress(len(found), len(order))
    return [found[index] for index in range(len(clips))]


def at_rate(clips: Sequence[BitArray], bit_rate: int, token_frames: int) -> list[BitArray]:
    """The same clips at a lower rate: the first bits of every token."""
    width = token_bits(bit_rate, token_frames)
    return [np.ascontiguousarray(clip[:, :width]) for clip in clips]


@dataclass(frozen=True)
class Sizes:
    """Bytes of the same clips, one file each, everything counted.

    Attributes:
        tokens: in all clips.
        clips: their number.
        plain, coded: bytes of plain and of entropy-coded files.
        overhead: bytes of headers and trailers, the same in both.
    """

    tokens: int
    clips: int
    plain: int
    coded: int
    overhead: int

    @property
    def share(self) -> float:
        """Coded size relative to the plain one."""
        return self.coded / self.plain

    @property
    def bits_per_token(self) -> float:
        """Bits of the coded blocks, with marks and check sums, without header and trailer."""
        return 8 * (self.coded - self.overhead) / self.tokens


def file_sizes(clips: Sequence[BitArray], header: Header, prior: Prior, progress: Progress | None = None) -> Sizes:
    """Write every clip as a plain and as a coded file, read the coded one back, and count.

    Args:
        clips: ``[K, n] uint8``.
        header: of the plain files.
        prior: for its rate.
        progress: told after each clip.

    Raises:
        AetherError: the extra ``entropy`` is not installed, or a file does not give its bits back.
    """
    coded_header = header.coded(prior.identity)
    plain = coded = 0
    for done, clip in enumerate(clips, 1):
        data = _file(coded_header, clip, prior)
        back = read_stream(io.BytesIO(data), "coded clip", prior=prior)
        if not np.array_equal(back.bits, clip):
            raise AetherError(f"coded clip {done}: does not give its bits back")
        plain += len(_file(header, clip, None))
        coded += len(data)
        if progress is not None:
            progress(done, len(clips))
    empty = len(_file(header, clips[0][:0], None))
    return Sizes(sum(map(len, clips)), len(clips), plain, coded, len(clips) * empty)


def _file(header: Header, bits: BitArray, prior: Prior | None) -> bytes:
    writer = TokenWriter(header, prior)
    return writer.push(bits) + writer.finish(len(bits) * header.token_samples)


def _padded(clip: Clip, frames: int) -> torch.Tensor:
    """``[frames, 20]``: a clip's rows, its last one repeated."""
    rows = torch.from_numpy(read_frames(clip, 0, clip.frames))
    return F.pad(rows.T, (0, frames - len(rows)), mode="replicate").T
