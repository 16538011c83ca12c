"""What the commands around ``.aeth`` files share: opening, writing, and the prior that is meant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aether_lite.cli.files import STANDARD
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from typing import BinaryIO

    from aether_lite.hash.prior import Prior

SUFFIX = ".aeth"

PriorFile = Annotated[
    str | None,
    typer.Option(
        "--prior", metavar="FILE|adaptive", show_default=False,
        help="Prior of an entropy-coded file, or the one that needs no training; else the released one.",
    ),
]  # fmt: skip


@contextmanager
def reading(source: str) -> Iterator[tuple[BinaryIO, str]]:
    """The stream of bytes and its name for errors; ``-`` is standard input.

    Raises:
        AetherError: it cannot be read.
    """
    if source == STANDARD:
        yield sys.stdin.buffer, "standard input"
        return
    try:
        with Path(source).open("rb") as file:
            yield file, source
    except OSError as error:
        raise AetherError(f"{source}: cannot be read ({error.strerror})") from error


@contextmanager
def writing(destination: str) -> Iterator[BinaryIO]:
    """Where to write; a file is written whole or not at all, ``-`` is standard output."""
    if destination == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with atomic_path(destination) as partial, partial.open("wb") as file:
        yield file


def writers_prior(given: str | None, model_id: bytes, token_bits: int) -> Prior:
    """The prior to write with: of a file, the adaptive one, or else the released one of the model.

    Raises:
        AetherError: not a prior, one for other tokens, or none is released.
    """
    from aether_lite.hash.prior import adaptive_prior, load_prior
    from aether_lite.hash.priors import ADAPTIVE, prior_for_model

    if given is None:
        return prior_for_model(model_id, token_bits)
    if given == ADAPTIVE:
        return adaptive_prior(token_bits)
    prior = load_prior(given)
    if prior.token_bits != token_bits:
        raise AetherError(
            f"{given}: prior for tokens of {prior.token_bits} bits, but this bit rate has {token_bits} bits a token"
        )
    return prior


def readers_prior(given: str | None) -> Prior | None:
    """The prior to read with; None for the one that the file names, released or adaptive."""
    from aether_lite.hash.prior import load_prior
    from aether_lite.hash.priors import ADAPTIVE

    return None if given is None or given == ADAPTIVE else load_prior(given)
