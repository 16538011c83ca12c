"""Tables of documents, made from kept results between comment marks.

    python docs/result_tables.py RESULTS DOCUMENT...

RESULTS holds folders of ``summary.csv`` and ``about.json``. In a document, what stands between

    <!-- bench FOLDER TABLE: begin -->
    <!-- bench: end -->

is replaced. TABLE is ``systems``, ``audio``, ``features``, ``coders`` (coders of speech without bit errors), ``notes``,
``speed``, or a measure and a channel such as ``feature_loss awgn``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from aether_lite.bench import tables
from aether_lite.bench.metadata import METADATA_NAME, read_metadata
from aether_lite.bench.output import SPEED_NAME
from aether_lite.bench.results import SUMMARY_NAME, read_summary
from aether_lite.errors import AetherError
from aether_lite.files import write_text
from aether_lite.metrics import METRICS

MARKED = re.compile(r"(<!-- bench (\S+) ([^:>]+): begin -->\n).*?(<!-- bench: end -->)", re.DOTALL)
USAGE_CODE = 2


def refreshed(text: str, results: Path) -> str:
    """The text of a document with every marked table made anew from the folders below ``results``.

    Raises:
        AetherError: results that are missing, or a table that is unknown.
    """
    return MARKED.sub(lambda match: f"{match[1]}{table(results / match[2], match[3].strip())}\n{match[4]}", text)


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
    metadata, summaries = read_metadata(folder / METADATA_NAME), read_summary(folder / SUMMARY_NAME)
    audible = [s for s in summaries if s.has_audio]
    clean = [s for s in audible if not s.on_air or s.condition.error_rate == 0]
    made: dict[str, Callable[[], str]] = {
        "systems": lambda: tables.systems_table(metadata, summaries),
        "audio": lambda: tables.quality_table(metadata, audible, tables.audio_columns(metadata)),
        "features": lambda: tables.quality_table(metadata, summaries, tables.feature_columns()),
        "coders": lambda: tables.quality_table(metadata, clean, tables.CODER_COLUMNS),
        "notes": lambda: "  \n".join(metadata.notes()),
    }
    measure, _, channel = name.partition(" ")
    if measure in METRICS and channel:
        return tables.measure_table(metadata, summaries, channel, measure)
    if name not in made:
        known = ", ".join((*made, "speed"))
        raise AetherError(f"unknown table {name!r} between marks; known: {known}, or MEASURE CHANNEL")
    return made[name]()


def main(arguments: Sequence[str]) -> int:
    """Rewrite documents; the exit code."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return USAGE_CODE
    for document in map(Path, arguments[1:]):
        text = refreshed(document.read_text(encoding="utf-8"), Path(arguments[0]))
        write_text(document, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
