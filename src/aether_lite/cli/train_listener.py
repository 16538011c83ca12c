"""``aether-lite train-listener``: its options are the fields of ``ListenerConfig``."""

from __future__ import annotations

from collections.abc import Sequence


def train_listener(arguments: Sequence[str]) -> None:
    """Train a listener; see ``aether-lite train-listener --help``.

    Raises:
        AetherError: options, teacher or data that cannot be used; before the work where possible.
    """
    from aether_lite.cli.console import console, steps
    from aether_lite.training.listener.config import parse
    from aether_lite.training.listener.run import run

    config = parse(arguments)
    out = console()
    with steps(out) as progress:

        def say(text: str) -> None:
            out.print(text)
            progress.begin("working")

        run(config, say, progress.advance)
