"""``train-prior``: fit the priors of a hash codec's bits on prepared speech, and measure them."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aether_lite.codec import load_hash_codec
from aether_lite.codec.loading import codec_path
from aether_lite.container.layout import Header
from aether_lite.container.prior import MAX_HIDDEN, save_prior
from aether_lite.container.prior_fit import FitSettings, fit_prior
from aether_lite.container.weights import weights_id
from aether_lite.data.pairs import Clip
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES
from aether_lite.payload import FRAMES_PER_SECOND
from aether_lite.training import options
from aether_lite.training.hash_prior import Progress, Sizes, at_rate, clip_bits, file_sizes
from aether_lite.training.launch import disjoint_corpora
from aether_lite.training.options import option
from aether_lite.training.provenance import data_hash, origin

DESCRIPTION = "Fit priors for entropy-coded .aeth files on the bits of a hash codec, one for each bit rate."
FRAMES_PER_HOUR = 360_000
_DEFAULTS = FitSettings()


@dataclass
class PriorConfig:
    """Options of ``train-prior``."""

    codec: str = option("hash_small", "hash codec: name of released weights, or a file")
    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to fit on")
    valid_root: list[str] = option([], "folders of pairs to measure on; default: a tenth of the training clips")
    bitrate: list[int] = option(list(BIT_RATES), "bit rates to fit a prior for [bit/s]")
    hours: float = option(4.0, "speech to fit on at most, chosen at random [h]")
    valid_clips: int = option(200, "clips to measure on at most, of either root")
    hidden: int = option(_DEFAULTS.hidden, "hidden units of the network; 0 for tables only")
    steps: int = option(_DEFAULTS.steps, "gradient steps")
    batch: int = option(_DEFAULTS.batch, "tokens a step")
    learning_rate: float = option(_DEFAULTS.learning_rate, "of Adam at the start")
    seed: int = option(0, "of the choice of clips, start values and batches")
    out: str = option("runs/prior", "folder for prior_<codec>_<bit rate>.safetensors")


def parse(arguments: Sequence[str], prog: str = "aether-lite train-prior") -> PriorConfig:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: a value is out of range, or the YAML file names an unknown option.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    config = options.parse(PriorConfig, arguments, prog, DESCRIPTION)
    rules = [
        (set(config.bitrate) <= set(BIT_RATES) and len(config.bitrate) > 0,
         f"bitrate: of {', '.join(map(str, BIT_RATES))}"),
        (config.hours > 0, "hours: above 0"),
        (0 <= config.hidden <= MAX_HIDDEN, f"hidden: 0 to {MAX_HIDDEN}"),
        (min(config.steps, config.batch, config.valid_clips) >= 1, "steps, batch, valid_clips: at least 1"),
        (config.learning_rate > 0, "learning_rate: above 0"),
    ]  # fmt: skip
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")
    return config


@dataclass(frozen=True)
class Row:
    """Measures of one prior: sizes of files of training and of validation clips."""

    bit_rate: int
    file_bytes: int
    train: Sizes
    valid: Sizes


def run(config: PriorConfig, say: Callable[[str], None], progress: Progress | None = None) -> list[Row]:
    """Fit, write and measure the priors that the options ask for.

    Args:
        config: options.
        say: told each step, and the table in the end.
        progress: told how much of a step is done.

    Raises:
        AetherError: codec, data or folder that cannot be used.
    """
    path = codec_path(config.codec)
    model, _ = load_hash_codec(path)
    train, valid = disjoint_corpora(config.data_root, config.valid_root)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    fitted = _some(train.clips, config.seed, hours=config.hours)
    measured = _some(valid.clips, config.seed, count=config.valid_clips)
    say(f"encoding {len(fitted)} training and {len(measured)} validation clips")
    bits, unseen = clip_bits(model, fitted, progress), clip_bits(model, measured, progress)
    settings = FitSettings(config.hidden, config.steps, config.batch, config.learning_rate, seed=config.seed)
    frames, model_id = model.config.token_frames, weights_id(model.state_dict())
    data, rows = data_hash(train), []
    for bit_rate in sorted(config.bitrate):
        say(f"{bit_rate} bit/s: fitting on {sum(map(len, bits))} tokens")
        seen = at_rate(bits, bit_rate, frames)
        prior = fit_prior(seen, settings)
        target = out / f"prior_{path.stem}_{bit_rate}.safetensors"
        save_prior(prior, target, model_id, origin(_options(config), config.steps, data))
        say(f"{target}: measuring")
        header = Header(bit_rate, model_id, frames)
        sizes = [
            file_sizes(clips, header, prior, progress)
            for clips in (seen[: config.valid_clips], at_rate(unseen, bit_rate, frames))
        ]
        rows.append(Row(bit_rate, target.stat().st_size, *sizes))
    say(table(rows, frames / FRAMES_PER_SECOND))
    return rows


def table(rows: Sequence[Row], token_s: float) -> str:
    """Markdown: bits of a token's share of the blocks, and file sizes relative to plain files.

    Args:
        rows: at least one.
        token_s: length of a token [s].
    """
    lines = [
        "| bit/s | bits a token, plain | train | valid | valid files, % of plain | without headers | prior [kB] |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        blocks = (row.valid.coded - row.valid.overhead) / (row.valid.plain - row.valid.overhead)
        plain = 8 * (row.valid.plain - row.valid.overhead) / row.valid.tokens
        lines.append(
            f"| {row.bit_rate} | {plain:.1f} | {row.train.bits_per_token:.1f} | {row.valid.bits_per_token:.1f} | "
            f"{100 * row.valid.share:.1f} | {100 * blocks:.1f} | {row.file_bytes / 1000:.0f} |"
        )
    clips = rows[-1].valid
    seconds = clips.tokens * token_s / clips.clips
    lines.append(f"{clips.clips} validation clips of {seconds:.1f} s on average, one file each, decoded back and equal")
    return "\n".join(lines)


def _options(config: PriorConfig) -> dict[str, Any]:
    """What fixes the result, without this machine's folders."""
    names = {"codec": Path(config.codec).name, "data_root": [Path(root).name for root in config.data_root]}
    return {**asdict(config), **names, "valid_root": [Path(root).name for root in config.valid_root], "out": ""}


def _some(clips: Sequence[Clip], seed: int, hours: float | None = None, count: int | None = None) -> list[Clip]:
    """Clips in random order, at least two: the first ``count`` of them, or those that fill ``hours``."""
    order = [clips[index] for index in np.random.default_rng(seed).permutation(len(clips))]
    if hours is not None:
        count = int(np.searchsorted(np.cumsum([clip.frames for clip in order]), hours * FRAMES_PER_HOUR)) + 1
    return order[: max(2, count or 0)]
