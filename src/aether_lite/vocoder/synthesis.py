"""Speech from features: what a vocoder is, a whole file, or row by row as the features arrive.

Feature row ``t`` is centred on sample ``160 t`` and its frame covers samples ``[160 t - 80, 160 t + 80)``.
A vocoder starts from silence, primed with the first row; after the last row, that row is repeated. What sticks out at
both ends is cut, so ``F`` rows give ``160 F`` samples that line up with the analysed speech.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_ALL, NUM_FREE
from aether_lite.features.samples import as_features, own_precision

BLOCK_FRAMES = 100  # frames rendered at a time: bounds memory, costs nothing in speed


class FrameVocoder(Protocol):
    """A vocoder for synthesis, frame by frame, for B streams side by side.

    The state is explicit: a dataclass or a tuple of tensors, which the vocoder never changes in place.
    """

    @property
    def delay(self) -> int:
        """Samples from the oldest sample that comes with row ``r`` to the row's centre, at least 160.

        A receiver that gets row ``r`` at the time of its centre plays with this delay (FARGAN: 240 samples, 15 ms).
        How long after its centre a row is known is up to the analysis (160 samples for the extractor of this package).
        """

    @property
    def device(self) -> torch.device:
        """Where samples and states lie."""

    def prime(self, first_row: Tensor) -> Any:
        """State before the first frame, from the first row ``[B, 20]``, with silence for samples."""

    def render(self, rows: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One frame for each new row ``[B, n, 20]``, n >= 1, each of the row before, and the new state.

        Samples ``[B, 160 n]`` are de-emphasised, not clipped; the old state stays as it is.
        """


class VocoderNetwork(nn.Module):
    """A vocoder as a differentiable network, which training uses and whose weights can be saved.

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

    def frozen(self) -> FrameVocoder:
        """A vocoder for synthesis with the weights as they are now."""
        raise NotImplementedError


class StreamingVocoder:
    """Rows in, samples out, in pieces of any size; the pieces together equal :func:`synthesize`.

    The samples of row ``r`` end ``delay - 160`` samples before its centre; :meth:`flush` gives the last ``delay``. A
    network given for ``vocoder`` is frozen as it is now.
    """

    def __init__(self, vocoder: VocoderNetwork | FrameVocoder) -> None:
        self._vocoder = _frozen(vocoder)
        self.reset()

    def reset(self) -> None:
        """Forget everything pushed so far."""
        self._state: Any = None
        self._last: Tensor | None = None  # [B, 1, 20]
        self._cut = self._vocoder.delay - FRAME  # samples that lie before the start
        self._rows = 0
        self._single = False

    @own_precision
    @torch.inference_mode()
    def push(self, features: Tensor) -> Tensor:
        """Samples ``[m] float32`` or ``[B, m]`` in [-1, 1] that become known with new rows.

        ``features`` are ``[n, 20 or 36]``, or ``[B, n, 20 or 36]`` for B streams side by side; n may be 0. The shape
        apart from n must stay the same until :meth:`flush`. Raises AetherError for a wrong shape or a value that is not
        finite; the message counts rows from 0.
        """
        rows = _checked(features, self._rows)
        if self._last is not None and len(self._last) != len(rows):
            raise AetherError(f"features: {len(rows)} streams after {len(self._last)}; flush before changing")
        self._rows += rows.shape[1]
        pieces = [torch.zeros(len(rows), 0, device=self._vocoder.device)]
        if rows.shape[1]:
            new = rows
            if self._last is None:
                self._state, self._single, new = self._vocoder.prime(rows[:, 0]), features.ndim == 2, rows[:, 1:]
            self._last = rows[:, -1:].clone()
            pieces += [self._render(block) for block in torch.split(new, BLOCK_FRAMES, dim=1) if block.shape[1]]
        samples = torch.cat(pieces, dim=1)
        return samples[0] if features.ndim == 2 else samples

    @own_precision
    @torch.inference_mode()
    def flush(self) -> Tensor:
        """The last ``delay`` samples (none if no row came); the next :meth:`push` starts anew."""
        if self._last is None:
            return torch.zeros(0)
        samples = self._render(self._last.expand(-1, frames_behind(self._vocoder), -1))
        samples = samples[:, : samples.shape[1] - -self._vocoder.delay % FRAME]
        single = self._single
        self.reset()
        return samples[0] if single else samples

    def _render(self, rows: Tensor) -> Tensor:
        samples, self._state = self._vocoder.render(rows, self._state)
        cut = min(self._cut, samples.shape[1])
        self._cut -= cut
        return samples[:, cut:].clamp(-1.0, 1.0).to(torch.float32)


Vocoder = VocoderNetwork | FrameVocoder
Progress = Callable[[int], None]


@overload
def synthesize(features: Tensor, vocoder: Vocoder, progress: Progress | None = None) -> Tensor: ...
@overload
def synthesize(
    features: NDArray[np.floating], vocoder: Vocoder, progress: Progress | None = None
) -> NDArray[np.float32]: ...
@own_precision
def synthesize(
    features: Tensor | NDArray[np.floating], vocoder: Vocoder, progress: Progress | None = None
) -> Tensor | NDArray[np.float32]:
    """Speech from features, in memory that does not grow with the length beyond features and output.

    Args:
        features: ``[F, 20 or 36]`` or ``[B, F, 20 or 36]``, tensor or array; see
            :mod:`aether_lite.features.layout`. Items of a batch that end early are padded by repeating their
            last row; the first ``160 F_i`` samples are then those of the item alone.
        vocoder: on any device.
        progress: called after each second or so of speech with the number of rows done so far.

    Returns:
        ``[160 F] float32`` or ``[B, 160 F]`` in [-1, 1], 16 kHz, aligned with the analysed speech; an array
        for an array. A tensor lies on the vocoder's device.

    Raises:
        AetherError: wrong shape or a value that is not finite.
    """
    if not isinstance(features, Tensor):
        return synthesize(as_features(features), vocoder, progress).numpy(force=True)
    frozen = _frozen(vocoder)
    stream = StreamingVocoder(frozen)
    stream.push(features[..., :0, :] if features.ndim >= 2 else features)  # checks the shape, even of no rows
    rows = features.shape[-2]
    output = torch.empty((*features.shape[:-2], rows * FRAME), dtype=torch.float32, device=frozen.device)
    position = 0
    for start in range(0, rows, BLOCK_FRAMES):
        samples = stream.push(features[..., start : start + BLOCK_FRAMES, :])
        output[..., position : position + samples.shape[-1]] = samples
        position += samples.shape[-1]
        if progress is not None:
            progress(min(start + BLOCK_FRAMES, rows))
    if rows:
        output[..., position:] = stream.flush()
    return output


def frames_behind(vocoder: FrameVocoder) -> int:
    """Repetitions of the last row after which all samples are known: the delay in frames, rounded up."""
    return -(-vocoder.delay // FRAME)


def _frozen(vocoder: Vocoder) -> FrameVocoder:
    return vocoder.frozen() if isinstance(vocoder, VocoderNetwork) else vocoder


def _checked(features: Tensor, first_row: int) -> Tensor:
    """The 20 columns the vocoder reads, ``[B, n, 20]``; ``first_row`` is the number of row 0 in messages."""
    if features.ndim not in (2, 3) or features.shape[-1] not in (NUM_FREE, NUM_ALL):
        raise AetherError(
            f"features must have the shape [rows, {NUM_FREE} or {NUM_ALL}] or [batch, rows, ...], "
            f"not {list(features.shape)}"
        )
    batch = as_features(features, first_row)[..., :NUM_FREE]
    return batch[None] if features.ndim == 2 else batch
