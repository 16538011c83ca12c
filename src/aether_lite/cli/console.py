"""What the commands print: summaries, results in words and progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aether_lite.cli.files import STANDARD

if TYPE_CHECKING:
    from rich.console import Console


def console(quiet: bool = False) -> Console:
    """Standard error, for progress and summaries; text is printed as it is (a folder may be called "[bold]")."""
    from rich.console import Console

    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True, markup=False)


def results(quiet: bool = False, json: str | None = None) -> Console:
    """Standard output, for results in words; standard error where JSON goes to standard output."""
    from rich.console import Console

    return Console(stderr=json == STANDARD, quiet=quiet, highlight=False, soft_wrap=True, markup=False)


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number for a table, ``-`` where it is not defined."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}{f' {unit}' if unit else ''}"


def summary(out: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Two columns, what and how much."""
    from rich.text import Text

    width = max(len(name) for name, _ in rows)
    out.print(Text(title, style="bold"))
    for name, value in rows:
        out.print(Text.assemble((f"{name:<{width}}  ", "dim"), value))


@dataclass(frozen=True)
class Steps:
    """Reports progress: ``begin`` names a step, ``advance`` tells how much of its ``total`` is done."""

    begin: Callable[[str], None]
    advance: Callable[[int, int], None]


@contextmanager
def steps(out: Console) -> Iterator[Steps]:
    """A progress bar for the steps of a job, gone when they are done; nothing off a terminal."""
    if not out.is_terminal or out.quiet:
        yield Steps(lambda step: None, lambda done, total: None)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description:<16}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=out, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield Steps(
            lambda step: bar.update(task, description=step, total=None, completed=0),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
