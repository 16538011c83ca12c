"""``aether-lite bench``: every number, table and picture of the comparison from one command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import console, results, steps
from aether_lite.cli.options import LINK, RESULTS, listed, lower
from aether_lite.errors import AetherError
from aether_lite.files import make_folder, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.bench.grid import Grid
    from aether_lite.bench.run import Plan

CSI = ("perfect", "estimated", "none")
SHARD_NAME = "shard.json"  # in the cache: the command whose results lie there
OF_ONE_RUN = ("output", "shard", "merge", "jobs", "json", "quiet", "force")  # options that may differ between shards
LIST = "a list, commas between"
CLIPS, RUN = "Clips and metrics", "Run"  # panels of --help
Names = list[str] | None


def bench(
    context: typer.Context,
    data: Annotated[Path | None, typer.Argument(metavar="DATA", show_default=False, help="Folder of audio, of "
                    ".f32/.pcm pairs, or of .f32 features (joined); by default the bundled clips.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small grid, under three minutes on two cores.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Measure speed, memory, latency and MAC/s only.")] = False,
    system: Annotated[Names, typer.Option(metavar="NAME,...", help=f"Systems: {LIST}. Also codec:FILE, vocoder:FILE, "
                      "and wavs:DIR for decoded files made elsewhere. By default all that are installed.")] = None,
    against: Annotated[str, typer.Option(metavar="NAME", callback=lower, show_default=False,
                                         help="Also differences to this system, clip by clip.")] = "",
    model: Annotated[str, typer.Option(metavar="NAME|FILE", callback=options.released, help="Codec of --speed.")]
    = options.DEFAULT_MODEL,
    plugin: Annotated[Names, typer.Option(metavar="FILE.py,...", help="Registers more systems, channels and metrics.")]
    = None,
    rate: Annotated[Names, typer.Option(metavar="USES,...", rich_help_panel=LINK, help="Channel uses per second (on "
                                        f"bsc bit/s): {LIST}.")] = None,
    snr: Annotated[Names, typer.Option(metavar="DB,...", rich_help_panel=LINK, help=f"Es/N0 in dB: {LIST}.")] = None,
    channel: Annotated[Names, typer.Option(metavar="NAME,...", rich_help_panel=LINK,
                                           help=f"Of {options.CHANNEL_NAMES}: {LIST}; or bsc, for bits.")] = None,
    ber: Annotated[Names, typer.Option(metavar="P,...", rich_help_panel=LINK, help=f"Bit error rates of bsc: {LIST}.")]
    = None,
    csi: Annotated[str | None, typer.Option(metavar="KIND", rich_help_panel=LINK, callback=lower, help="Channel state "
                                            "information at the receivers: perfect, estimated or none.")] = None,
    equal_energy: Annotated[bool, typer.Option("--equal-energy", rich_help_panel=LINK,
                                               help="Count N0 from the power really sent.")] = False,
    noises: Annotated[int, typer.Option(metavar="N", min=1, rich_help_panel=LINK, help="Noises of the channel; numbers "
                                        "are means over them.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", rich_help_panel=LINK, help="Seed of channels and resampling.")] = 0,
    manifest: Annotated[Path | None, typer.Option(metavar="TSV", rich_help_panel=CLIPS, help="Columns path and "
                                                  "language of the clips.")] = None,
    clips: Annotated[int | None, typer.Option(metavar="N", min=0, rich_help_panel=CLIPS, help="How many clips, spread "
                                              "evenly; 0 for all.")] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", min=0.2, rich_help_panel=CLIPS, help="Only so much of "
                                                  "each clip.")] = None,
    audio_channel: Annotated[int | None, typer.Option(metavar="N", min=1, rich_help_panel=CLIPS, help="Channel of the "
                                                      "recordings to take, from 1.", show_default="the mean of all")]
    = None,
    streams: Annotated[int | None, typer.Option(metavar="N", min=1, rich_help_panel=CLIPS, help="Joined features as so "
                                                "many streams.")] = None,
    audio_clips: Annotated[int | None, typer.Option(metavar="N", min=0, rich_help_panel=CLIPS, help="How many clips "
                                                    "get audio metrics.")] = None,
    audio_conditions: Annotated[int | None, typer.Option(metavar="N", min=0, rich_help_panel=CLIPS, help="At how many "
                                                         "conditions.")] = None,
    without: Annotated[Names, typer.Option(metavar="METRIC,...", rich_help_panel=CLIPS, help="Audio metrics that are "
                                           f"left out, such as wer: {LIST}.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", rich_help_panel=RESULTS, help="Folder for "
                                         "results; a stopped run continues.")] = Path("bench_out"),
    keep: Annotated[Path | None, typer.Option(metavar="DIR", rich_help_panel=RESULTS, help="Earlier results of the "
                                              "same clips: systems not run now are taken from there.")] = None,
    shard: Annotated[str, typer.Option(metavar="I/N", rich_help_panel=RUN, show_default=False, help="Compute only "
                                       "every Nth result, for job arrays.")] = "",
    merge: Annotated[Names, typer.Option(metavar="DIR,...", rich_help_panel=RUN, help="Finish the run whose shards are "
                                         f"in these folders: {LIST}.")] = None,
    jobs: options.Jobs = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Benchmark systems over data, rates, SNRs and channels: CSV, Markdown, pictures and one HTML page in DIR.

    Every option that takes a list may also be repeated.
    """
    options.use_one_core()
    folders = listed("--merge", merge, str)
    from aether_lite.bench.output import FILES, PICTURES_FOLDER, SPEED_NAME
    from aether_lite.bench.run import CACHE_FOLDER

    made = ((output / name, io.IN_FOLDER) for name in FILES)
    read = (data, manifest, *listed("--plugin", plugin, str))
    io.check_outputs((output, io.FOLDER), *made, (json, None), inputs=read, force=force)
    io.check_folder(output, {*FILES, SPEED_NAME, PICTURES_FOLDER}.__contains__, (output / CACHE_FOLDER).is_dir(), force)
    out = console(quiet)
    if merge:
        _merge(context, [Path(folder) for folder in folders], output, json, [("--quiet", quiet), ("--force", force)])
        return
    if speed:
        if json is not None:
            raise typer.BadParameter("is for results of systems; --speed writes Markdown", param_hint="'--json'")
        _measure_speed(output, model, out, results(quiet))
        return
    from aether_lite.bench.cache import load_plugins
    from aether_lite.bench.dataset import bundled, open_dataset
    from aether_lite.bench.grid import basis
    from aether_lite.bench.run import Plan
    from aether_lite.channels.binary import BSC
    from aether_lite.parallel import available_cores, parse_shard

    plugins = tuple(Path(file) for file in listed("--plugin", plugin, str))
    load_plugins(plugins)
    if csi is not None and csi not in CSI:
        raise AetherError(f"channel state {csi!r} is not one of {', '.join(CSI)}")
    if manifest is not None and data is None:
        raise AetherError(f"{manifest}: a manifest describes a data folder; give the folder too")
    channels = listed("--channel", channel, str.lower)
    start = basis(quick, BSC in channels)
    grid = replace(
        start,
        rates=listed("--rate", rate, int) or start.rates,
        snrs_db=listed("--snr", snr, float) or start.snrs_db,
        channels=channels or start.channels,
        clips=start.clips if clips is None else clips or None,
        audio_clips=start.audio_clips if audio_clips is None else audio_clips,
        audio_conditions=start.audio_conditions if audio_conditions is None else audio_conditions,
        seconds=start.seconds if seconds is None else seconds,
        csi=csi,
        error_rates=listed("--ber", ber, float) or start.error_rates,
        without=listed("--without", without, str.lower),
        noises=noises,
        equal_energy=equal_energy,
    )
    grid.check()
    dataset = (bundled() if data is None else open_dataset(data, manifest)).chosen(grid.clips)
    sources = tuple(replace(source, channel=audio_channel) for source in dataset.sources)
    dataset = replace(dataset, sources=sources)
    dataset = dataset if streams is None else dataset.parted(streams)
    names, absent = _systems(listed("--system", system, _name), grid, quick, dataset.has_audio)
    if not dataset.has_audio:
        grid = replace(grid, audio_clips=0, audio_conditions=0)
    part = parse_shard(shard)
    plan = Plan(dataset, grid, names, seed, jobs or available_cores(), plugins=plugins, shard=part)
    summary = _run(context, plan, output, absent, against, keep, out)
    if summary is not None:
        io.write_json(json, summary)


def _run(
    context: typer.Context, plan: Plan, out: Path, absent: Sequence[str], against: str, keep: Path | None, say: Console
) -> dict[str, Any] | None:
    """Compute, write and print where; returns metadata and summary, None for a shard."""
    from aether_lite.baselines import system_names
    from aether_lite.bench.metadata import describe, read_kept
    from aether_lite.bench.output import REPORT_NAME, TABLES_NAME, examples, write_all
    from aether_lite.bench.run import CACHE_FOLDER, run

    kept = None if keep is None else read_kept(keep)
    if kept is not None:
        kept.check(plan)
    _check_files(plan)
    make_folder(out / CACHE_FOLDER)
    for line in absent:
        say.print(f"left out: {line}")
    clips = f"{plan.dataset.title}: {len(plan.dataset.sources)} clips"
    say.print(f"{clips} over {', '.join(plan.systems)}; {plan.jobs} jobs")
    number, count = plan.shard
    if count > 1:
        from aether_lite.bench.results import write_json

        write_json(out / CACHE_FOLDER / SHARD_NAME, {"options": _tokens(context, OF_ONE_RUN)})
    try:
        with steps(say) as progress:
            progress.begin("results")
            rows = run(plan, out, progress.advance, context.meta.get(__name__))
    except KeyboardInterrupt:
        say.print(f"stopped; the results so far are in {out / CACHE_FOLDER}, and the same command continues")
        raise
    if count > 1:
        say.print(f"shard {number} of {count} is in {out}; when all are there: aether-lite bench --merge DIR,...")
        return None
    say.print("writing tables, pictures and the page")
    command = ["aether-lite bench", *_tokens(context, ("quiet", "force"), _published)]
    metadata = describe(plan, rows, " ".join(command), absent)
    if kept is not None:
        rows, metadata = kept.beside(rows, metadata, system_names())
    shown = examples(plan) if metadata.audio_clips else []
    summary = write_all(out, rows, metadata, shown, _speed_text(out), against)
    say.print(f"Open {out / REPORT_NAME}; the tables are in {out / TABLES_NAME}.")
    return {"metadata": asdict(metadata), "summary": [asdict(entry) for entry in summary]}


def _check_files(plan: Plan) -> None:
    """Refuse, before any work, clips that a folder of decoded files lacks."""
    from aether_lite.baselines.without_channel import FAMILY, DecodedFiles
    from aether_lite.bench.dataset import load_clip

    for name in plan.systems:
        if name.startswith(FAMILY):
            clips = (load_clip(source) for source in plan.dataset.sources)
            DecodedFiles(name.removeprefix(FAMILY)).check({clip.name: len(clip.speech) for clip in clips})


def _merge(
    context: typer.Context, folders: Sequence[Path], out: Path, json: str | None, flags: Sequence[tuple[str, bool]]
) -> None:
    """Run the command of the shards in ``folders`` with their results."""
    from aether_lite.bench.run import CACHE_FOLDER
    from aether_lite.reading import fits, read_json

    shards = [read_json(folder / CACHE_FOLDER / SHARD_NAME, "a shard of bench") for folder in folders]
    commands: list[Any] = [shard.get("options") for shard in shards]
    if not fits(commands, list[list[str]]):
        raise AetherError(f"{folders[0]}: its {CACHE_FOLDER}/{SHARD_NAME} does not hold the options of a command")
    for folder, command in zip(folders, commands, strict=True):
        if command != commands[0]:
            raise AetherError(f"{folder}: its shard was made with other options than that in {folders[0]}")
    tokens = [*commands[0], "--output", str(out), *(flag for flag, given in flags if given)]
    tokens += [] if json is None else [f"--json={json}"]
    whole = context.command.make_context(context.info_name, tokens, parent=context.parent)
    if whole.params["plugin"] != context.params["plugin"] or whole.params["json"] != json:  # it runs or writes a file
        raise AetherError(f"{folders[0]}: its shard was made with a --plugin; give the same one with --merge")
    whole.meta[__name__] = list(folders)
    with whole:
        context.command.invoke(whole)


def _tokens(context: typer.Context, but: Sequence[str], shown: Callable[[object], str] = str) -> list[str]:
    """The options and arguments that were given on the command line, without some."""
    parts: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name in but:
            continue
        value = context.params[name]
        option = [parameter.opts[0]] if parameter.opts[0].startswith("-") else []
        for item in value if isinstance(value, list | tuple) else [value]:
            parts += option if item is True else [*option, shown(item)]
    return parts


def _published(value: object) -> str:
    """A value without its folder, so that the command can be published."""
    kind, colon, path = str(value).rpartition(":")
    return f"{kind}{colon}{Path(path).name}" if "/" in path else str(value)


def _name(text: str) -> str:
    """A system in lower case; what stands behind a colon is a file or folder."""
    return text if ":" in text else text.lower()


def _systems(names: Sequence[str], grid: Grid, quick: bool, has_audio: bool) -> tuple[tuple[str, ...], list[str]]:
    """Names to run and lines on those that are not installed; what was asked for by name must be there."""
    from aether_lite.baselines import available_systems, make_system, system_names
    from aether_lite.bench.grid import SPEECH_CODERS, default_systems

    if not names:
        present, absent = available_systems(default_systems(system_names(), quick, has_audio, grid.on_bits))
        return tuple(present), absent
    for name in names:
        make_system(name)
        if name.startswith(SPEECH_CODERS) and not has_audio:
            raise AetherError(f"system {name} takes speech, but the data holds only features: give a folder of audio")
    return tuple(names), []


def _measure_speed(folder: Path, model: str, say: Console, out: Console) -> None:
    """Measure, write ``speed.md``, and print it."""
    from aether_lite.bench.output import SPEED_NAME
    from aether_lite.bench.run import CACHE_FOLDER
    from aether_lite.bench.speed import speed_table

    make_folder(folder / CACHE_FOLDER)
    say.print("timing each part on one core")
    text = speed_table(model)
    write_text(folder / SPEED_NAME, text + "\n")
    out.print(text)


def _speed_text(folder: Path) -> str:
    """Markdown of speed figures that were measured into the folder before; empty if there are none."""
    from aether_lite.bench.output import SPEED_NAME

    path = folder / SPEED_NAME
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else ""
