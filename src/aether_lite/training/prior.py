"""``train-prior``: priors of the bits of a hash codec, fitted on prepared speech and measured on real files."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from aether_lite.codec import SpiCodec, load_codec
from aether_lite.codec.loading import codec_path
from aether_lite.container.files import read_stream
from aether_lite.container.layout import BitArray, Header, bit_array, token_bits
from aether_lite.container.prior import MAX_HIDDEN, Prior, save_prior
from aether_lite.container.streams import TokenWriter
from aether_lite.container.weights import weights_id
from aether_lite.data.pairs import Clip, read_frames
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES
from aether_lite.training.loop import corpora
from aether_lite.training.options import DataConfig, check_rules, option
from aether_lite.training.prior_fit import FitSettings, fit_prior
from aether_lite.training.provenance import origin

BATCH_FRAMES = 16_384  # encoded at a time, padding included
FRAMES_PER_HOUR = 360_000
_DEFAULTS = FitSettings()

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
    hidden: int = option(_DEFAULTS.hidden, "hidden units of the network; 0 for tables only")
    steps: int = option(_DEFAULTS.steps, "gradient steps")
    batch: int = option(_DEFAULTS.batch, "tokens a step")
    learning_rate: float = option(_DEFAULTS.learning_rate, "of Adam at the start")
    out: str = option("runs/prior", "folder for prior_<codec>_<bit rate>.safetensors", path=True, free=True)

    def check(self) -> None:
        rates = ", ".join(map(str, BIT_RATES))
        check_rules(
            [
                (len(self.bitrate) > 0 and set(self.bitrate) <= set(BIT_RATES), f"bitrate: of {rates}"),
                (self.hours > 0, "hours: above 0"),
                (0 <= self.hidden <= MAX_HIDDEN, f"hidden: 0 to {MAX_HIDDEN}"),
                (min(self.steps, self.batch, self.valid_clips) >= 1, "steps, batch, valid_clips: at least 1"),
                (self.learning_rate > 0, "learning_rate: above 0"),
            ]
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
    out.mkdir(parents=True, exist_ok=True)
    fitted = _some(train.clips, config.seed, hours=config.hours)
    measured = _some(valid.clips, config.seed, count=config.valid_clips)
    say(f"encoding {len(fitted)} training and {len(measured)} validation clips")
    bits, unseen = clip_bits(model, fitted, progress), clip_bits(model, measured, progress)
    settings = FitSettings(config.hidden, config.steps, config.batch, config.learning_rate, seed=config.seed)
    frames, model_id = model.config.token_frames, weights_id(model.state_dict())
    for bit_rate in sorted(config.bitrate):
        say(f"{bit_rate} bit/s: fitting on {sum(map(len, bits))} tokens")
        prior = fit_prior(at_rate(bits, bit_rate, frames), settings)
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


def _padded(clip: Clip, frames: int) -> torch.Tensor:
    """``[frames, 20]``: a clip's rows, its last one repeated."""
    rows = torch.from_numpy(read_frames(clip, 0, clip.frames))
    return F.pad(rows.T, (0, frames - len(rows)), mode="replicate").T
