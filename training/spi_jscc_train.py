"""Train the codec: the same command as ``aether-lite train``."""

from __future__ import annotations

import sys

from aether_lite.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
