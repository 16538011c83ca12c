"""``aether-lite demo``: bundled speech through the whole chain, to be heard and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_MODEL, Model, Vocoder, use_one_core
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aether_lite.codec import Codec
    from aether_lite.link.config import Link
    from aether_lite.link.demonstration import Clip, Heard

RATES = (150, 300, 600, 1000)
SNRS = (0.0, 6.0, 10.0, 20.0)
QUICK_RATES = (300, 1000)
QUICK_SNRS = (0.0, 10.0)
QUICK_CLIPS = 2
QUICK_SECONDS = 4.0


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
    seed: Annotated[int, typer.Option(metavar="N", help="Of the channel.")] = 0,
    model: Model = DEFAULT_MODEL,
    vocoder: Vocoder = None,
) -> None:
    """Send the bundled speech at several rates and SNRs; write sounds, pictures and a table."""
    chosen_rates = [int(rate) for rate in _numbers("--rates", rates, QUICK_RATES if quick else RATES)]
    chosen_snrs = _numbers("--snrs", snrs, QUICK_SNRS if quick else SNRS)
    from aether_lite.codec import load
    from aether_lite.link.config import Link

    use_one_core()
    links = [
        Link(channel, rate, snr, seed)
        for rate in chosen_rates
        for snr in ([None] if channel == "clean" else chosen_snrs)
    ]
    for link in links:
        link.check()
    codec = load(model, vocoder)
    _ = codec.vocoder  # its errors before the work
    _make_folder(out)
    Demonstration(codec, links, out, quick).run()


class Demonstration:
    """One run of the command.

    Args:
        codec: at both ends.
        links: the conditions, already checked.
        folder: for everything that is written.
        quick: whether few and short clips will do.
    """

    def __init__(self, codec: Codec, links: Sequence[Link], folder: Path, quick: bool) -> None:
        from rich.console import Console

        self.codec, self.links, self.folder = codec, links, folder
        self.count = QUICK_CLIPS if quick else None
        self.seconds = QUICK_SECONDS if quick else None
        self.console = Console(highlight=False, markup=False)

    def run(self) -> None:
        """Send, write, print."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from aether_lite.link.demonstration import bundled_clips, ceiling, send_all, table_row

        clips = bundled_clips(self.codec, self.count, self.seconds)
        speech = sum(clip.seconds for clip in clips)
        first = f"the first {self.seconds:g} s of " if self.seconds else ""
        self.console.print(f"Sending {first}{len(clips)} clips ({speech:.0f} s of speech) {len(self.links)} ways.")
        columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task("vocoder only", total=len(self.links))
            voices, top = ceiling(self.codec, clips)
            self._write(clips, "original", [clip.speech for clip in clips])
            self._write(clips, "vocoder_only", voices)
            rows = []
            bar.update(task, description="sending")
            for heard in send_all(self.codec, clips, self.links):
                bar.update(task, description=heard[0].delivery.link.describe())
                self._write(clips, label(heard[0].delivery.link), [item.speech for item in heard])
                self._draw(heard[0])
                rows.append(table_row(self.codec, heard))
                bar.advance(task)
        self._report(clips, rows, top)

    def _write(self, clips: Sequence[Clip], label: str, voices: Sequence[Any]) -> None:
        from aether_lite.audio import write_audio

        for clip, voice in zip(clips, voices, strict=True):
            write_audio(self.folder / f"{clip.name}_{label}.wav", voice)

    def _draw(self, heard: Heard) -> None:
        from aether_lite.link.demonstration import draw

        link, clip = heard.delivery.link, heard.clip
        path = self.folder / f"{clip.name}_{label(link)}.png"
        draw(path, self.codec, heard.delivery, clip.speech, heard.speech, f"{clip.name}: {link.describe()}")

    def _report(self, clips: Sequence[Clip], rows: Sequence[dict[str, Any]], top: dict[str, Any]) -> None:
        """Tables and the picture of all conditions."""
        from aether_lite.cli.demo_table import notes, print_table, write_tables
        from aether_lite.plots.transmission import rate_snr_picture

        said = notes(self.codec, clips, self.links[0].channel, self.seconds)
        write_tables(self.folder, rows, top, said)
        if self.links[0].snr_db is not None:
            rate_snr_picture(self.folder / "rate_snr.png", rows)
        print_table(self.console, rows, top, said)
        best = max(self.links, key=lambda link: (link.rate, link.snr_db or 0))
        name = f"{clips[0].name}_{label(best)}"
        self.console.print(
            f"\nListen to {self.folder / name}.wav beside {self.folder / clips[0].name}_original.wav,\n"
            f"open {self.folder / name}.png, and find the table in {self.folder / 'table.md'}.",
            soft_wrap=True,
        )


def label(link: Link) -> str:
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{folder}: cannot be made ({error.strerror})") from error
