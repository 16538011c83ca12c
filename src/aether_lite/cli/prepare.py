"""``aether-lite prepare`` and ``check``: training data from audio, and what a data root holds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import console, results
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.data.check import RootReport
    from aether_lite.data.prepare import Task
    from aether_lite.data.sources import Source

MOST_LINES = 20  # of bad files that are printed
ValidRoot = Annotated[Path | None, typer.Option(metavar="DIR", help="Second data root, to validate on.")]


def prepare(
    paths: Annotated[list[Path], typer.Argument(
        metavar="SRC... DATA_ROOT", show_default=False,
        help="Audio files, folders or .txt lists of files (one path a line), then the folder to fill. "
        "With --manifest no SRC is needed.",
    )],
    manifest: Annotated[Path | None, typer.Option(metavar="TSV", help="Tab-separated table of files: columns path "
                                                  "(relative to it), split, speaker.")] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Take only the manifest's files of this split.")]
    = None,
    min_seconds: Annotated[float, typer.Option(metavar="S", min=0.0, help="Shorter files are left out.")] = 0.16,
    max_seconds: Annotated[float | None, typer.Option(metavar="S", help="Only so much from the start of each file.")]
    = None,
    valid_share: Annotated[float, typer.Option(metavar="P", help="Share of the speakers that go to --valid-root "
                                               "instead.")] = 0.0,
    valid_root: ValidRoot = None,
    variants: Annotated[int, typer.Option(metavar="N", min=0, show_default=False, help="Features alone, of N variants "
                                          "in folders 0 (the speech as it is) to N-1, to train on without audio.")]
    = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first file that cannot be used.")] = False,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Prepare only every Nth file, for job arrays.",
                                       show_default=False)] = "",
    audio_channel: options.AudioChannel = None,
    jobs: options.Jobs = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Extract training data from audio: NAME.f32 (features) and NAME.pcm (16 kHz) below DATA_ROOT.

    Any rate, mono or not; wav, flac, ogg, opus, mp3, aiff. A run that was stopped continues with the same command. A
    hash of the speaker (the manifest's column, else the folder of a file) decides who is validated on. The shards 1/N
    to N/N of a command fill the same folders as the command without --shard.

    Variants have another pitch, room, noise, band, codec, colour and level, drawn for a few clips of a speaker at a
    time. DATA_ROOT and each of its folders is then a data root for training without audio losses.
    """
    from tqdm import tqdm

    from aether_lite.data.prepare import Summary, Task, check_pairs_kept, tasks_of_shard, variant_tasks
    from aether_lite.data.prepare import prepare as run
    from aether_lite.parallel import parse_shard

    roots = [(path, io.FOLDER) for path in (paths[-1], valid_root)]
    io.check_outputs((json, None), *roots, inputs=(*paths[:-1], manifest), force=force)
    if variants and valid_root is not None:
        raise typer.BadParameter("--variants are to train on: prepare what is validated on by itself")
    part, remarks = parse_shard(shard), console(quiet)
    found = _sources(paths, manifest, split, valid_share, valid_root)
    tasks = [
        Task(source, root, min_seconds, max_seconds, channel=audio_channel)
        for root, sources in found for source in sources
    ]  # fmt: skip
    tasks = tasks_of_shard(variant_tasks(tasks, variants) if variants else tasks, part)
    check_pairs_kept(tasks, force)
    summary, hidden = Summary(), quiet or None
    try:
        with (
            closing(run(tasks, jobs, strict=strict, shard=part)) as outcomes,
            tqdm(total=sum(map(_size, tasks)), unit="B", unit_scale=True, dynamic_ncols=True, disable=hidden) as bar,
        ):
            for number, outcome in enumerate(outcomes, 1):
                summary.add(outcome)
                bar.set_postfix_str(f"{number}/{len(tasks)} files, {len(summary.failed)} bad", refresh=False)
                bar.update(_size(outcome.task))
    except KeyboardInterrupt:
        remarks.print("stopped; the same command continues")
        raise
    bad = sorted(summary.failed)
    for line in [*bad[:MOST_LINES], *([f"{len(bad) - MOST_LINES} more"] if len(bad) > MOST_LINES else [])]:
        remarks.print(f"left out: {line}")
    counts = {"made": summary.made, "reused": summary.reused, "short": summary.short}
    io.write_json(json, {**counts, "hours": summary.hours, "failed": bad})
    results(quiet, json).print(
        f"{summary.made} pairs made, {summary.reused} already there, {summary.hours:.2f} h in all; "
        f"{summary.short} files too short, {len(bad)} bad"
    )
    if tasks and summary.made + summary.reused == 0:
        raise AetherError(f"{paths[-1]}: none of {len(tasks)} files could be used")


def check(
    roots: Annotated[list[Path], typer.Argument(metavar="DATA_ROOT...", help="Folders of pairs.", show_default=False)],
    valid_root: ValidRoot = None,
    jobs: options.Jobs = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Verify every pair of a data root, and print what is in it.

    With --valid-root that root is checked too, and that it shares no file and no speaker with the others.
    """
    from tqdm import tqdm

    from aether_lite.data.check import RootReport, check_pairs, find_tasks

    io.check_outputs((json, None), inputs=(*roots, valid_root), force=force)
    reports = []
    for root in [*roots, *([valid_root] if valid_root is not None else [])]:
        report = RootReport(root)
        pairs, alone = find_tasks(root)
        for one in alone:
            report.add(one)
        hidden = quiet or None
        with closing(check_pairs(pairs, jobs)) as found:
            for one in tqdm(found, total=len(pairs), unit="pair", dynamic_ncols=True, disable=hidden):
                report.add(one)
        report.finish()
        reports.append(report)
    records = [_record(report) for report in reports]
    io.write_json(json, {"roots": records})
    _print_table(results(quiet, json), records)
    broken = [line for report in reports for line in report.broken]
    for line in broken[:MOST_LINES]:
        console(quiet).print(f"broken: {line}")
    if broken:
        more = f", {len(broken) - MOST_LINES} not shown" if len(broken) > MOST_LINES else ""
        raise AetherError(f"{len(broken)} broken in {', '.join(str(r.root) for r in reports if r.broken)}{more}")
    if valid_root is not None:
        from aether_lite.data.check import check_disjoint
        from aether_lite.data.corpus import Corpus

        check_disjoint(Corpus(roots), Corpus([valid_root]))


def _size(task: Task) -> int:
    """Bytes of the audio file; 0 where there is none."""
    return task.source.path.stat().st_size if task.source.path.is_file() else 0


def _sources(
    paths: list[Path], manifest: Path | None, split: str | None, valid_share: float, valid_root: Path | None
) -> list[tuple[Path, list[Source]]]:
    """Data roots, and the files that belong into each."""
    from aether_lite.data.index import read_index
    from aether_lite.data.prepare import split_speakers
    from aether_lite.data.sources import find_sources

    *sources, root = paths
    if not sources and manifest is None:
        raise typer.BadParameter("give audio files or folders, then the folder to fill")
    if (valid_share > 0) != (valid_root is not None):
        raise typer.BadParameter("--valid-share and --valid-root go together")
    roots = [root] if valid_root is None else [root, valid_root]
    there = [read_index(each).values() for each in roots]
    names = {entry.source: entry.source_name for side in there for entry in side}
    found = find_sources(sources, manifest, split, names)
    if valid_root is None:
        return [(root, found)]
    sides = split_speakers(found, valid_share)
    for wanted, held, folder in zip(reversed(sides), there, roots, strict=True):
        moved = {str(source.path) for source in wanted} & {entry.source for entry in held}
        if moved:
            raise AetherError(
                f"{folder}: holds {len(moved)} files that now belong to the other side ({min(moved)}); "
                "keep --valid-share, or fill new folders"
            )
    return list(zip(roots, sides, strict=True))


def _print_table(out: Console, roots: list[dict[str, Any]]) -> None:
    from rich.table import Table

    columns = [_cells(root) for root in roots]
    table = Table("", *(root["root"] for root in roots))
    for name in columns[0]:
        table.add_row(name, *(cells[name] for cells in columns))
    out.print(table, soft_wrap=False)


def _record(report: RootReport) -> dict[str, Any]:
    """The numbers of one root."""
    return {
        "root": str(report.root),
        "pairs": report.pairs,
        "short": report.short,
        "hours": report.hours,
        "columns": sorted(report.columns),
        "pcm": sorted(report.kinds),
        "level_dbfs": {str(percent): report.level_dbfs(percent / 100) for percent in (5, 50, 95)},
        "peak": report.peak,
        "clipped_share": report.clipped_share,
        "silence_share": report.silence_share,
        "duplicates": [[path.name for path in group] for group in report.duplicates],
        "broken": report.broken,
    }


def _cells(root: dict[str, Any]) -> dict[str, str]:
    """What the table says of one root."""
    copies = root["duplicates"]
    example = f" ({copies[0][0]} = {copies[0][1]})" if copies else ""
    return {
        "pairs": f"{root['pairs']}" + (f" ({root['short']} too short to be sampled)" if root["short"] else ""),
        "speech": f"{root['hours']:.2f} h",
        "features a frame": ", ".join(map(str, root["columns"])) or "-",
        "pcm": ", ".join(root["pcm"]) or "-",
        "level of 5, 50, 95 % of frames": f"{', '.join(f'{level:.0f}' for level in root['level_dbfs'].values())} dBFS",
        "peak": f"{root['peak']:.3f} of full scale",
        "clipped samples": f"{100 * root['clipped_share']:.4f} %",
        "silence (below -60 dBFS)": f"{100 * root['silence_share']:.1f} % of frames",
        "duplicates": f"{sum(len(group) - 1 for group in copies)}{example}",
        "broken": f"{len(root['broken'])}",
    }
