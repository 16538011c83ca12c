"""Writes the files of a benchmark: CSV, JSON, Markdown, pictures and the page, with a few clips to look at and hear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from aether_lite.baselines import Clip, Condition
from aether_lite.bench import results
from aether_lite.bench.curves import Pictures, draw_curves
from aether_lite.bench.dataset import load_clip
from aether_lite.bench.grid import evenly
from aether_lite.bench.metadata import METADATA_NAME, RunMetadata
from aether_lite.bench.report import write_report
from aether_lite.bench.run import Plan, channel_seed, conditions_of, decoded_features, send
from aether_lite.bench.tables import difference_table, full_document
from aether_lite.files import make_folder, write_text
from aether_lite.plots.canvas import f0_overlays, spectrogram_strips

TABLES_NAME, REPORT_NAME, PICTURES_FOLDER = "tables.md", "report.html", "pictures"
SPEED_NAME = "speed.md"
FILES = (results.RESULTS_NAME, results.SUMMARY_NAME, METADATA_NAME, TABLES_NAME, REPORT_NAME)
EXAMPLE_CLIPS, EXAMPLE_CONDITIONS = 2, 2
LONGEST_SECONDS = 5.0  # of an example


@dataclass(frozen=True)
class Decoded:
    """Audio ``[N]`` and features ``[F, 20]`` of a clip over one system; the condition is None without a channel."""

    system: str
    condition: Condition | None
    audio: Tensor
    features: Tensor


@dataclass(frozen=True)
class Example:
    """A clip and what every system made of it."""

    clip: Clip
    decoded: tuple[Decoded, ...]

    def conditions(self) -> list[Condition]:
        """Those on the air, in order."""
        return list(dict.fromkeys(one.condition for one in self.decoded if one.condition is not None))


def write_all(
    folder: Path, rows: Sequence[results.Row], metadata: RunMetadata, shown: Sequence[Example] = (), speed: str = "",
    against: str = "",
) -> list[results.Summary]:  # fmt: skip
    """Write ``results.csv``, ``summary.csv``, ``about.json``, ``tables.md``, ``pictures/`` and ``report.html``.

    Beside the rows: example clips, speed figures (Markdown), and the system that others are compared with.

    Raises:
        AetherError: a file cannot be written, or there is no such system to compare with.
    """
    summaries = results.summarise(rows, metadata.seed)
    results.write_results(folder / results.RESULTS_NAME, rows)
    results.write_summary(folder / results.SUMMARY_NAME, summaries)
    results.write_json(folder / METADATA_NAME, asdict(metadata))
    differences = difference_table(metadata, rows, against) if against else ""
    write_text(folder / TABLES_NAME, full_document(metadata, summaries, differences))
    pictures = folder / PICTURES_FOLDER
    make_folder(pictures)
    drawn = draw_curves(pictures, metadata, summaries)
    for number, example in enumerate(shown, 1):
        for order, condition in enumerate(example.conditions(), 1):
            drawn += _draw_example(pictures, f"{number}_{order}", metadata, summaries, example, condition)
    write_report(folder / REPORT_NAME, metadata, summaries, drawn, shown, speed, differences)
    return summaries


def _draw_example(
    folder: Path, end: str, metadata: RunMetadata, summaries: Sequence[results.Summary],
    example: Example, condition: Condition,
) -> Pictures:  # fmt: skip
    """Spectrograms and F0 contours of a clip at one condition, with the systems that have no channel."""
    words = f"{example.clip.name}: {results.condition_text(condition)}"
    of = [one for one in example.decoded if one.condition in (condition, None)]
    decoded = [(metadata.system(one.system).title, one) for one in of]
    foot = metadata.foot([s for s in summaries if any(s.system == one.system for one in of)])
    spectrograms, contours = folder / f"spectrograms_{end}.png", folder / f"f0_{end}.png"
    clips = [("original", example.clip.speech), *((title, one.audio) for title, one in decoded)]
    spectrogram_strips(spectrograms, words, foot, clips)
    received = [(title, str(metadata.style(one.system)["color"]), one.features)
                for title, one in decoded if one.condition is not None]  # fmt: skip
    f0_overlays(contours, f"{words}: F0 contour", foot, example.clip.features, received)
    return [(f"Spectrograms, {words}", spectrograms), (f"F0 contour, {words}", contours)]


def examples(plan: Plan, clips: int = EXAMPLE_CLIPS) -> list[Example]:
    """Send a few clips again, on the noise of the results: their beginnings, at two conditions with audio metrics."""
    if not plan.dataset.has_audio:
        return []
    wanted, everything = evenly(plan.grid.with_audio(), EXAMPLE_CONDITIONS), plan.grid.conditions()
    systems = plan.instances()
    result = []
    for source in evenly(plan.dataset.sources, clips):
        clip = load_clip(source, min(plan.grid.seconds or LONGEST_SECONDS, LONGEST_SECONDS))
        decoded = []
        for system in systems:
            for condition, _ in conditions_of(system, plan.grid):
                if condition in everything and condition not in wanted:
                    continue
                outcome = send(system, clip, condition, channel_seed(plan.seed, source.name), True)
                if outcome.audio is None:
                    raise ValueError(f"{system.name} made no audio of {clip.name}")
                where = None if outcome.uses == 0 else condition
                decoded.append(Decoded(system.name, where, outcome.audio, decoded_features(outcome)))
        result.append(Example(clip, tuple(decoded)))
    return result
