"""``aether-lite train-ear``: its options are the fields of ``aether_lite.training.ear_run.EarConfig``."""

from __future__ import annotations

from collections.abc import Sequence


def train_ear(arguments: Sequence[str]) -> None:
    """Learn an ear; see ``aether-lite train-ear --help``.

    Raises:
        AetherError: options, recogniser or data that cannot be used; before the work where possible.
    """
    from aether_lite.cli.console import console, steps
    from aether_lite.training.ear_run import parse, run

    config = parse(arguments)
    out = console()
    with steps(out) as progress:
        run(config, out.print, progress.advance)
