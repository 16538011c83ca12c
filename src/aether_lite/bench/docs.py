"""Tables of documents, made from kept results between comment marks.

    python -m aether_lite.bench.docs RESULTS DOCUMENT...

RESULTS holds folders of ``summary.csv`` and ``about.json``. In a document, what stands between

    <!-- bench FOLDER TABLE: begin -->
    <!-- bench: end -->

is replaced. TABLE is ``systems``, ``audio``, ``features``, ``coders`` (coders of speech without bit errors), ``notes``,
``speed``, ``calibration``, or a measure and a channel such as ``feature_loss awgn``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from aether_lite.bench.about import ABOUT_NAME, About, read_about
from aether_lite.bench.summary import SUMMARY_NAME, Summary, read_summary
from aether_lite.bench.tables import (
    CODER_COLUMNS,
    FEATURE_COLUMNS,
    audio_columns,
    heard_summaries,
    measure_table,
    notes,
    quality_table,
    systems_table,
)
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.metrics import METRICS

SPEED_NAME = "speed.md"
MARKED = re.compile(r"(<!-- bench (\S+) ([^:>]+): begin -->\n).*?(<!-- bench: end -->)", re.DOTALL)
USAGE_CODE = 2


def refreshed(text: str, results: Path) -> str:
    """A document with every marked table made anew.

    Args:
        text: of the document.
        results: folder of the kept results.

    Raises:
        AetherError: results that are missing, or a table that is unknown.
    """

    def replaced(match: re.Match[str]) -> str:
        return f"{match[1]}{table(results / match[2], match[3].strip())}\n{match[4]}"

    return MARKED.sub(replaced, text)


def table(folder: Path, name: str) -> str:
    """A table by the name in its marks.

    Raises:
        AetherError: the folder lacks the results, or the name is unknown.
    """
    if name == "speed":
        try:
            return (folder / SPEED_NAME).read_text(encoding="utf-8").rstrip()
        except OSError as error:
            raise AetherError(f"{folder / SPEED_NAME}: cannot be read ({error.strerror})") from error
    return _table(name, read_about(folder / ABOUT_NAME), read_summary(folder / SUMMARY_NAME))


def main(arguments: Sequence[str]) -> int:
    """Rewrite documents; the exit code."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return USAGE_CODE
    results = Path(arguments[0])
    for name in arguments[1:]:
        document = Path(name)
        text = document.read_text(encoding="utf-8")
        with atomic_path(document) as partial:
            partial.write_text(refreshed(text, results), encoding="utf-8")
    return 0


def _table(name: str, about: About, summaries: list[Summary]) -> str:
    if name == "systems":
        return systems_table(about, summaries)
    if name == "notes":
        return notes(about)
    if name == "calibration":
        return "\n".join(f"* {line}" for line in about.calibration)
    if name == "audio":
        return quality_table(about, heard_summaries(summaries), audio_columns(about))
    if name == "coders":
        clean = [s for s in heard_summaries(summaries) if not s.on_air or s.condition.error_rate == 0]
        return quality_table(about, clean, CODER_COLUMNS)
    if name == "features":
        return quality_table(about, summaries, FEATURE_COLUMNS)
    measure, _, channel = name.partition(" ")
    if measure in METRICS and channel:
        return measure_table(about, summaries, channel, measure)
    raise AetherError(f"unknown table {name!r} between marks; known: systems, audio, features, coders, notes, "
                      "calibration, speed, or MEASURE CHANNEL")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
