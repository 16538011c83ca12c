"""Results kept from an earlier run: systems that are not run again are taken from there.

So new weights cost the run of one system, not that of all. Every system's commit is recorded, and shown where it
differs from the run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aether_lite.bench.about import ABOUT_NAME, About, SystemAbout, read_about
from aether_lite.bench.results import RESULTS_NAME, Row, read_results
from aether_lite.bench.run import Plan, data_title
from aether_lite.errors import AetherError

SUCH = "bench --keep takes results of the same clips, seed, channel state and kind of channel"


@dataclass(frozen=True)
class Kept:
    """An earlier run.

    Attributes:
        folder: where it lies.
        rows: its results.
        about: its description.
    """

    folder: Path
    rows: tuple[Row, ...]
    about: About

    def check(self, plan: Plan) -> None:
        """Whether its results may stand beside those of a plan.

        Raises:
            AetherError: other data, clips, seed, channel state or kind of channel.
        """
        about, grid = self.about, plan.grid
        clips = {source.name for source in plan.dataset.sources}
        pairs = [
            ("data", about.data, data_title(plan)),
            ("seed", about.seed, plan.seed),
            ("channel state", about.state or "default", grid.state or "default"),
            ("channel of bits", about.on_bits, grid.on_bits),
        ]
        for what, earlier, now in pairs:
            if earlier != now:
                raise AetherError(f"{self.folder}: was made with {what} {earlier}, not {now}; {SUCH}")
        if {row.clip for row in self.rows} != clips:
            raise AetherError(f"{self.folder}: holds other clips than these {len(clips)}; {SUCH}")

    def beside(self, rows: Sequence[Row], about: About, order: Sequence[str]) -> tuple[list[Row], About]:
        """All results: those of a run, and those kept of systems that it lacks.

        Args:
            rows: of the run.
            about: its description.
            order: names of systems; those not in it come last.
        """
        run = {system.name for system in about.systems}
        taken = [self._dated(system) for system in self.about.systems if system.name not in run]
        names = [*order, *(system.name for system in (*about.systems, *taken))]
        place = {name: number for number, name in reversed(list(enumerate(names)))}
        systems = sorted([*about.systems, *taken], key=lambda system: place[system.name])
        added = [row for row in self.rows if row.system not in run]
        found = {system.name for system in systems}
        missing = tuple(line for line in about.missing if _system_left_out(line) not in found)
        ordered = sorted([*rows, *added], key=lambda row: place[row.system])
        return ordered, replace(about, systems=tuple(systems), missing=missing)

    def _dated(self, system: SystemAbout) -> SystemAbout:
        return replace(system, commit=system.commit or self.about.commit)


def read_kept(folder: Path) -> Kept:
    """The results in a folder that a benchmark wrote.

    Raises:
        AetherError: they are not there, or cannot be read.
    """
    about = read_about(folder / ABOUT_NAME)
    rows = read_results(folder / RESULTS_NAME)
    for name in {row.system for row in rows}:
        about.system(name)
    return Kept(folder, tuple(rows), about)


def _system_left_out(line: str) -> str:
    """The name in a line of :attr:`About.missing` on a system; empty in others."""
    kind, _, rest = line.partition(": ")
    return rest.partition(":")[0] if kind == "left out" else ""
