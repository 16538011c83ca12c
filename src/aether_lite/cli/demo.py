"""``aether-lite demo``: bundled speech over a channel at several rates and SNRs; sounds, pictures and a table.

Numbers of a condition are of its clips together: the median of F0 correlation and spread, the mean of all others.
"""

from __future__ import annotations

import math
import os
import re
import time
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, number, results, steps
from aether_lite.cli.options import LINK, RESULTS, listed
from aether_lite.errors import AetherError
from aether_lite.files import make_folder, write_text
from aether_lite.optional import how_to_install, require_packages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from aether_lite.core.codec import CoreCodec
    from aether_lite.link import LinkConfig, LinkInput, LinkResult

RATES, QUICK_RATES = (150, 300, 600, 1000), (300, 1000)  # [uses/s]
SNRS, QUICK_SNRS = (0.0, 6.0, 10.0, 20.0), (0.0, 10.0)  # [dB]
QUICK_CLIPS = 2
QUICK_SECONDS = 4.0
SAMPLES = "assets/samples"
FIRST = ("en_f_intro", "it_m_intro")  # a woman and a man; these come first
TABLE = "table.json"  # the mark of a demo, there from its beginning
TABLES = ("table.md", TABLE, "rate_snr.png")
UNFINISHED = "The demo was stopped before its end."
AFTER_CLIP = re.compile(r"_(original|vocoder_only|\d+uses(_[\d.e+-]+dB)?(_[a-z]+)?)\.(wav|png)")  # in a file's name
COLUMNS: tuple[tuple[str, str, str, float, int], ...] = (
    # heading, its short form, key, factor, digits
    ("rate [uses/s]", "rate\nuses/s", "rate", 1, 0),
    ("SNR (Es/N0) [dB]", "Es/N0\ndB", "snr_db", 1, 1),
    ("SNR3k [dB]", "SNR3k\ndB", "snr_3k_db", 1, 1),
    ("latency [ms]", "latency\nms", "latency_ms", 1, 0),
    ("feature loss", "feature\nloss", "feature_loss", 1, 3),
    ("LSD [dB]", "LSD\ndB", "lsd_active_db", 1, 2),
    ("F0 correlation", "F0\ncorr.", "f0_correlation", 1, 3),
    ("V/UV error [%]", "V/UV\nerr. %", "vuv_error", 100, 1),
    ("ESTOI", "ESTOI", "estoi", 1, 3),
    ("real-time factor", "RTF", "real_time_factor", 1, 3),
)
MEDIANS = ("f0_correlation", "f0_spread_ratio")
NO_ESTOI = f"ESTOI needs pystoi: {how_to_install('demo')}"


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", rich_help_panel=RESULTS,
                                         help="Folder for sounds, pictures and the table; "
                                         "those of an earlier demo are cleared.")] = Path("demo_out"),
    quick: Annotated[bool, typer.Option("--quick", help="Two clips of 4 s, two rates, two SNRs.")] = False,
    rate: Annotated[list[str] | None, typer.Option(metavar="USES,...", rich_help_panel=LINK,
                                                   help="Channel uses per second, such as 300,1000.")] = None,
    snr: Annotated[list[str] | None, typer.Option(metavar="DB,...", rich_help_panel=LINK,
                                                  help="Es/N0 in dB, such as 0,6,10.")] = None,
    channel: options.SymbolChannel = "awgn",
    seed: options.Seed = 0,
    model: options.Model = options.DEFAULT_MODEL,
    vocoder: options.Vocoder = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Send the bundled speech at several rates and SNRs; write sounds, pictures and a table."""
    rates = listed("--rate", rate, int) or (QUICK_RATES if quick else RATES)
    snrs = listed("--snr", snr, float) or (QUICK_SNRS if quick else SNRS)
    if json is not None:
        path = Path(os.path.realpath(json))  # does not fail where links lead nowhere
        if path.parent == Path(os.path.realpath(output)) and is_own(path.name):
            raise AetherError(f"{json}: two results cannot go to one place; give different names")
    io.check_outputs((json, None), (output, io.FOLDER), inputs=(model, vocoder), force=force)
    io.check_folder(output, is_own, io.is_record(output / TABLE, "rows", "notes"), force)
    require_packages("demo", ("matplotlib",), "demo")
    from aether_lite.core.codec import CoreCodec
    from aether_lite.link import LinkConfig

    links = [LinkConfig(channel, rate, snr_db, seed) for rate in rates
             for snr_db in ([None] if channel == "clean" else snrs)]  # fmt: skip
    for link in links:
        link.check()
    codec = CoreCodec(model, vocoder, unit="uses/s")
    _ = codec.core  # its errors before the work
    make_folder(output)
    for file in output.iterdir():
        if is_own(file.name) and file.is_file():
            file.unlink()  # of an earlier demo, maybe of conditions that are not in this one
    io.write_json(str(output / TABLE), {"rows": [], "notes": [UNFINISHED]})
    record = Demonstration(codec, links, output, quick, results(quiet, json)).run()
    io.write_json(json, record)


@dataclass(frozen=True)
class Clip:
    """Speech ``[N]`` to send, the name of its file without suffix, and its features."""

    name: str
    speech: NDArray[np.float32]
    given: LinkInput

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return len(self.speech) / SAMPLE_RATE


@dataclass(frozen=True)
class Received:
    """A clip behind the link: the result, decoded speech ``[N]``, and the computing time of the vocoder [s]."""

    result: LinkResult
    speech: NDArray[np.float32]
    vocoder_s: float


class Demonstration:
    """One run of the command.

    Args:
        codec: at both ends.
        links: the conditions, already checked.
        folder: for everything that is written.
        quick: whether few and short clips will do.
        out: for the table.
    """

    def __init__(self, codec: CoreCodec, links: Sequence[LinkConfig], folder: Path, quick: bool, out: Console) -> None:
        self.codec, self.links, self.folder, self.out = codec, links, folder, out
        self.count = QUICK_CLIPS if quick else None
        self.seconds = QUICK_SECONDS if quick else None

    def run(self) -> dict[str, Any]:
        """Send, write, print; returns the table's rows and notes."""
        from aether_lite.plots.transmission import rate_snr_picture

        clips = self._clips()
        first = f"the first {self.seconds:g} s of " if self.seconds else ""
        total = sum(clip.seconds for clip in clips)
        self.out.print(f"Sending {first}{len(clips)} clips ({total:.0f} s of speech) over {len(self.links)} links.")
        rows: list[dict[str, Any]] = []
        with steps(self.out) as progress:
            progress.begin("vocoder only")
            speech, factor = self._synthesis(clips, [clip.given.features for clip in clips])
            ceiling = {"system": "vocoder only", "estoi": mean_estoi(speech, clips), "real_time_factor": factor}
            self._write(clips, "original", [clip.speech for clip in clips])
            self._write(clips, "vocoder_only", speech)
            progress.begin("sending")
            for link, received in self._sent(clips):
                self._write(clips, label(link), [item.speech for item in received])
                self._draw(link, clips[0], received[0])
                rows.append(table_row(self.codec, clips, received))
                progress.advance(len(rows), len(self.links))
        if self.links[0].snr_db is not None:
            rate_snr_picture(self.folder / "rate_snr.png", rows)
        original = {"system": "original", "estoi": None if ceiling["estoi"] is None else 1.0}
        remarks = notes(self.codec, clips, self.links[0].channel, self.seconds)
        everything = [*rows, ceiling, original]
        record = {"rows": everything, "notes": remarks}
        write_table(self.folder, everything, remarks)
        io.write_json(str(self.folder / TABLE), record)
        print_table(self.out, everything, remarks)
        best = max(self.links, key=lambda link: (link.rate, link.snr_db or 0))
        name = self.folder / clips[0].name
        self.out.print(
            f"\nListen to {name}_{label(best)}.wav beside {name}_original.wav,\n"
            f"open {name}_{label(best)}.png, and find the table in {self.folder / 'table.md'}."
        )
        return record

    def _clips(self) -> list[Clip]:
        """The speech that comes with the package."""
        from aether_lite.audio import read_audio
        from aether_lite.link import LinkInput

        samples = None if self.seconds is None else round(self.seconds * SAMPLE_RATE)
        with resources.as_file(resources.files("aether_lite").joinpath(SAMPLES)) as folder:
            paths = sorted(folder.glob("*.flac"), key=lambda path: (path.stem not in FIRST, path.stem))[: self.count]
            speech = [(path.stem, read_audio(path)[:samples]) for path in paths]
        return [Clip(name, clip, LinkInput.of_speech(self.codec, clip)) for name, clip in speech]

    def _sent(self, clips: Sequence[Clip]) -> Iterator[tuple[LinkConfig, list[Received]]]:
        """Every clip over every link; clip i gets the seed ``link.seed + i``."""
        from aether_lite.link import run_link

        for link in self.links:
            config = [replace(link, seed=link.seed + i) for i in range(len(clips))]
            sent = [run_link(self.codec, clip.given, own) for clip, own in zip(clips, config, strict=True)]
            speech, factor = self._synthesis(clips, [result.decoded_tokens for result in sent])
            yield link, [
                Received(result, samples, factor * clip.seconds)
                for clip, result, samples in zip(clips, sent, speech, strict=True)
            ]

    def _synthesis(
        self, clips: Sequence[Clip], features: Sequence[Any]
    ) -> tuple[list[NDArray[np.float32]], float]:
        """Speech of features ``[F_i, 20]``, as long as the clips, and its real-time factor."""
        start = time.perf_counter()
        speech = [self.codec.speak(rows)[: len(clip.speech)] for rows, clip in zip(features, clips, strict=True)]
        factor = (time.perf_counter() - start) * SAMPLE_RATE / sum(160 * len(rows) for rows in features)
        return speech, factor

    def _write(self, clips: Sequence[Clip], label: str, speech: Sequence[Any]) -> None:
        from aether_lite.audio import write_audio

        for clip, samples in zip(clips, speech, strict=True):
            write_audio(self.folder / f"{clip.name}_{label}.wav", samples)

    def _draw(self, link: LinkConfig, clip: Clip, received: Received) -> None:
        from aether_lite.cli.transmit import draw

        path = self.folder / f"{clip.name}_{label(link)}.png"
        draw(path, received.result, clip.speech, received.speech, f"{clip.name}: {link.describe()}")


def is_own(name: str) -> bool:
    """Whether a file's name is one that the demo gives, for any condition."""
    files = [clip.name for clip in resources.files("aether_lite").joinpath(SAMPLES).iterdir()]
    clips = [file.removesuffix(".flac") for file in files if file.endswith(".flac")]
    return name in TABLES or any(
        name.startswith(clip) and AFTER_CLIP.fullmatch(name.removeprefix(clip)) is not None for clip in clips
    )


def label(link: LinkConfig) -> str:
    """A condition in a file's name, such as ``1000uses_10dB``."""
    noise = "" if link.snr_db is None else f"_{link.snr_db:g}dB"
    return f"{link.rate}uses{noise}{'' if link.channel == 'awgn' else f'_{link.channel}'}"


def table_row(codec: CoreCodec, clips: Sequence[Clip], received: Sequence[Received]) -> dict[str, Any]:
    """Numbers of one condition over its clips."""
    sent = [item.result for item in received]
    links = [result.link_metrics() for result in sent]
    measured = [result.feature_metrics() for result in sent]
    seconds = sum(item.result.encode_s + item.result.decode_s + item.vocoder_s for item in received)
    return {
        "system": "Aether-lite",
        **{name: getattr(sent[0].config, name) for name in ("channel", "rate", "snr_db")},
        "snr_3k_db": links[0]["snr_3k_db"],
        "latency_ms": codec.latency.milliseconds,
        **{name: over_clips(name, [values[name] for values in measured]) for name in measured[0]},
        "estoi": mean_estoi([item.speech for item in received], clips),
        "papr_db": max(numbers["papr_db"] for numbers in links),
        "real_time_factor": seconds / sum(clip.seconds for clip in clips),
    }


def over_clips(name: str, values: Sequence[float]) -> float:
    """One number for several clips: median or mean, over those for which it is defined."""
    import numpy as np

    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return math.nan
    return float(np.median(defined) if name in MEDIANS else np.mean(defined))


def mean_estoi(speech: Sequence[Any], clips: Sequence[Clip]) -> float | None:
    """Mean ESTOI of speech ``[N]`` against the original; None where it cannot be computed."""
    from aether_lite.metrics.intrusive import available, estoi

    if not available("estoi"):
        return None
    pairs: Any = zip(speech, (clip.speech for clip in clips), strict=True)
    scores = [float(estoi(samples, original)) for samples, original in pairs]
    return over_clips("estoi", scores)


def notes(codec: CoreCodec, clips: Sequence[Clip], channel: str, seconds: float | None) -> list[str]:
    """What has to be known to read the table."""
    from aether_lite import __version__
    from aether_lite.metrics.intrusive import available

    length = f"the first {seconds:g} s of each" if seconds else "whole"
    lines = [
        f"Channel {channel}. {len(clips)} clips ({length}): {', '.join(clip.name for clip in clips)}. "
        "Median over clips of F0 correlation, mean of the others.",
        "One use is one complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000). Latency is algorithmic. ESTOI is "
        "against the original; 'vocoder only' is its ceiling: the features as they were sent.",
        "Real-time factor (RTF): computing time of features, codec and vocoder over playing time, on one core.",
        f"aether-lite {__version__}, codec of {sum(codec.parameters.values()):,} parameters.",
    ]
    return lines if available("estoi") else [*lines, NO_ESTOI]


def cells(row: dict[str, Any]) -> list[str]:
    """A row as text; its first column names the system where nothing was sent."""
    values = [(row.get(key), factor, digits) for _, _, key, factor, digits in COLUMNS]
    shown = [number(None if value is None else value * factor, digits) for value, factor, digits in values]
    return [row["system"], *shown[1:]] if row.get("rate") is None else shown


def write_table(folder: Path, rows: Sequence[dict[str, Any]], remarks: Sequence[str]) -> None:
    """``table.md``."""
    lines = [f"| {' | '.join(heading for heading, *_ in COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    write_text(folder / "table.md", "\n".join([*lines, "", *(f"{remark}  " for remark in remarks), ""]))


def print_table(out: Console, rows: Sequence[dict[str, Any]], remarks: Sequence[str]) -> None:
    """The table and its notes, on the terminal."""
    from rich import box
    from rich.table import Table

    table = Table(title="Speech over a noisy channel", title_style="bold", box=box.SIMPLE, pad_edge=False,
                  padding=(0, 1, 0, 0))  # fmt: skip
    for index, (_, heading, *_) in enumerate(COLUMNS):
        table.add_column(heading, justify="right", no_wrap=index > 0, min_width=8 if index == 0 else None)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is not None and row.get("rate") != following.get("rate")
        table.add_row(*cells(row), end_section=ends)
    out.print(table, soft_wrap=False)
    for remark in remarks:
        out.print(remark, style="dim")
