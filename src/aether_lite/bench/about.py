"""What a reader must know of a benchmark: data, systems, conditions, how it was made. Kept beside the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aether_lite.baselines import System
from aether_lite.bench.results import Row, read_json, write_json
from aether_lite.bench.summary import Summary
from aether_lite.errors import AetherError
from aether_lite.plots.canvas import COLOURS, MARKERS

ABOUT_NAME = "about.json"
DEFINITIONS = (
    "One channel use is one complex symbol; rates are payload uses per second (uses/s), pilots and cyclic prefix not "
    "counted. Es/N0 is mean symbol power over the variance of the complex noise; SNR3k = Es/N0 + 10 log10(uses/s / "
    "3000). Busy: seconds of channel at that rate for each second of speech. Latency is algorithmic, speech to speech; "
    "sending and computing are not counted."
)
BIT_DEFINITIONS = (
    "Rates are payload bits per second (bit/s), sent over a binary symmetric channel without modulation or code; "
    "the bit error rate is the share of bits that it turns. Busy: seconds of channel at that rate for each second of "
    "speech. Latency is algorithmic, speech to speech; sending and computing are not counted. ESTOI up to 4 kHz and "
    "PESQ-NB compare both sides limited to 4 kHz, the whole band of Codec2."
)
FOOT_DEFINITIONS = (
    "Es/N0 per complex symbol; SNR3k = Es/N0 + 10 log10(uses/s / 3000); uses/s: payload symbols per second. "
    "Bands: 95 % bootstrap over clips."
)
FOOT_BIT_DEFINITIONS = "Binary symmetric channel, no modulation, no channel code. Bands: 95 % bootstrap over clips."
INTERVALS = "Brackets and bands are 95 % bootstrap intervals over clips."


@dataclass(frozen=True)
class SystemAbout:
    """A system as tables name it; see :class:`aether_lite.baselines.Facts`.

    ``commit`` is that of an earlier run which its results were taken from; empty if they are of this one.
    """

    name: str
    title: str
    latency_ms: float
    channel_state: str
    trained_on: str
    notes: str
    fingerprint: str
    commit: str = ""


@dataclass(frozen=True)
class About:
    """A benchmark, in plain values.

    Attributes:
        command: that made it, without folders.
        version, commit: of the package; the commit is empty outside a checkout.
        seed: of channels and resampling.
        data: name of the data set.
        clips, files, seconds: how much of it was sent [s].
        audio_clips: how many clips have audio metrics.
        audio_conditions: the conditions that have them, in words.
        state: channel state that was asked for; empty for each channel's default.
        systems: in order.
        missing: lines that say what was not measured, and what to install.
        calibration: checks of channels and coding against theory, in words, if they were run.
        packages: versions.
        on_bits: whether the channel took bits.
    """

    command: str
    version: str
    commit: str
    seed: int
    data: str
    clips: int
    files: int
    seconds: float
    audio_clips: int
    audio_conditions: tuple[str, ...]
    state: str
    systems: tuple[SystemAbout, ...]
    missing: tuple[str, ...] = ()
    calibration: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    on_bits: bool = False

    def definitions(self) -> str:
        """What rates, SNRs, error rates, busy and latency are."""
        return BIT_DEFINITIONS if self.on_bits else DEFINITIONS

    def system(self, name: str) -> SystemAbout:
        """Facts of a system by its name in the results.

        Raises:
            AetherError: the results hold a system that is not described.
        """
        for system in self.systems:
            if system.name == name:
                return system
        raise AetherError(f"{ABOUT_NAME} describes no system {name!r} that is in the results; run the benchmark again")

    def data_line(self) -> str:
        """Data set and number of clips."""
        files = "" if self.files == self.clips else f" of {self.files} files"
        clips = f"{self.clips} clip{'s' if self.clips != 1 else ''}{files}, {self.seconds:.0f} s"
        audio = f"; audio metrics on {self.audio_clips} of the clips" if self.audio_clips else "; no audio metrics"
        return f"Data: {self.data}, {clips}{audio}."

    def state_line(self) -> str:
        """What receivers know of the channel."""
        asked = f"Channel state asked for: {self.state}." if self.state else "Channel state: default of each channel."
        by_words: dict[str, list[str]] = {}
        for system in self.systems:
            by_words.setdefault(system.channel_state, []).append(system.title)
        return " ".join([asked, *(f"{', '.join(titles)}: {words}." for words, titles in by_words.items())])


def describe_systems(systems: Sequence[System]) -> tuple[SystemAbout, ...]:
    """Facts of systems as plain values."""
    return tuple(
        SystemAbout(system.name, system.title, **asdict(system.facts), fingerprint=system.fingerprint)
        for system in systems
    )


def seconds_of(rows: Sequence[Row]) -> float:
    """Speech that each system was sent at each condition [s]."""
    frames = {row.clip: row.record["frames"] for row in rows}
    return sum(frames.values()) / 100


def system_line(about: About, name: str, summaries: Sequence[Summary]) -> str:
    """Title, latency and how long the channel is busy, for the foot of a picture."""
    system = about.system(name)
    busy = sorted({f"{s.occupied:.2f}" for s in summaries if s.system == name and s.on_air})
    occupied = f", channel busy {'-'.join(dict.fromkeys((busy[0], busy[-1])))} s per s" if busy else ", no channel"
    return f"{system.title}: latency {system.latency_ms:.0f} ms{occupied}"


def style_of(about: About, name: str) -> dict[str, Any]:
    """Colour and marker of a system, the same on every picture of a benchmark."""
    index = [system.name for system in about.systems].index(name)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def foot(about: About, summaries: Sequence[Summary], further: Iterable[str] = ()) -> str:
    """Data, systems, channel state and definitions, for under a picture."""
    shown = {summary.system for summary in summaries}
    systems = "; ".join(system_line(about, s.name, summaries) for s in about.systems if s.name in shown)
    state = {s.channel_state for s in about.systems if s.name in shown}
    asked = f"asked for: {about.state}" if about.state else "default of each channel"
    known = f"Receiver's channel state ({asked}): {'; '.join(sorted(state))}."
    definitions = FOOT_BIT_DEFINITIONS if about.on_bits else FOOT_DEFINITIONS
    return "\n".join([about.data_line(), f"{systems}.", known, *further, definitions])


def write_about(path: Path, about: About) -> None:
    """Write as JSON."""
    write_json(path, asdict(about))


def read_about(path: Path) -> About:
    """What :func:`write_about` wrote.

    Raises:
        AetherError: it cannot be read, or lacks a field.
    """
    values: dict[str, Any] = read_json(path)
    try:
        values["systems"] = tuple(SystemAbout(**system) for system in values["systems"])
        for item in fields(About):
            if isinstance(values.get(item.name), list):
                values[item.name] = tuple(values[item.name])
        return About(**values)
    except (KeyError, TypeError) as error:
        raise AetherError(f"{path}: is not the description of a benchmark ({error})") from error
