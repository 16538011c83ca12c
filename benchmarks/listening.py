"""Vocoders side by side: one page to listen to, and a table of judges, levels and pauses.

    python benchmarks/listening.py PAIRS OUT --vocoder fargan --vocoder hnsf [--clips 12] [--seconds 8]
        [--codec base --rate 1000 --snr 6] [--seed 0]

PAIRS is a folder of pairs as ``aether-lite prepare`` makes them. One clip of each of ``--clips`` speakers is taken (the
speaker is what a name has before its first ``-`` or ``_``). OUT gets ``index.html`` with the original and every vocoder
of the same clip in a row, the wav files, and ``table.md`` with means and 95 % bootstrap intervals over speakers.
Without ``--codec`` the vocoders get the clip's own features, with it what the codec makes of them behind AWGN.

Levels are those of the loud half of the frames (10 ms), pauses those of the quietest tenth, relative to the original: a
vocoder that is louder or removes noise is not better for it. ``excess_db`` is the greatest level of a frame above the
original's loudest within 30 ms, which is taken to be at least 40 dB below its active level: bangs.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite import channels, load
from aether_lite.audio import write_audio
from aether_lite.bench.results import estimate
from aether_lite.bench.tables import markdown
from aether_lite.data.corpus import find_clips, read_frames
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.features.layout import FRAME
from aether_lite.files import make_folder, write_text
from aether_lite.metrics.spectral import resynthesis_measures
from aether_lite.vocoder import load_vocoder, synthesize

JUDGES = ("dnsmos_p808", "dnsmos_ovrl", "dnsmos_bak", "estoi", "pesq_wb", "phone_change")
SHOWN = (*JUDGES, "vuv_error", "level_db", "pause_db", "excess_db")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Vocoders side by side</title><style>body{{font:15px system-ui;margin:1em}}table{{border-collapse:collapse}}
td,th{{padding:.3em .6em;text-align:left;border-bottom:1px solid #ccc}}audio{{width:16em}}</style>
<h1>Vocoders side by side</h1><p>{about}</p><table><tr><th>clip</th>{head}</tr>{rows}</table></html>
"""


def levels(audio: Tensor) -> NDArray[np.float64]:
    """Level of each frame of 10 ms [dB]."""
    power = audio.double().numpy()[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(10 * np.log10(np.square(power).mean(1) + 1e-12), dtype=np.float64)


def compared(made: Tensor, original: Tensor) -> dict[str, float]:
    """Levels of a clip relative to the original, see the head of this file."""
    own, true = levels(made), levels(original)
    loud, quiet = true >= np.median(true), true <= np.quantile(true, 0.1)
    active = 10 * np.log10(np.mean(10 ** (true[true > true.max() - 40] / 10)))
    floored = np.pad(np.maximum(true, active - 40), 3, mode="edge")
    nearby = np.max([floored[lag : lag + len(true)] for lag in range(7)], axis=0)
    return {
        "level_db": float(np.mean(own[loud] - true[loud])),
        "pause_db": float(np.mean(own[quiet]) - np.mean(true[quiet])),
        "excess_db": float(np.max(own - nearby)),
    }


def chosen(pairs: Path, count: int, seconds: float) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, features ``[F, 20]`` and samples ``[160 F]`` of one clip of each of ``count`` speakers."""
    first = {}
    for clip in find_clips(pairs):
        first.setdefault(re.split("[-_]", clip.path.stem)[0], clip)
    clips = list(first.values())
    for clip in clips[:: max(1, len(clips) // count)][:count]:
        frames = min(clip.frames, round(100 * seconds))
        speech = torch.from_numpy(read_speech(clip, common_kind([clip]), 0, frames))
        yield clip.path.stem, torch.from_numpy(read_frames(clip, 0, frames)), speech


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocoder", action="append", required=True, help="released name or file")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--codec", help="released name or file of a codec of symbols")
    parser.add_argument("--rate", type=int, default=1000, help="uses/s")
    parser.add_argument("--snr", type=float, default=6.0, help="Es/N0 [dB]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    codec = load(options.codec) if options.codec else None
    vocoders = {name: load_vocoder(name) for name in options.vocoder}
    make_folder(options.out)
    rows, measured = [], {name: [] for name in vocoders}
    for number, (clip, features, speech) in enumerate(chosen(options.pairs, options.clips, options.seconds)):
        given = features
        if codec is not None:
            received = channels.awgn(codec.encode(speech, rate=options.rate), options.snr, seed=options.seed + number)
            given = torch.as_tensor(codec.decode_features(received)).reshape(-1, 20)[: len(features)]
        cells = []
        for name, audio in {"original": speech, **{n: synthesize(given, v) for n, v in vocoders.items()}}.items():
            if name != "original":
                audio = audio[: len(speech)]
                numbers = resynthesis_measures(audio, speech, features, JUDGES) | compared(audio, speech)
                measured[name].append(numbers)
            file = f"{number:02d}_{Path(name).stem}.wav"
            write_audio(options.out / file, audio.numpy())
            cells.append(f'<td><audio controls preload="none" src="{html.escape(file)}"></audio></td>')
        rows.append(f"<tr><td>{html.escape(clip)}</td>{''.join(cells)}</tr>")
        print(clip, flush=True)
    about = "own features" if codec is None else f"{options.codec}, {options.rate} uses/s, AWGN {options.snr:g} dB"
    head = "".join(f"<th>{html.escape(Path(name).stem)}</th>" for name in ("original", *vocoders))
    write_text(options.out / "index.html", PAGE.format(about=html.escape(about), head=head, rows="".join(rows)))
    lines = []
    for name, clips in measured.items():
        found = [estimate([numbers[measure] for numbers in clips]) for measure in SHOWN]
        largest = max(numbers["excess_db"] for numbers in clips)
        shown = (f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]" for x in found)
        lines.append([Path(name).stem, *shown, f"{largest:.2f}"])
    table = markdown(["vocoder", *SHOWN, "largest excess_db"], lines)
    write_text(options.out / "table.md", f"{len(rows)} speakers, {about}\n\n{table}\n")
    print(table)


if __name__ == "__main__":
    main()
