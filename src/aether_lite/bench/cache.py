"""Cache of results: ``results*.jsonl``, a line a result, found by the hash of everything that it depends on.

Lines are appended as results come, so that a killed run loses at most the work that was running; a line cut by a kill
is dropped. Each shard of a run has a file of its own; all files of a folder are read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.lines import LineWriter, read_lines
from aether_lite.reading import fits

CACHE_NAME, CACHE_FILES = "results.jsonl", "results*.jsonl"
Record = dict[str, float]
"""Column -> number; a missing or undefined one is NaN."""


def key_of(**parts: Any) -> str:
    """Hash of everything a result depends on: plain values, any order."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


class ResultCache(AbstractContextManager["ResultCache"]):
    """Results below a folder, made if it is missing; new ones go to the file ``name``, ``others`` are read too.

    Raises:
        AetherError: a folder or file cannot be used.
    """

    def __init__(self, folder: Path, name: str = CACHE_NAME, others: Sequence[Path] = ()) -> None:
        self.path = folder / name
        self._records: dict[str, Record] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = LineWriter(self.path)
            for place in (*others, folder):
                for path in sorted(place.glob(CACHE_FILES)):
                    for line in read_lines(path):
                        self._take(line)
        except OSError as error:
            raise AetherError(f"{error.filename or self.path}: cannot be used as a cache ({error.strerror})") from error

    def __exit__(self, *error: object) -> None:
        self._lines.close()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> Record | None:
        """The result of a key, if it was computed."""
        return self._records.get(key)

    def add(self, key: str, record: Record) -> None:
        """Keep a result.

        Raises:
            AetherError: it cannot be written (disk full).
        """
        plain = {name: value if math.isfinite(value) else None for name, value in record.items()}
        entry = {"key": key, "record": plain}
        self._lines.add(entry)
        self._take(entry)  # as it will be read: a resumed run then equals an unbroken one

    def _take(self, entry: dict[str, Any]) -> None:
        key: Any = entry.get("key")
        record: Any = entry.get("record")
        if isinstance(key, str) and fits(record, dict[str, float | None]):
            self._records[key] = {name: math.nan if value is None else float(value) for name, value in record.items()}
