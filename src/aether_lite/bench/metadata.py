"""Run metadata of a benchmark: data, systems, conditions, command and versions, kept beside the results as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import aether_lite
from aether_lite.baselines import System
from aether_lite.bench.cache import package_versions
from aether_lite.bench.results import RESULTS_NAME, Row, Summary, condition_text, read_results, span
from aether_lite.bench.run import Plan
from aether_lite.errors import AetherError
from aether_lite.files import commit
from aether_lite.metrics import AUDIO_METRICS, METRICS, missing_line
from aether_lite.plots.canvas import COLOURS, MARKERS
from aether_lite.reading import fits, from_mapping, read_json, reading

METADATA_NAME, ABOUT = "about.json", "the description of a benchmark"
BUSY = (
    "Busy: seconds of channel at that rate for each second of speech. Latency is algorithmic, speech to speech; "
    "sending and computing are not counted."
)
DEFINITIONS = (
    "One channel use is one complex symbol; rates are payload uses per second (uses/s), pilots and cyclic prefix not "
    f"counted. {{energy}} SNR3k = Es/N0 + 10 log10(uses/s / 3000). {BUSY}"
)
NOMINAL = (
    "Es/N0 is mean symbol power over the variance of the complex noise, with the nominal power Es = 1; P is the power "
    "really sent."
)
EQUAL_ENERGY = "Es/N0 is the power P really sent, over all clips at a rate, over the variance of the complex noise."
BIT_DEFINITIONS = (
    "Rates are payload bits per second (bit/s), sent over a binary symmetric channel without modulation or code; "
    f"the bit error rate is the share of bits that it flips. {BUSY} ESTOI up to 4 kHz and PESQ-NB compare both sides "
    "limited to 4 kHz, the whole band of Codec2."
)
FOOT = (
    "Es/N0 per complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000); uses/s: payload symbols per second. "
    "Bands: 95 % bootstrap over clips.",
    "Binary symmetric channel, no modulation, no channel code. Bands: 95 % bootstrap over clips.",
)
INTERVALS = "Brackets and bands are 95 % bootstrap intervals over clips."
SUCH = "bench --keep takes results of the same clips, seed, channel state and kind of channel"


@dataclass(frozen=True)
class SystemMetadata:
    """A system as tables name it; see :class:`aether_lite.baselines.Facts`.

    ``latency_ms`` is None where it is not known; ``commit`` is that of the earlier run that its results were taken
    from, empty if they are of this one.
    """

    name: str
    title: str
    latency_ms: float | None
    channel_state: str
    trained_on: str
    notes: str
    fingerprint: str
    commit: str = ""

    @property
    def latency(self) -> str:
        """Latency in a table."""
        return "-" if self.latency_ms is None else f"{self.latency_ms:.0f}"


@dataclass(frozen=True)
class RunMetadata:
    """A benchmark, in plain values; further fields as in :class:`aether_lite.bench.grid.Grid`.

    Attributes:
        version, commit: of the package; the commit is empty outside a checkout.
        data, clips, files, seconds: name of the data set, and how much of it was sent [s].
        audio_clips, audio_conditions: clips and conditions (in words) that have audio metrics.
    """

    command: str  # that made it, without folders
    version: str
    commit: str
    seed: int
    data: str
    clips: int
    files: int
    seconds: float
    audio_clips: int
    audio_conditions: tuple[str, ...]
    state: str  # channel state information that was asked for; empty for each channel's default
    systems: tuple[SystemMetadata, ...]
    missing: tuple[str, ...] = ()  # lines that say what was not measured, and what to install
    packages: dict[str, str] = field(default_factory=dict)
    on_bits: bool = False
    noises: int = 1
    equal_energy: bool = False

    def system(self, name: str) -> SystemMetadata:
        """A system by its name in the results.

        Raises:
            AetherError: the results hold a system that is not described.
        """
        found = next((system for system in self.systems if system.name == name), None)
        if found is None:
            raise AetherError(f"{METADATA_NAME} describes no system {name!r} that is in the results; run the benchmark "
                              "again")  # fmt: skip
        return found

    def style(self, name: str) -> dict[str, Any]:
        """Colour and marker of a system, the same on every picture."""
        index = [system.name for system in self.systems].index(name)
        return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}

    def definitions(self) -> str:
        """What rates, SNRs, error rates, busy and latency are."""
        if self.on_bits:
            return BIT_DEFINITIONS
        return DEFINITIONS.format(energy=EQUAL_ENERGY if self.equal_energy else NOMINAL)

    def data_line(self) -> str:
        """Data set and number of clips."""
        files = "" if self.files == self.clips else f" of {self.files} files"
        clips = f"{self.clips} clip{'s' if self.clips != 1 else ''}{files}, {self.seconds:.0f} s"
        noises = f", {self.noises} noises each" if self.noises > 1 else ""
        audio = f"; audio metrics on {self.audio_clips} of the clips" if self.audio_clips else "; no audio metrics"
        return f"Data: {self.data}, {clips}{noises}{audio}."

    def state_line(self) -> str:
        """What receivers know of the channel."""
        asked = f"Channel state asked for: {self.state}." if self.state else "Channel state: default of each channel."
        return " ".join([asked, *(f"{titles}: {words}." for words, titles in self._titles("channel_state").items())])

    def _titles(self, attribute: str) -> dict[str, str]:
        """Titles of the systems by one of their attributes, commas between."""
        groups: dict[str, list[str]] = {}
        for system in self.systems:
            groups.setdefault(getattr(system, attribute), []).append(system.title)
        return {value: ", ".join(titles) for value, titles in groups.items()}

    def made_by(self) -> str:
        """Command, version and commit, and the systems whose results are of an earlier commit."""
        commit = f", commit {_short(self.commit)}" if self.commit else ""
        earlier = {of: titles for of, titles in self._titles("commit").items() if of not in ("", self.commit)}
        taken = "; ".join(f"{titles} (commit {_short(of)})" for of, titles in earlier.items())
        kept = f" Kept from earlier runs: {taken}." if taken else ""
        return f"Made by `{self.command}` (aether-lite {self.version}{commit}, seed {self.seed}).{kept}"

    def notes(self) -> list[str]:
        """Lines without which the tables cannot be read."""
        return [self.data_line(), self.definitions(), self.state_line(), INTERVALS, *self.missing, self.made_by()]

    def foot(self, summaries: Sequence[Summary], further: Iterable[str] = ()) -> str:
        """Data, systems, channel state and definitions, for under a picture of these summaries."""
        lines = []
        shown = [system for system in self.systems if any(s.system == system.name for s in summaries)]
        for system in shown:
            busy = span((s.occupied for s in summaries if s.system == system.name and s.on_air), "-")
            occupied = f"channel busy {busy} s per s" if busy else "no channel"
            lines.append(f"{system.title}: latency {system.latency} ms, {occupied}")
        asked = f"asked for: {self.state}" if self.state else "default of each channel"
        known = f"Receiver's channel state ({asked}): {'; '.join(sorted({system.channel_state for system in shown}))}."
        return "\n".join([self.data_line(), f"{'; '.join(lines)}.", known, *further, FOOT[self.on_bits]])


def describe(plan: Plan, rows: Sequence[Row], command: str, absent: Sequence[str] = ()) -> RunMetadata:
    """Metadata of a run: its plan, results and command, and lines on systems that are not installed."""
    grid = plan.grid
    audible = {row.clip for row in rows if any(name in row.record for name in AUDIO_METRICS)}
    missing = [f"left out: {line}" for line in absent]
    if audible and (lacking := missing_line(name for name in AUDIO_METRICS if name not in grid.without)):
        missing.append(lacking)
    if audible and grid.without:
        missing.append(f"not measured, as asked: {', '.join(METRICS[name].title for name in grid.without)}")
    frames = {row.clip: row.record["frames"] for row in rows}
    return RunMetadata(
        command=command,
        version=aether_lite.__version__,
        commit=commit(),
        seed=plan.seed,
        data=plan.title,
        clips=len(plan.dataset.sources),
        files=plan.dataset.files,
        seconds=sum(frames.values()) / 100,
        audio_clips=len(audible),
        audio_conditions=tuple(condition_text(condition) for condition in grid.with_audio()) if audible else (),
        state=grid.csi or "",
        systems=tuple(_described(system) for system in plan.instances()),
        missing=tuple(missing),
        packages=package_versions(),
        on_bits=grid.on_bits,
        noises=grid.noises,
        equal_energy=grid.equal_energy,
    )


def read_metadata(path: Path) -> RunMetadata:
    """Run metadata of the JSON object of its fields.

    Raises:
        AetherError: it cannot be read, or lacks a field.
    """
    values = read_json(path, ABOUT)
    values.pop("calibration", None)  # of version 0.1
    with reading(path, ABOUT):
        if fits(values.get("systems"), list[dict[str, Any]]):
            values["systems"] = [from_mapping(SystemMetadata, system) for system in values["systems"]]
        return from_mapping(RunMetadata, values)


@dataclass(frozen=True)
class Kept:
    """Results of an earlier run: systems that are not run again are taken from there, with the commit they are of."""

    folder: Path
    rows: tuple[Row, ...]
    metadata: RunMetadata

    def check(self, plan: Plan) -> None:
        """Refuse results that may not stand beside those of a plan.

        Raises:
            AetherError: other data, clips, seed, channel state or kind of channel.
        """
        earlier, grid = self.metadata, plan.grid
        for what, then, now in (
            ("data", earlier.data, plan.title),
            ("seed", earlier.seed, plan.seed),
            ("channel state", earlier.state or "default", grid.csi or "default"),
            ("channel of bits", earlier.on_bits, grid.on_bits),
            ("noises", earlier.noises, grid.noises),
            ("equal energy", earlier.equal_energy, grid.equal_energy),
        ):
            if then != now:
                raise AetherError(f"{self.folder}: was made with {what} {then}, not {now}; {SUCH}")
        clips = {source.name for source in plan.dataset.sources}
        if {row.clip for row in self.rows} != clips:
            raise AetherError(f"{self.folder}: holds other clips than these {len(clips)}; {SUCH}")

    def beside(
        self, rows: Sequence[Row], metadata: RunMetadata, order: Sequence[str]
    ) -> tuple[list[Row], RunMetadata]:
        """Results and metadata of a run with those of the systems that it lacks, in an order; others come last."""
        run = {system.name for system in metadata.systems}
        dated = (replace(system, commit=system.commit or self.metadata.commit) for system in self.metadata.systems)
        systems = [*metadata.systems, *(system for system in dated if system.name not in run)]
        names = [*order, *(system.name for system in systems)]
        place = {name: number for number, name in reversed(list(enumerate(names)))}
        found = {f"left out: {system.name}" for system in systems}
        missing = tuple(line for line in metadata.missing if ": ".join(line.split(": ")[:2]) not in found)
        ordered = sorted([*rows, *(row for row in self.rows if row.system not in run)], key=lambda r: place[r.system])
        systems.sort(key=lambda system: place[system.name])
        return ordered, replace(metadata, systems=tuple(systems), missing=missing)


def read_kept(folder: Path) -> Kept:
    """The results in a folder that a benchmark wrote.

    Raises:
        AetherError: they are not there, or cannot be read.
    """
    metadata = read_metadata(folder / METADATA_NAME)
    rows = read_results(folder / RESULTS_NAME)
    for name in {row.system for row in rows}:
        metadata.system(name)
    return Kept(folder, tuple(rows), metadata)


def _described(system: System) -> SystemMetadata:
    facts = asdict(system.facts)
    if not math.isfinite(facts["latency_ms"]):
        facts["latency_ms"] = None
    return SystemMetadata(system.name, system.title, **facts, fingerprint=system.fingerprint)


def _short(commit: str) -> str:
    return commit[:12] + ("+" if commit.endswith("+") else "")
