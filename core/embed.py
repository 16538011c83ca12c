"""Native weights as a C array, for boards without files: ``python core/embed.py IN.aether OUT.c``.

The file defines ``const unsigned char aether_weights[]``, aligned to 64 bytes, and ``const size_t
aether_weights_bytes``; it needs C11 and nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = """\
/* Native weights; made by core/embed.py. */
#include <stddef.h>

extern const unsigned char aether_weights[];
extern const size_t aether_weights_bytes;

const size_t aether_weights_bytes = {bytes};
_Alignas(64) const unsigned char aether_weights[] = {{
"""
MAGIC = b"AETHERNW"
LINE = 32  # bytes


def embedded(data: bytes) -> str:
    """C source of an array with these bytes."""
    lines = (data[start : start + LINE] for start in range(0, len(data), LINE))
    rows = "\n".join(",".join(map(str, line)) + "," for line in lines)
    return HEAD.format(bytes=len(data)) + rows + "\n};\n"


def main(words: list[str]) -> None:
    """Write the source; exits with one line where that cannot be."""
    if len(words) != 2:
        sys.exit("usage: python core/embed.py IN.aether OUT.c")
    source, destination = map(Path, words)
    try:
        data = source.read_bytes()
        if not data.startswith(MAGIC):
            sys.exit(f"{source}: not a file of native weights (NAME.aether)")
        destination.write_text(embedded(data), encoding="ascii")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
