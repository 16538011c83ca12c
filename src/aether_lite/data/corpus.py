"""Training data: crops of the pairs below one or more data roots.

Nothing is loaded ahead: a crop is read from its place in the file, so memory does not grow with the hours of speech.

Sampling has no state. The crops of step s are a function of (seed, step, item), so a resumed run and a run on any
number of processes see the same items.

A crop is a random place of one clip; where that clip is shorter, more clips follow until the crop is full: random ones,
or those that come next in name order, which often have the same voice. Features alone are then just put in a row. With
audio, the pieces are joined with fades of 5 ms and the features computed anew from the joined audio, so that both agree
at the joints too.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.data.augment import Augmentation, Change
from aether_lite.data.pairs import Clip, common_kind, find_clips, read_frames, read_speech
from aether_lite.data.sources import share_of
from aether_lite.errors import AetherError
from aether_lite.features import PcmKind, extract_features
from aether_lite.features.layout import FRAME, NUM_FREE, Float32

__all__ = ["Clip", "Corpus", "find_clips", "read_frames"]

CONTEXT_BEFORE = 16  # frames read ahead of a crop to be augmented: the pitch track has then forgotten its start
CONTEXT_AFTER = 4  # frames read behind it; a row looks 20 ms ahead
FADE = 80  # samples (5 ms) at each side of a joint
_ITEM_STREAM = 0xA37E  # separates this random stream from others of the same seed


class Corpus:
    """The clips below one or more data roots.

    Args:
        roots: folders, each with pairs, or variants (features alone), anywhere below it.
        weights: relative share of each root in the samples; by default its hours. A root of weight 0 is not read.
        augmentation: changes to make to a share of the crops; none by default.
        consecutive: a crop longer than its clip goes on with the clips behind it in name order, instead of random ones.

    Raises:
        AetherError: no data, a file without its partner, lengths that differ, or unusable weights.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        weights: Sequence[float] | None = None,
        augmentation: Augmentation | None = None,
        *,
        consecutive: bool = False,
    ) -> None:
        _check_weights(roots, weights)
        if weights is not None:
            kept = [(root, weight) for root, weight in zip(roots, weights, strict=True) if weight > 0]
            roots, weights = zip(*kept, strict=True)
        self.roots, self.augmentation, self.consecutive = list(roots), augmentation, consecutive
        self.clips: list[Clip] = []
        self._root: list[int] = []  # index of each clip's root
        self._kinds: list[PcmKind] | None = None
        share: list[float] = []
        for index, root in enumerate(roots):
            clips = find_clips(root)
            hours = sum(clip.frames for clip in clips)
            factor = 1.0 if weights is None else weights[index] / hours
            self.clips += clips
            self._root += [index] * len(clips)
            share += [factor * clip.frames for clip in clips]
        self._share = np.array(share)
        self._cumulative = np.cumsum(self._share) / self._share.sum()
        if augmentation is not None:
            _ = self.kinds  # a wrong pair is to be an error now, not at some step

    def split(self, share: float) -> tuple[Corpus, Corpus]:
        """Two corpora without a common file: most of the clips, and about ``share`` of them (at least one).

        Which clip goes where is decided by a hash of its file name, so that more data move none to the other side.

        Raises:
            AetherError: there is only one clip.
        """
        if len(self.clips) < 2:
            raise AetherError(f"{self.clips[0].path}: is the only clip; give validation data of its own, or more clips")
        digests = np.array([share_of(clip.path.stem) for clip in self.clips])
        held = digests < share
        held[np.argmin(digests)] = True
        held[np.argmax(digests)] = False
        return self._part(np.flatnonzero(~held)), self._part(np.flatnonzero(held))

    def _part(self, chosen: NDArray[np.int64]) -> Corpus:
        part = copy.copy(self)
        part._kinds = self.kinds if all(clip.pcm is not None for clip in self.clips) else None
        part.clips = [self.clips[i] for i in chosen]
        part._root = [self._root[i] for i in chosen]
        part._share = self._share[chosen]
        part._cumulative = np.cumsum(part._share) / part._share.sum()
        return part

    @property
    def frames(self) -> int:
        return sum(clip.frames for clip in self.clips)

    @property
    def kinds(self) -> list[PcmKind]:
        """What the samples of each root are, found by recomputing features of a few clips when first asked.

        Ask before the first step of a run with audio, so that a wrong pair is an error then.

        Raises:
            AetherError: the samples of a clip do not belong to its features, or a root holds both kinds.
        """
        if self._kinds is None:
            located = list(zip(self.clips, self._root, strict=True))
            self._kinds = [common_kind([clip for clip, r in located if r == root]) for root in range(len(self.roots))]
        return self._kinds

    def crop(self, seed: int, step: int, item: int, frames: int) -> Tensor:
        """``[frames, 20] float32`` features: a random place of a random clip, or several short clips in a row."""
        if self._change(seed, step, item) is not None:
            return self.crop_with_audio(seed, step, item, frames)[0]
        places = self._places(seed, step, item, frames)
        pieces = [read_frames(self.clips[clip], start, length) for clip, start, length in places]
        return torch.from_numpy(np.concatenate(pieces))

    def batch(self, seed: int, step: int, items: Sequence[int], frames: int) -> Tensor:
        """``[len(items), frames, 20] float32``."""
        return torch.stack([self.crop(seed, step, item, frames) for item in items])

    def crop_with_audio(self, seed: int, step: int, item: int, frames: int) -> tuple[Tensor, Tensor]:
        """Features ``[frames, 20] float32`` and speech ``[160 frames] float32``, full scale 1.

        The places are those of :meth:`crop`. Row t is centred on sample ``160 t`` of the speech; it is made of samples
        ``[160 (t-1), 160 (t+1))``, of which row 0 has the first half before the crop.
        """
        places = self._places(seed, step, item, frames)
        change = self._change(seed, step, item)
        before = 0
        if len(places) > 1:
            speech = _joined([self._speech(*place) for place in places])
        else:
            clip, start, length = places[0]
            if change is None:
                rows = read_frames(self.clips[clip], start, length)
                return torch.from_numpy(rows), torch.from_numpy(self._speech(clip, start, length))
            before = min(CONTEXT_BEFORE, start)
            after = min(CONTEXT_AFTER, self.clips[clip].frames - start - length)
            speech = self._speech(clip, start - before, before + length + after)
        if change is not None:
            speech = change.apply(speech)
        rows = np.ascontiguousarray(extract_features(speech)[before : before + frames, :NUM_FREE])
        return torch.from_numpy(rows), torch.from_numpy(speech[before * FRAME :][: frames * FRAME].copy())

    def batch_with_audio(self, seed: int, step: int, items: Sequence[int], frames: int) -> tuple[Tensor, Tensor]:
        """Features ``[len(items), frames, 20] float32`` and speech ``[len(items), 160 frames] float32``."""
        crops = [self.crop_with_audio(seed, step, item, frames) for item in items]
        return torch.stack([rows for rows, _ in crops]), torch.stack([speech for _, speech in crops])

    def _places(self, seed: int, step: int, item: int, frames: int) -> list[tuple[int, int, int]]:
        """(clip, first frame, frames) of the pieces of a crop."""
        rng = np.random.default_rng((_ITEM_STREAM, seed, step, item))
        places: list[tuple[int, int, int]] = []
        missing = frames
        while missing > 0:
            if follows := self.consecutive and places:
                index = self._behind(places[-1][0])
            else:
                index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
            length = min(missing, self.clips[index].frames)
            start = 0 if follows else int(rng.integers(self.clips[index].frames - length + 1))
            places.append((index, start, length))
            missing -= length
        return places

    def kind_of(self, index: int) -> PcmKind:
        """What the samples of a clip are."""
        return self.kinds[self._root[index]]

    def _behind(self, index: int) -> int:
        """The clip behind this one in its root, in name order; the root's first behind its last."""
        behind = index + 1
        if behind < len(self.clips) and self._root[behind] == self._root[index]:
            return behind
        return self._root.index(self._root[index])

    def _change(self, seed: int, step: int, item: int) -> Change | None:
        return None if self.augmentation is None else self.augmentation.draw(seed, step, item)

    def _speech(self, clip: int, start: int, frames: int) -> Float32:
        return read_speech(self.clips[clip], self.kind_of(clip), start, frames)


def _joined(pieces: Sequence[Float32]) -> Float32:
    """Pieces in a row, each faded to zero towards its neighbours."""
    rise = (np.arange(FADE, dtype=np.float32) + np.float32(0.5)) / np.float32(FADE)
    joined = [piece.copy() for piece in pieces]
    for before, after in itertools.pairwise(joined):
        before[-FADE:] *= rise[::-1]
        after[:FADE] *= rise
    return np.concatenate(joined)


def _check_weights(roots: Sequence[Path], weights: Sequence[float] | None) -> None:
    if not roots:
        raise AetherError("no data: give at least one data root")
    if weights is not None and len(weights) != len(roots):
        raise AetherError(f"{len(weights)} weights for {len(roots)} data roots; give one for each")
    if weights is not None and not (all(np.isfinite(weight) and weight >= 0 for weight in weights) and any(weights)):
        raise AetherError(f"weights of data roots must be 0 or more, one above 0, not {', '.join(map(str, weights))}")
