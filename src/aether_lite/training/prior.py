"""``train-prior``: priors of the bits of a hash codec, fitted on prepared speech and measured on real files."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from aether_lite.codec import SpiCodec, load_codec
from aether_lite.codec.loading import codec_path
from aether_lite.container.entropy import CELL_TO_STRETCH, LOGIT_LIMIT, LOGIT_UNIT, stretch_table
from aether_lite.container.layout import BitArray, Header, bit_array, checked_bits, token_bits
from aether_lite.container.prior import (
    CELL_ONE,
    MAX_HIDDEN,
    WEIGHT_ONE,
    Prior,
    cells_per_table,
    context_cells,
    save_prior,
)
from aether_lite.container.streams import TokenWriter, read_stream
from aether_lite.container.weights import weights_id
from aether_lite.data.pairs import Clip, read_frames
from aether_lite.errors import AetherError
from aether_lite.files import make_folder
from aether_lite.payload import BIT_RATES
from aether_lite.training.checkpoint import origin
from aether_lite.training.loop import corpora
from aether_lite.training.options import DataConfig, check_rules, option

BATCH_FRAMES = 16_384  # encoded at a time, padding included
FRAMES_PER_HOUR = 360_000
TRAINED_COUNT = 60  # observations a trained cell stands for at most: how soon it follows a new speaker
_PARAMETER_UNIT = 1 << 12  # of the network's weights
_INT16_MAX = 2**15 - 1
_LIMIT = _INT16_MAX / _PARAMETER_UNIT  # a network weight is within -8..8
_CLIP = 4.0  # of a hidden unit
_HELD_OUT = 0.1
CHECK_EVERY = 100  # steps between measurements on the held-out clips

Progress = Callable[[int, int], None]
"""Told how much of how much is done."""


@dataclass
class PriorConfig(DataConfig):
    """Options of ``train-prior``."""

    DESCRIPTION: ClassVar[str] = (
        "Fit priors for entropy-coded .aeth files on the bits of a hash codec, one for each bit rate."
    )

    codec: str = option("hash_small", "hash codec: name of released weights, or a file", path=True)
    bitrate: list[int] = option(list(BIT_RATES), "bit rates to fit a prior for [bit/s]")
    hours: float = option(4.0, "speech to fit on at most, chosen at random [h]")
    valid_clips: int = option(200, "clips to measure on at most, of either root")
    hidden: int = option(64, "hidden units of the network; 0 for tables only")
    steps: int = option(3000, "gradient steps")
    batch: int = option(256, "tokens a step")
    learning_rate: float = option(3e-3, "of Adam, falling to zero along a cosine")
    out: str = option("runs/prior", "folder for prior_<codec>_<bit rate>.safetensors", path=True, free=True)

    def check(self) -> None:
        rates = ", ".join(map(str, BIT_RATES))
        check_rules(
            (len(self.bitrate) > 0 and set(self.bitrate) <= set(BIT_RATES), f"bitrate: of {rates}"),
            (self.hours > 0, "hours: above 0"),
            (0 <= self.hidden <= MAX_HIDDEN, f"hidden: 0 to {MAX_HIDDEN}"),
            (min(self.steps, self.batch, self.valid_clips) >= 1, "steps, batch, valid_clips: at least 1"),
            (self.learning_rate > 0, "learning_rate: above 0"),
        )
        super().check()


def run(config: PriorConfig, say: Callable[[str], None], progress: Progress | None = None) -> None:
    """Fit, write and measure the priors that the options ask for; says each step and what it saves.

    Raises:
        AetherError: codec, data or folder that cannot be used.
    """
    path = codec_path(config.codec)
    model, _ = load_codec(path, unit="bit/s")
    train, valid = corpora(config)
    out = Path(config.out)
    make_folder(out)
    fitted = _some(train.clips, config.seed, hours=config.hours)
    measured = _some(valid.clips, config.seed, count=config.valid_clips)
    say(f"encoding {len(fitted)} training and {len(measured)} validation clips")
    bits, unseen = clip_bits(model, fitted, progress), clip_bits(model, measured, progress)
    frames, model_id = model.config.token_frames, weights_id(model.state_dict())
    for bit_rate in sorted(config.bitrate):
        say(f"{bit_rate} bit/s: fitting on {sum(map(len, bits))} tokens")
        prior = fit_prior(at_rate(bits, bit_rate, frames), config)
        target = out / f"prior_{path.stem}_{bit_rate}.safetensors"
        save_prior(prior, target, model_id, origin(config, config.steps, train))
        header = Header(bit_rate, model_id, frames)
        plain, coded = file_sizes(at_rate(unseen, bit_rate, frames), header, prior, progress)
        say(
            f"{target}: {len(unseen)} validation clips, one file each, take {100 * coded / plain:.1f} % of {plain} "
            "bytes, and decode to the same bits"
        )


def _some(clips: Sequence[Clip], seed: int, hours: float | None = None, count: int | None = None) -> list[Clip]:
    """Clips in random order, at least two: the first ``count`` of them, or those that fill ``hours``."""
    order = [clips[index] for index in np.random.default_rng(seed).permutation(len(clips))]
    if hours is not None:
        count = int(np.searchsorted(np.cumsum([clip.frames for clip in order]), hours * FRAMES_PER_HOUR)) + 1
    return order[: max(2, count or 0)]


def clip_bits(model: SpiCodec, clips: Sequence[Clip], progress: Progress | None = None) -> list[BitArray]:
    """Bits ``[K, n] uint8`` of every clip at the highest rate; those of a lower one are its first ones.

    Clips are encoded many at a time, so that a bit within rounding of its threshold may differ from what
    :meth:`~aether_lite.codec.Codec.encode` gives; chances do not depend on so few.
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


def file_sizes(
    clips: Sequence[BitArray], header: Header, prior: Prior, progress: Progress | None = None
) -> tuple[int, int]:
    """Bytes of all clips, one file each, plain and coded; every coded one is read back.

    Raises:
        AetherError: the extra ``entropy`` is not installed, or a file does not give its bits back.
    """
    plain = coded = 0
    for done, clip in enumerate(clips, 1):
        data = _file(header.coded(prior.identity), clip, prior)
        if not np.array_equal(read_stream(io.BytesIO(data), "coded clip", prior=prior).bits, clip):
            raise AetherError(f"coded clip {done}: does not give its bits back")
        plain += len(_file(header, clip, None))
        coded += len(data)
        if progress is not None:
            progress(done, len(clips))
    return plain, coded


def _file(header: Header, bits: BitArray, prior: Prior | None) -> bytes:
    writer = TokenWriter(header, prior)
    return writer.push(bits) + writer.finish(len(bits) * header.token_samples)


def _padded(clip: Clip, frames: int) -> Tensor:
    """``[frames, 20]``: a clip's rows, its last one repeated."""
    rows = torch.from_numpy(read_frames(clip, 0, clip.frames))
    return F.pad(rows.T, (0, frames - len(rows)), mode="replicate").T


def fit_prior(clips: Sequence[ArrayLike], config: PriorConfig) -> Prior:
    """Prior for bits like those of ``clips``; the same for the same clips, options and machine.

    First the tables are counted, then the mixing weights and the network are fitted together by gradient descent on the
    coded size in bits. A share of the clips is held out; the step with the smallest size on it is kept, and step 0 (no
    network) is among them, so that training on too little never makes the prior worse there.

    Args:
        clips: at least two clips ``[K, n]`` of 0 and 1 (any lengths, the same n), each one stream from its start.
        config: gives hidden units, steps, batch, learning rate and seed.

    Raises:
        AetherError: fewer than two clips, or clips of unlike width or with other values.
    """
    arrays = [array for array in map(np.asarray, clips) if array.size]
    if len(arrays) < 2:
        raise AetherError(f"{len(arrays)} clips with tokens: a prior needs at least two, one of them to hold out")
    width = arrays[0].shape[-1] if arrays[0].ndim else 0
    streams = [checked_bits(array, width) for array in arrays]
    generator = np.random.default_rng(config.seed)
    order = generator.permutation(len(streams))
    held = max(1, round(_HELD_OUT * len(streams)))
    train = [streams[k] for k in order[held:]]
    cells, counts = _count(train, width)
    mixer = _Mixer(width, config, cells)
    _train(mixer, _examples(train), _examples([streams[k] for k in order[:held]]), config, generator)
    return mixer.quantised(cells, counts)


def _count(clips: Sequence[BitArray], width: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Chance (half an observation of either kind added) and number of observations of every cell."""
    size = sum(cells_per_table(width))
    seen, ones = np.zeros(size), np.zeros(size)
    for clip in clips:
        index = context_cells(clip)
        seen += np.bincount(index.ravel(), minlength=size)
        ones += np.bincount(index.ravel(), weights=np.repeat(clip.ravel(), index.shape[-1]), minlength=size)
    chances = np.rint((ones + 0.5) / (seen + 1) * CELL_ONE).clip(1, CELL_ONE - 1)
    return chances.astype(np.int32), seen.clip(0, TRAINED_COUNT).astype(np.uint8)


def _examples(clips: Sequence[BitArray]) -> TensorDataset:
    """Tokens, and what predicts them: bits ``[N, n]``, signs of the past ``[N, 2 n]``, cells ``[N, n, 4]``."""
    pasts = []
    for clip in clips:
        signs = np.pad(2.0 * clip - 1, ((2, 0), (0, 0)))
        pasts.append(np.concatenate([signs[1:-1], signs[:-2]], axis=1))
    parts = (clips, pasts, [context_cells(clip) for clip in clips])
    bits, past, cells = (torch.from_numpy(np.concatenate(part)) for part in parts)
    return TensorDataset(bits.float(), past.float(), cells)


class _Mixer(nn.Module):
    """The prior's formula in floating point, the tables standing still."""

    def __init__(self, width: int, config: PriorConfig, cells: NDArray[np.int32]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(config.seed)
        hidden, tables = config.hidden, len(cells_per_table(width))

        def start(rows: int, columns: int, spread: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) * spread)

        self.weights = nn.Parameter(torch.full((width, tables), 1 / tables))
        self.past = start(hidden, 2 * width, 1 / math.sqrt(3 * width))
        self.within = start(width, hidden, 1 / math.sqrt(3 * width))
        self.hidden_bias = nn.Parameter(torch.full((hidden,), 0.5))
        self.out = nn.Parameter(torch.zeros(width, hidden))
        self.out_bias = nn.Parameter(torch.zeros(width))
        stretch = np.array(stretch_table(), dtype=np.float32)[cells >> CELL_TO_STRETCH] / LOGIT_UNIT
        self.register_buffer("stretch", torch.from_numpy(stretch))

    def forward(self, bits: Tensor, past: Tensor, cells: Tensor) -> Tensor:
        """Mean size of a bit of examples, in bits."""
        assert isinstance(self.stretch, Tensor)
        logit = (self.stretch[cells] * self.weights).sum(-1) + self.out_bias
        if self.out.shape[1]:
            steps = (2 * bits - 1)[..., None] * self.within  # [N, n, H]
            before = steps.cumsum(1) - steps
            start = past @ self.past.T + self.hidden_bias
            logit = logit + ((before + start[:, None]).clamp(0, _CLIP) * self.out).sum(-1)
        limit = LOGIT_LIMIT / LOGIT_UNIT
        return F.binary_cross_entropy_with_logits(logit.clamp(-limit, limit), bits) / math.log(2)

    @torch.no_grad()
    def bound(self) -> None:
        """Keep the network's weights within what int16 holds."""
        for parameter in (self.past, self.within, self.out, self.out_bias):
            parameter.clamp_(-_LIMIT, _LIMIT)

    def quantised(self, cells: NDArray[np.int32], counts: NDArray[np.uint8]) -> Prior:
        """The integers nearest to the parameters."""

        def whole(name: str, dtype: type, unit: int = _PARAMETER_UNIT) -> Any:
            return np.rint(getattr(self, name).detach().double().numpy() * unit).astype(dtype)

        tables = whole("weights", np.int32, WEIGHT_ONE)
        return Prior(
            cells=cells,
            counts=counts,
            weights=np.pad(tables, ((0, 0), (0, 1)), constant_values=WEIGHT_ONE),
            hidden_bias=whole("hidden_bias", np.int32),
            out_bias=whole("out_bias", np.int16, LOGIT_UNIT),
            **{name: whole(name, np.int16) for name in ("past", "within", "out")},
        )


@torch.no_grad()
def _mean_size(mixer: _Mixer, examples: TensorDataset, batch: int) -> float:
    parts = [examples[first : first + batch] for first in range(0, len(examples), batch)]
    return sum(float(mixer(*part)) * len(part[0]) for part in parts) / max(len(examples), 1)


def _train(
    mixer: _Mixer, train: TensorDataset, held: TensorDataset, config: PriorConfig, generator: np.random.Generator
) -> None:
    """Leave ``mixer`` with the parameters of the step that codes ``held`` smallest."""
    optimiser = torch.optim.Adam(mixer.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    best, kept = _mean_size(mixer, held, config.batch), {k: v.clone() for k, v in mixer.state_dict().items()}
    for step in range(1, config.steps + 1):
        rows = torch.from_numpy(generator.integers(0, len(train), config.batch))
        optimiser.zero_grad()
        mixer(*train[rows]).backward()
        optimiser.step()
        schedule.step()
        mixer.bound()
        if step % CHECK_EVERY == 0 or step == config.steps:
            size = _mean_size(mixer, held, config.batch)
            if size < best:
                best, kept = size, {k: v.clone() for k, v in mixer.state_dict().items()}
    mixer.load_state_dict(kept)
