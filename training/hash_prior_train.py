"""Fit priors for entropy-coded files: the same command as ``aether-lite train-prior``."""

from __future__ import annotations

import sys

from aether_lite.cli.main import main

if __name__ == "__main__":
    main(["train-prior", *sys.argv[1:]])
