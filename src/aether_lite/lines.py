"""Files of JSON lines that grow while a command works: logs, indexes, caches.

A killed process loses at most the line it was writing: a line that is cut is passed over, and the next one begins
afresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.files import DISK_FULL, lock
from aether_lite.reading import reading

LONGEST_LINE = 1 << 20  # bytes


class LineWriter(AbstractContextManager["LineWriter"]):
    """Appends objects to a file, one a line, and keeps other processes from doing so until it is closed or killed.

    Raises:
        AetherError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise AetherError(f"{path}: cannot be written ({error.strerror})") from error
        try:
            free = lock(self._file.fileno())
        except OSError:  # a file system without locks: go on without
            free = True
        if not free:
            self._file.close()
            raise AetherError(
                f"{path.parent}: another process is writing {path.name} there; wait for its end, or give another folder"
            )
        if self._file.seek(0, 2) > 0:
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":  # a line cut by a kill
                self._put(b"\n")

    def add(self, record: Mapping[str, Any]) -> None:
        """Append an object of plain values.

        Raises:
            AetherError: it cannot be written (disk full).
        """
        self._put(json.dumps(record).encode() + b"\n")  # ASCII: names need not be UTF-8

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            reason = "the disk is full: free some space" if error.errno in DISK_FULL else error.strerror
            raise AetherError(f"{self.path}: cannot be written, {reason}") from error

    def close(self) -> None:
        """End writing."""
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, in order; any other line, such as one cut by a kill, is passed over.

    Raises:
        AetherError: it cannot be read.
    """
    with reading(path, "a file of JSON lines"), path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record
