"""``aether-lite train``: the options are those of :class:`aether_lite.training.config.TrainConfig`."""

from __future__ import annotations

from collections.abc import Sequence


def train(arguments: Sequence[str]) -> None:
    """Train the codec; see ``aether-lite train --help``.

    Raises:
        AetherError: options, data or checkpoints that cannot be used; before the first step where possible.
    """
    from aether_lite.training.config import parse

    config = parse(arguments)
    from aether_lite.training.run import run

    run(config)
