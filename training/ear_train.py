"""Teach an ear for `--lambda_listening`: the same command as ``aether-lite train-ear``."""

from __future__ import annotations

import sys

from aether_lite.cli.main import main

if __name__ == "__main__":
    main(["train-ear", *sys.argv[1:]])
