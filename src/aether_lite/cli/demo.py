"""``aether-lite demo``: bundled speech through the whole chain; sounds, pictures and a table."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import link_options
from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_MODEL, Model, Vocoder, use_one_core
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from aether_lite.codec import Codec
    from aether_lite.link import LinkConfig, LinkInput, LinkResult

RATES = (150, 300, 600, 1000)
SNRS = (0.0, 6.0, 10.0, 20.0)
QUICK_RATES = (300, 1000)
QUICK_SNRS = (0.0, 10.0)
QUICK_CLIPS = 2
QUICK_SECONDS = 4.0
SAMPLES = "assets/samples"
FIRST = ("en_f_intro", "it_m_intro")  # a woman and a man; these come first
VOCODER_BATCH = 48  # clips synthesised at once: bounds memory, faster than one by one
SAMPLE_RATE = 16_000  # [Hz]


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for sounds, pictures and the table.")] = Path(
        "demo_out"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Two clips of 4 s, two rates, two SNRs.")] = False,
    rates: Annotated[
        str | None, typer.Option(metavar="LIST", help="Channel uses per second, such as 300,1000.")
    ] = None,
    snrs: Annotated[str | None, typer.Option(metavar="LIST", help="Es/N0 in dB, such as 0,6,10.")] = None,
    channel: Annotated[str, typer.Option(metavar="NAME", help=f"One of {CHANNEL_NAMES}.")] = "awgn",
    seed: link_options.Seed = 0,
    model: Model = DEFAULT_MODEL,
    vocoder: Vocoder = None,
) -> None:
    """Send the bundled speech at several rates and SNRs; write sounds, pictures and a table."""
    chosen_rates = [int(rate) for rate in _numbers("--rates", rates, QUICK_RATES if quick else RATES)]
    chosen_snrs = _numbers("--snrs", snrs, QUICK_SNRS if quick else SNRS)
    from aether_lite.codec import load
    from aether_lite.link import LinkConfig

    use_one_core()
    links = [
        LinkConfig(channel, rate, snr, seed)
        for rate in chosen_rates
        for snr in ([None] if channel == "clean" else chosen_snrs)
    ]
    for link in links:
        link.check()
    codec = load(model, vocoder, unit="uses/s")
    _ = codec.vocoder  # its errors before the work
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{out}: cannot be made ({error.strerror})") from error
    Demonstration(codec, links, out, quick).run()


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
    """

    def __init__(self, codec: Codec, links: Sequence[LinkConfig], folder: Path, quick: bool) -> None:
        from rich.console import Console

        self.codec, self.links, self.folder = codec, links, folder
        self.count = QUICK_CLIPS if quick else None
        self.seconds = QUICK_SECONDS if quick else None
        self.console = Console(highlight=False, markup=False)

    def run(self) -> None:
        """Send, write, print."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from aether_lite.cli.demo_table import mean_estoi, table_row

        clips = self._clips()
        total = sum(clip.seconds for clip in clips)
        first = f"the first {self.seconds:g} s of " if self.seconds else ""
        self.console.print(f"Sending {first}{len(clips)} clips ({total:.0f} s of speech) {len(self.links)} ways.")
        columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task("vocoder only", total=len(self.links))
            speech, factor = self._synthesis(clips, [clip.given.features for clip in clips])
            ceiling = {"system": "vocoder only", "estoi": mean_estoi(speech, clips), "real_time_factor": factor}
            self._write(clips, "original", [clip.speech for clip in clips])
            self._write(clips, "vocoder_only", speech)
            rows = []
            bar.update(task, description="sending")
            for link, received in self._sent(clips):
                bar.update(task, description=link.describe())
                self._write(clips, label(link), [item.speech for item in received])
                self._draw(link, clips[0], received[0])
                rows.append(table_row(self.codec, clips, received))
                bar.advance(task)
        self._report(clips, rows, ceiling)

    def _clips(self) -> list[Clip]:
        """The speech that comes with the package."""
        from aether_lite.audio import read_audio
        from aether_lite.link import LinkInput

        samples = None if self.seconds is None else round(self.seconds * SAMPLE_RATE)
        with as_file(files("aether_lite").joinpath(SAMPLES)) as folder:
            paths = sorted(folder.glob("*.flac"), key=lambda path: (path.stem not in FIRST, path.stem))[: self.count]
            speech = [(path.stem, read_audio(path)[:samples]) for path in paths]
        return [Clip(name, clip, LinkInput.of_speech(self.codec, clip)) for name, clip in speech]

    def _sent(self, clips: Sequence[Clip]) -> Iterator[tuple[LinkConfig, list[Received]]]:
        """Every clip over every link; clip i gets the seed ``link.seed + i``."""
        from aether_lite.link import run_link

        group = max(1, VOCODER_BATCH // len(clips))
        for first in range(0, len(self.links), group):
            links = self.links[first : first + group]
            results = [
                run_link(self.codec, clip.given, replace(link, seed=link.seed + i))
                for link in links
                for i, clip in enumerate(clips)
            ]
            speech, factor = self._synthesis([*clips] * len(links), [result.decoded_tokens for result in results])
            for index, link in enumerate(links):
                own = slice(index * len(clips), (index + 1) * len(clips))
                yield link, [
                    Received(result, samples, factor * clip.seconds)
                    for clip, result, samples in zip(clips, results[own], speech[own], strict=True)
                ]

    def _synthesis(
        self, clips: Sequence[Clip], features: Sequence[Tensor]
    ) -> tuple[list[NDArray[np.float32]], float]:
        """Speech of features ``[F_i, 20]``, as long as the clips and all in one batch, and its real-time factor."""
        import torch

        from aether_lite.vocoder import synthesize

        longest = max(len(rows) for rows in features)
        padded = torch.stack([torch.cat((rows, rows[-1:].expand(longest - len(rows), -1))) for rows in features])
        start = time.perf_counter()
        samples = synthesize(padded, self.codec.vocoder)
        factor = (time.perf_counter() - start) * SAMPLE_RATE / sum(160 * len(rows) for rows in features)
        return [one[: len(clip.speech)].numpy() for one, clip in zip(samples, clips, strict=True)], factor

    def _write(self, clips: Sequence[Clip], label: str, speech: Sequence[Any]) -> None:
        from aether_lite.audio import write_audio

        for clip, samples in zip(clips, speech, strict=True):
            write_audio(self.folder / f"{clip.name}_{label}.wav", samples)

    def _draw(self, link: LinkConfig, clip: Clip, received: Received) -> None:
        from aether_lite.cli.transmit import draw

        path = self.folder / f"{clip.name}_{label(link)}.png"
        title = f"{clip.name}: {link.describe()}"
        draw(path, self.codec, received.result, clip.speech, received.speech, title)

    def _report(self, clips: Sequence[Clip], rows: Sequence[dict[str, Any]], ceiling: dict[str, Any]) -> None:
        """Tables and the picture of all conditions."""
        from aether_lite.cli.demo_table import notes, print_table, write_tables
        from aether_lite.plots.transmission import rate_snr_picture

        original = {"system": "original", "estoi": None if ceiling["estoi"] is None else 1.0}
        everything = [*rows, ceiling, original]
        remarks = notes(self.codec, clips, self.links[0].channel, self.seconds)
        write_tables(self.folder, everything, remarks)
        if self.links[0].snr_db is not None:
            rate_snr_picture(self.folder / "rate_snr.png", rows)
        print_table(self.console, everything, remarks)
        best = max(self.links, key=lambda link: (link.rate, link.snr_db or 0))
        name = f"{clips[0].name}_{label(best)}"
        self.console.print(
            f"\nListen to {self.folder / name}.wav beside {self.folder / clips[0].name}_original.wav,\n"
            f"open {self.folder / name}.png, and find the table in {self.folder / 'table.md'}.",
            soft_wrap=True,
        )


def label(link: LinkConfig) -> str:
    """A condition in a file's name, such as ``1000uses_10dB``."""
    noise = "" if link.snr_db is None else f"_{link.snr_db:g}dB"
    return f"{link.rate}uses{noise}{'' if link.channel == 'awgn' else f'_{link.channel}'}"


def _numbers(option: str, text: str | None, default: Sequence[float]) -> list[float]:
    """Numbers separated by commas."""
    if text is None:
        return list(default)
    try:
        return list(dict.fromkeys(float(part) for part in text.replace(",", " ").split())) or list(default)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 0,6,10", param_hint=f"'{option}'"
        ) from None
