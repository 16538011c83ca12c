"""``aether-lite train-prior``: its options are the fields of ``aether_lite.training.hash_prior_run.PriorConfig``."""

from __future__ import annotations

from collections.abc import Sequence


def train_prior(arguments: Sequence[str]) -> None:
    """Fit priors; see ``aether-lite train-prior --help``.

    Raises:
        AetherError: options, codec or data that cannot be used; before the work where possible.
    """
    from aether_lite.cli.console import console, steps
    from aether_lite.training.hash_prior_run import parse, run

    config = parse(arguments)
    out = console()
    with steps(out) as progress:

        def say(text: str) -> None:
            out.print(text)
            progress.begin("working")

        run(config, say, progress.advance)
