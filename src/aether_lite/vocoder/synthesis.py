"""Speech from features: what a vocoder is, a whole file, or row by row as the features arrive.

Feature row ``t`` is centred on sample ``160 t`` and its frame covers samples ``[160 t - 80, 160 t + 80)``.
A vocoder starts from silence, primed with the first row; after the last row, that row is repeated. What sticks out at
both ends is cut, so ``F`` rows give ``160 F`` samples that line up with the analysed speech.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_ALL, NUM_FREE, Float32
from aether_lite.features.samples import feature_rows

if TYPE_CHECKING:
    from torch import Tensor

    from aether_lite.vocoder.network import VocoderNetwork

BLOCK_FRAMES = 100  # frames made between two reports of progress


class VocoderStream(Protocol):
    """One stream of feature rows to speech."""

    def push(self, rows: Float32) -> Float32:
        """Samples ``[m] float32`` in [-1, 1] that rows ``[n, 20]`` make known.

        The samples of row ``r`` end ``delay - 160`` samples before its centre.
        """

    def flush(self) -> Float32:
        """The last ``delay`` samples (none if no row came); the next row begins a new stream."""


class Vocoder(Protocol):
    """A vocoder for synthesis: of the released kinds the native core's (:class:`aether_lite.core.library.Model`)."""

    @property
    def delay(self) -> int:
        """Samples from the oldest sample that comes with row ``r`` to the row's centre, at least 160.

        A receiver that gets row ``r`` at the time of its centre plays with this delay (FARGAN: 240 samples, 15 ms).
        How long after its centre a row is known is up to the analysis (160 samples for the extractor of this package).
        """

    def stream(self) -> VocoderStream:
        """A new stream."""


class StreamingVocoder:
    """Rows in, samples out, in pieces of any size; the pieces together equal :func:`synthesize`.

    A network given for ``vocoder`` is taken with the weights that it has now.
    """

    def __init__(self, vocoder: VocoderNetwork | Vocoder) -> None:
        self._vocoder = frozen(vocoder)
        self.reset()

    def reset(self) -> None:
        """Forget everything pushed so far."""
        self._streams: list[VocoderStream] = []
        self._rows = 0
        self._like: Any = None  # the newest features

    @overload
    def push(self, features: Tensor) -> Tensor: ...
    @overload
    def push(self, features: NDArray[Any]) -> Float32: ...
    def push(self, features: Tensor | NDArray[Any]) -> Tensor | Float32:
        """Samples ``[m] float32`` or ``[B, m]`` in [-1, 1] that become known with new rows; a tensor for a tensor.

        ``features`` are ``[n, 20 or 36]``, or ``[B, n, 20 or 36]`` for B streams side by side; n may be 0. The shape
        apart from n must stay the same until :meth:`flush`. Raises AetherError for a wrong shape or a value that is not
        finite; the message counts rows from 0.
        """
        rows = _checked(features, self._rows)
        if self._streams and len(self._streams) != len(rows):
            raise AetherError(f"features: {len(rows)} streams after {len(self._streams)}; flush before changing")
        self._streams = self._streams or [self._vocoder.stream() for _ in rows]
        self._rows, self._like = self._rows + rows.shape[1], features
        return self._given([stream.push(item) for stream, item in zip(self._streams, rows, strict=True)])  # type: ignore[no-any-return]

    def flush(self) -> Any:
        """The last ``delay`` samples (none if no row came); the next :meth:`push` starts anew."""
        if self._like is None:
            return np.zeros(0, np.float32)
        samples = self._given([stream.flush() for stream in self._streams])
        self.reset()
        return samples

    def _given(self, pieces: list[Float32]) -> Any:
        """Samples of the streams, of the kind and shape of the features."""
        stacked = np.ndim(self._like) == 3 and pieces
        samples = np.stack(pieces) if stacked else np.concatenate([*pieces, np.zeros(0, np.float32)])
        return _alike(samples, self._like)


Progress = Callable[[int], None]


@overload
def synthesize(
    features: Tensor, vocoder: VocoderNetwork | Vocoder, progress: Progress | None = None
) -> Tensor: ...
@overload
def synthesize(
    features: ArrayLike, vocoder: VocoderNetwork | Vocoder, progress: Progress | None = None
) -> Float32: ...
def synthesize(
    features: Tensor | ArrayLike, vocoder: VocoderNetwork | Vocoder, progress: Progress | None = None
) -> Tensor | Float32:
    """Speech from features.

    Args:
        features: ``[F, 20 or 36]`` or ``[B, F, 20 or 36]``, tensor or array; see
            :mod:`aether_lite.features.layout`. Items of a batch that end early are padded by repeating their
            last row; the first ``160 F_i`` samples are then those of the item alone.
        vocoder: of :func:`~aether_lite.vocoder.load_vocoder`, or a network, which is taken as it is now.
        progress: called after each second or so of speech with the number of rows done so far.

    Returns:
        ``[160 F] float32`` or ``[B, 160 F]`` in [-1, 1], 16 kHz, aligned with the analysed speech; an array
        for an array, a tensor on its device for a tensor.

    Raises:
        AetherError: wrong shape or a value that is not finite.
    """
    rows, ready = _checked(features, 0), frozen(vocoder)
    count = rows.shape[1]
    speech = np.empty((len(rows), FRAME * count), np.float32)
    streams, made = [ready.stream() for _ in rows], 0
    for start in range(0, count, BLOCK_FRAMES):
        block = rows[:, start : start + BLOCK_FRAMES]
        pieces = [stream.push(item) for stream, item in zip(streams, block, strict=True)]
        length = max(map(len, pieces), default=0)
        for item, piece in zip(speech, pieces, strict=True):
            item[made : made + length] = piece
        made += length
        if progress is not None:
            progress(start + block.shape[1])
    for item, stream in zip(speech, streams, strict=True):
        item[made:] = stream.flush()
    return _alike(speech if np.ndim(features) == 3 else speech[0], features)  # type: ignore[no-any-return]


def load_vocoder(name: str | Path | None = None) -> Vocoder:
    """A vocoder for synthesis, which the native core runs.

    Args:
        name: of a released vocoder, or a file of weights; None for ``fargan``.

    Raises:
        AetherError: no such vocoder, or a file that is not one.
    """
    from aether_lite.core.files import model_of, vocoder_file

    return model_of(vocoder_file(name))


def frozen(vocoder: VocoderNetwork | Vocoder) -> Vocoder:
    """A vocoder for synthesis: a network's with the weights as they are now, or the one that was given."""
    given: Any = vocoder
    if not hasattr(given, "state_dict"):
        if not hasattr(given, "stream"):
            raise AetherError(f"vocoder must be one of load_vocoder or a network, not {type(given).__name__}")
        return given  # type: ignore[no-any-return]
    from aether_lite.core.files import vocoder_in_memory

    return vocoder_in_memory(given.kind, given.state_dict())


def _alike(samples: Float32, features: Any) -> Any:
    """Samples as a tensor where the features are one."""
    if not hasattr(features, "is_floating_point"):
        return samples
    import torch

    return torch.from_numpy(samples).to(features.device)


def _checked(features: Any, first_row: int) -> Float32:
    """The 20 columns the vocoder reads, ``[B, n, 20]``; ``first_row`` is the number of row 0 in messages."""
    rows = feature_rows(features, first_row)
    if rows.ndim not in (2, 3) or rows.shape[-1] not in (NUM_FREE, NUM_ALL):
        raise AetherError(
            f"features must have the shape [rows, {NUM_FREE} or {NUM_ALL}] or [batch, rows, ...], "
            f"not {list(rows.shape)}"
        )
    return (rows if rows.ndim == 3 else rows[None])[..., :NUM_FREE]
