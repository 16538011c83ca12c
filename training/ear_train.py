"""Train the mel predictor for `--lambda_asr`: the same command as ``aether-lite train-mel-predictor``."""

from __future__ import annotations

import sys

from aether_lite.cli.main import main

if __name__ == "__main__":
    main(["train-mel-predictor", *sys.argv[1:]])
