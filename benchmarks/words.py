"""Words lost by codecs, on English clips of one's own choice: error rate, and what the recogniser expects instead.

    python benchmarks/words.py FOLDER --manifest FOLDER/manifest.tsv --codec hash_small --codec OTHER.safetensors
        --rate 300 --rate 600 [--search 0 --search 20] [--without docs/results/words_bits/results.csv]

The mean divergence of the words that Whisper base expects after those it reads in the original (see
aether_lite.losses.listening; nat a token) moves with every error, where the word error rate moves with those that cost
a word: it tells codecs apart on fewer clips. ``--without`` leaves out the clips of a benchmark's results, so that a
choice made here is not made on what is reported there; ``--among`` keeps only those. Differences are to the first
codec, clip by clip, with 95 % bootstrap intervals. Codecs of symbols go over AWGN at ``--snr``, hash codecs without bit
errors.

A recogniser hears other words where speech differs by nothing that matters, by a point or two over 83 clips: figures
are means over ``--noises`` of the channel. ``--codec vocoder`` sends nothing; its speech is of the true features, with
noise of 0.01 on the cepstra that is likewise another each time.

``states`` is the listening loss of training: how far what the released listener makes of the decoded features lies
from what it makes of the true ones. It takes no speech, so ``--quick`` gives it, feature and pitch loss in seconds.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aether_lite.baselines import Clip
from aether_lite.bench.bootstrap import estimate
from aether_lite.bench.dataset import load_clip, open_dataset
from aether_lite.channels import apply_channel
from aether_lite.channels.binary import bsc
from aether_lite.codec import is_hash_codec, load, load_hash
from aether_lite.codec.loading import codec_path
from aether_lite.errors import AetherError
from aether_lite.features.layout import CEPSTRA, FRAME
from aether_lite.losses.asr import Ear, Listener, load_encoder, load_listener, load_reader, recogniser_file
from aether_lite.losses.asr.listener import SILENCE_AFTER, longest
from aether_lite.losses.asr.recogniser import FRAMES_PER_STATE
from aether_lite.losses.asr.spectra import Spectra
from aether_lite.losses.feature import feature_loss_parts
from aether_lite.losses.listening import listening_loss, words_loss
from aether_lite.metrics.recognition import whisper_folder, word_error_rate

VOCODER = "vocoder"
WORDS = " expected words [nat] | WER | more WER | more nats |"
MORE = ("errors", "expected")
DIGITS = {"features": 3, "pitch": 4, "states": 3, "expected": 3, "errors": 3}
JITTER = 0.01  # of cepstra, standard deviation


@dataclass(frozen=True)
class Loss:
    """Of one clip by one codec; words are NaN where no speech was made."""

    features: float
    pitch: float
    states: float
    expected: float = math.nan
    errors: float = math.nan


class Hearing:
    """Distance of what the released listener makes of decoded features from what it makes of the true ones."""

    def __init__(self) -> None:
        self.listener = load_listener()

    @torch.no_grad()
    def __call__(self, rows: Tensor, features: Tensor) -> float:
        frames = min(rows.shape[1], longest(reads=False)) // FRAMES_PER_STATE * FRAMES_PER_STATE
        return float(listening_loss(self.listener(rows[:, :frames]), self.listener(features[None, :frames])))


class Expecting:
    """Divergence of the words that Whisper base expects of two recordings ``[N]`` of as many frames."""

    def __init__(self) -> None:
        file = recogniser_file(whisper_folder())
        self.listener = Listener(Ear(), load_encoder(file), load_reader(file)).eval()  # of speech: the ear is not asked
        self.spectra_of = Spectra()

    @torch.no_grad()
    def __call__(self, made: Tensor, original: Tensor) -> float:
        frames = len(original) // FRAME // FRAMES_PER_STATE * FRAMES_PER_STATE
        both = torch.nn.functional.pad(torch.stack([made, original])[:, : frames * FRAME], (0, SILENCE_AFTER * FRAME))
        states = self.listener.heard(self.spectra_of(both, frames + SILENCE_AFTER))
        return float(words_loss(self.listener, states[:1], states[1:]))


@dataclass(frozen=True)
class Chain:
    """What is sent of speech ``[N]`` and its features, what is decoded of that over the noise of a seed, and speech."""

    send: Callable[[Tensor, Tensor], Any]
    decode: Callable[[Any, int], Tensor]
    speak: Callable[[Tensor], Tensor]
    noisy: bool = True  # whether seeds differ


def chain(name: str, rate: int, snr: float, search: int) -> Chain:
    """Of a codec, or of the vocoder alone."""
    if name == VOCODER:
        return Chain(lambda _, features: features, jittered, load().speak)
    if is_hash_codec(codec_path(name)):
        digital = load_hash(name)
        return Chain(
            lambda speech, _: digital.encode(speech, rate, search),
            lambda bits, _: digital.decode_features(bsc(bits, 0.0)),
            digital.speak,
            noisy=False,
        )
    codec = load(name)
    return Chain(
        lambda speech, _: codec.encode(speech, rate, snr if search else None, search),
        lambda symbols, seed: codec.decode_features(apply_channel("awgn", symbols, snr, seed=seed)),
        codec.speak,
    )


def jittered(features: Tensor, seed: int) -> Tensor:
    """True features ``[F, 20]`` as ``[1, F, 20]``, with noise on the cepstra that is not heard."""
    rows = features[None].clone()
    rows[..., CEPSTRA] += JITTER * torch.randn(rows[..., CEPSTRA].shape, generator=torch.Generator().manual_seed(seed))
    return rows


def measured(of: Chain, clip: Clip, seeds: Sequence[int], hearing: Hearing, expecting: Expecting | None) -> Loss:
    """Means over the noises of seeds; without ``expecting`` no speech is made."""
    sent = of.send(clip.speech, clip.features)
    losses = []
    for seed in seeds if of.noisy else seeds[:1]:
        rows = of.decode(sent, seed)[:, : len(clip.features)]
        parts = feature_loss_parts(rows, clip.features[None, : rows.shape[1]])
        loss = [float(parts.total), float(parts.pitch), hearing(rows, clip.features)]
        if expecting is not None:
            made = of.speak(rows)[0, : len(clip.speech)]
            original = clip.speech[: len(made)]
            loss += [expecting(made, original), float(word_error_rate(made, original))]
        losses.append(loss)
    return Loss(*(sum(values) / len(values) for values in zip(*losses, strict=True)))


def clips_of(results: Path) -> set[str]:
    """Names of the clips of a benchmark's results."""
    with results.open(newline="", encoding="utf-8") as rows:
        named = {row.get("clip") for row in csv.DictReader(rows)}
    if None in named or not named:
        raise AetherError(f"{results}: not the results.csv of a benchmark (no column clip)")
    return {str(name) for name in named}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="tells which clips are English")
    parser.add_argument("--codec", action="append", required=True, help=f"released codec or file, or {VOCODER}")
    parser.add_argument("--rate", type=int, action="append", required=True, help="bit/s or uses/s")
    parser.add_argument("--snr", type=float, default=6.0)
    parser.add_argument(
        "--search", type=int, action="append", help="steps of a search for what is sent, each for itself"
    )
    parser.add_argument("--clips", type=int, default=0, help="at most so many, evenly chosen; 0: all")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--without", type=Path, help="results.csv of a benchmark, whose clips are left out")
    known.add_argument("--among", type=Path, help="results.csv of a benchmark, whose clips alone are taken")
    parser.add_argument("--noises", type=int, default=1, help="of the channel, whose mean counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="no speech, so no words: features and states alone")
    options = parser.parse_args(argv)
    if options.noises < 1:
        parser.error("--noises: at least 1")
    seeds = range(options.seed, options.seed + options.noises)
    torch.set_num_threads(1)
    try:
        dataset = open_dataset(options.folder, options.manifest)
        clips = [clip for clip in map(load_clip, dataset.sources) if clip.language.startswith("en")]
        if options.without or options.among:
            named = clips_of(options.without or options.among)
            clips = [clip for clip in clips if (clip.name in named) == bool(options.among)]
        if not clips:
            raise AetherError(f"{options.folder}: no English clip is left")
        count = min(options.clips or len(clips), len(clips))
        clips = [clips[round(i * (len(clips) - 1) / max(count - 1, 1))] for i in range(count)]
        hearing, expecting = Hearing(), None if options.quick else Expecting()
        print(f"{len(clips)} clips\n")
        print(
            f"| codec | rate | search | feature loss | pitch loss | states |{'' if options.quick else WORDS}\n"
            + "|---" * (6 if options.quick else 10)
            + "|"
        )
        for rate in options.rate:
            first: list[Loss] = []
            searches = options.search or [0]
            for name, search in product(options.codec, searches):
                if name == VOCODER and search != searches[0]:
                    continue
                of = chain(name, rate, options.snr, search)
                losses = [measured(of, clip, seeds, hearing, expecting) for clip in clips]
                first = first or losses
                print(f"| {name} | {rate} | {search} | {_row(losses, first)} |", flush=True)
    except (AetherError, OSError) as error:
        sys.exit(f"words: {error}")


def _row(losses: list[Loss], first: list[Loss]) -> str:
    spoken = [(loss, other) for loss, other in zip(losses, first, strict=True) if not math.isnan(loss.errors)]
    counted = [loss for loss, _ in spoken] or losses  # the words of some clips are not known: nothing was said there
    names = ("features", "pitch", "states", "expected", "errors")[: 5 if spoken else 3]
    columns = [f"{sum(getattr(loss, name) for loss in counted) / len(counted):.{DIGITS[name]}f}" for name in names]
    if spoken:
        more = [estimate([getattr(loss, name) - getattr(other, name) for loss, other in spoken]) for name in MORE]
        columns += [f"{x.value:+.3f} [{x.low:+.3f}, {x.high:+.3f}]" for x in more]
    return " | ".join(columns)


if __name__ == "__main__":
    main()
