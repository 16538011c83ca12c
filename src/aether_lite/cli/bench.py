"""``aether-lite bench``: every number, table and picture of the comparison from one command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_MODEL, Quiet, use_one_core
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.bench.heard import Example
    from aether_lite.bench.kept import Kept
    from aether_lite.bench.results import Row
    from aether_lite.bench.run import Plan

Value = TypeVar("Value")
CODEC_FILE = "codec:"  # prefix of a system given as a file
STATES = ("exact", "estimated", "withheld")


def bench(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder of audio, of .f32/.pcm pairs, or of .f32 features (joined); "
                       "by default the bundled clips.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for results; a stopped run continues.")] = Path(
        "bench_out"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A small grid, under three minutes on two cores.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Measure speed, memory, latency and MAC/s only.")] = False,
    system: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Again for each; also codec:FILE. By "
                                                     "default all that are installed.")] = None,
    rate: Annotated[list[int] | None, typer.Option(metavar="USES", help="Channel uses per second, on bsc bit/s; again "
                                                   "for each.")] = None,
    snr: Annotated[list[float] | None, typer.Option(metavar="DB", help="Es/N0 [dB]; again for each.")] = None,
    channel: Annotated[list[str] | None, typer.Option(metavar="NAME", help=f"Of {CHANNEL_NAMES}, again for "
                                                      "each; or bsc, for bits.")
                       ] = None,
    ber: Annotated[list[float] | None, typer.Option(metavar="P", help="Bit error rate of bsc; again for each.")] = None,
    state: Annotated[str | None, typer.Option(metavar="KIND", help="Channel state: exact, estimated, withheld.")
                     ] = None,
    manifest: Annotated[Path | None, typer.Option(metavar="TSV", help="Columns path and language of the clips.")
                        ] = None,
    clips: Annotated[int | None, typer.Option(min=0, help="How many clips, spread evenly; 0 for all.")] = None,
    audio_clips: Annotated[int | None, typer.Option(min=0, help="How many of them get audio metrics.")] = None,
    audio_conditions: Annotated[int | None, typer.Option(min=0, help="At how many conditions.")] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="METRIC", help="Leave out an audio metric, such as wer; "
                                                      "again for each.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.2, help="Only so much of each clip.")] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Earlier results of the same clips: systems not run "
                                              "now are taken from there.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of channels and resampling.")] = 0,
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="Codec of --speed.")] = DEFAULT_MODEL,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Compare systems over data, rates, SNRs and channels: CSV, Markdown, pictures and one HTML page in DIR."""
    from aether_lite.cli.console import console

    use_one_core()
    if speed:
        _measure_speed(out, model, console(quiet))
        return
    from aether_lite.bench.dataset import bundled, open_dataset
    from aether_lite.bench.grid import basis
    from aether_lite.bench.kept import read_kept
    from aether_lite.bench.run import Plan
    from aether_lite.channels.binary import BSC
    from aether_lite.data.processes import available_cores

    if state is not None and state not in STATES:
        raise AetherError(f"channel state {state!r} is not one of {', '.join(STATES)}")
    if manifest is not None and data is None:
        raise AetherError(f"{manifest}: a manifest describes a data folder; give the folder too")
    start = basis(quick, BSC in (channel or ()))
    grid = replace(
        start,
        rates=_chosen(rate, start.rates),
        snrs_db=_chosen(snr, start.snrs_db),
        channels=_chosen(channel, start.channels),
        clips=start.clips if clips is None else clips or None,
        audio_clips=start.audio_clips if audio_clips is None else audio_clips,
        audio_conditions=start.audio_conditions if audio_conditions is None else audio_conditions,
        seconds=start.seconds if seconds is None else seconds,
        state=state,
        error_rates=_chosen(ber, start.error_rates),
        without=_chosen(without, start.without),
    )
    grid.check()
    dataset = (bundled() if data is None else open_dataset(data, manifest)).chosen(grid.clips)
    names, absent = _systems(system, quick, dataset.has_audio, grid.on_bits)
    if not dataset.has_audio:
        grid = replace(grid, audio_clips=0, audio_conditions=0)
    plan = Plan(dataset, grid, tuple(names), seed, jobs or available_cores())
    kept = read_kept(keep) if keep is not None else None
    if kept is not None:
        kept.check(plan)
    Benchmark(plan, out, command_line(context), absent, console(quiet), kept).run()


class Benchmark:
    """One run of the command.

    Args:
        plan: what to run.
        folder: for everything that is written.
        command: as it was given, without folders.
        absent: lines on systems that are not installed.
        out: for what is said.
        kept: earlier results, for systems that are not run.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        command: str,
        absent: Sequence[str],
        out: Console,
        kept: Kept | None = None,
    ) -> None:
        self.plan, self.folder, self.command, self.absent, self.out = plan, folder, command, tuple(absent), out
        self.kept = kept

    def run(self) -> None:
        """Compute, write, say where."""
        from aether_lite.baselines.registry import system_names
        from aether_lite.bench.heard import examples
        from aether_lite.bench.output import REPORT_NAME, TABLES_NAME, Report, describe, write_all

        _make_folder(self.folder)
        for line in self.absent:
            self.out.print(f"left out: {line}")
        rows = self._compute()
        self.out.print("checking channels and codes against theory, writing tables, pictures and the page")
        about = describe(self.plan, rows, self.command, self.absent)
        if self.kept is not None:
            rows, about = self.kept.beside(rows, about, system_names())
        heard: list[Example] = examples(self.plan) if about.audio_clips else []
        write_all(self.folder, rows, Report(about, tuple(heard), read_speed(self.folder)))
        self.out.print(f"Open {self.folder / REPORT_NAME}; the tables are in {self.folder / TABLES_NAME}.")

    def _compute(self) -> list[Row]:
        from tqdm import tqdm

        from aether_lite.bench.run import run

        dataset = self.plan.dataset
        self.out.print(
            f"{dataset.title}: {len(dataset.sources)} clips over {', '.join(self.plan.systems)}; {self.plan.jobs} jobs"
        )
        bar: tqdm[None] | None = None

        def tell(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:  # what the cache held is not work of this run, and says nothing about its speed
                bar = tqdm(
                    total=total, initial=done, desc="results", unit="", disable=self.out.quiet, file=sys.stderr,
                    smoothing=0.05,
                )  # fmt: skip
            bar.update(done - bar.n)

        try:
            return run(self.plan, self.folder, tell)
        finally:
            if bar is not None:
                bar.close()


def command_line(context: typer.Context) -> str:
    """The command as it was given; of files and folders only the name, so that it can be published."""
    parts = ["aether-lite bench"]
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE" or parameter.name == "quiet":
            continue
        value = context.params[parameter.name or ""]
        option = [parameter.opts[-1]] if parameter.opts[-1].startswith("-") else []
        for item in value if isinstance(value, list | tuple) else [value]:
            parts += option if item is True else [*option, _published(item)]
    return " ".join(parts)


def read_speed(folder: Path) -> str:
    """Markdown of speed figures that were measured into the folder before; empty if there are none."""
    from aether_lite.bench.docs import SPEED_NAME

    path = folder / SPEED_NAME
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else ""


def _measure_speed(folder: Path, model: str, out: Console) -> None:
    """Measure, write ``speed.md``, and print it."""
    from aether_lite.bench.docs import SPEED_NAME
    from aether_lite.bench.speed import measure_speed, speed_table

    _make_folder(folder)
    out.print("timing each part on one core")
    text = speed_table(measure_speed(model))
    with atomic_path(folder / SPEED_NAME) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    print(text)


def _published(value: object) -> str:
    """A value without its folder."""
    text = str(value)
    prefix = CODEC_FILE if text.startswith(CODEC_FILE) else ""
    return prefix + Path(text.removeprefix(prefix)).name if "/" in text or prefix else text


def _systems(names: Sequence[str] | None, quick: bool, has_audio: bool, on_bits: bool) -> tuple[list[str], list[str]]:
    """Names to run and lines on those that are not installed; what was asked for by name must be there."""
    from aether_lite.baselines.registry import available_systems, make_system, system_names
    from aether_lite.bench.grid import SPEECH_CODERS, default_systems

    if not names:
        return available_systems(default_systems(system_names(), quick, has_audio, on_bits))
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        make_system(name)
        if name.startswith(SPEECH_CODERS) and not has_audio:
            raise AetherError(f"system {name} takes speech, but the data holds only features: give a folder of audio")
    return chosen, []


def _chosen(given: Sequence[Value] | None, default: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(given)) if given else default


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{folder}: cannot be made ({error.strerror})") from error
