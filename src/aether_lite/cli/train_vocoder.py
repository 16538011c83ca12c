"""``aether-lite train-vocoder``: its options are the fields of ``aether_lite.training.vocoder.config``."""

from __future__ import annotations

from collections.abc import Sequence


def train_vocoder(arguments: Sequence[str]) -> None:
    """Train the vocoder; see ``aether-lite train-vocoder --help``.

    Raises:
        AetherError: options, data or checkpoints that cannot be used; before the first step where possible.
    """
    from aether_lite.training.vocoder.config import parse

    config = parse(arguments)
    from aether_lite.training.vocoder.run import run

    run(config)
