"""What the commands around ``.aeth`` files share: opening, writing, the prior that is meant, numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.console import number, summary
from aether_lite.cli.files import STANDARD
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from typing import BinaryIO

    from rich.console import Console

    from aether_lite.codec import Codec
    from aether_lite.container.layout import Header
    from aether_lite.container.prior import Prior

SUFFIX = ".aeth"
SAMPLE_RATE = 16_000  # [Hz]

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
    from aether_lite.container.prior import ADAPTIVE, adaptive_prior, load_prior, prior_for_model

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
    from aether_lite.container.prior import ADAPTIVE, load_prior

    return None if given is None or given == ADAPTIVE else load_prior(given)


def numbers(
    source: str, destination: str, header: Header, samples: int, tokens: int, size: int, model: str, codec: Codec
) -> dict[str, Any]:
    """What ``encode`` and ``decode`` both tell of a file of ``size`` bytes."""
    from aether_lite import __version__

    seconds = samples / SAMPLE_RATE
    return {
        "input": source,
        "output": destination,
        "version": __version__,
        "seconds": seconds,
        "samples": samples,
        "tokens": tokens,
        "bit_rate": header.bit_rate,
        "entropy_coded": header.prior_id is not None,
        "bytes": size,
        "bits_per_s": 8 * size / seconds,
        "model": model,
        "model_id": header.model_id.hex(),
        "prior_id": None if header.prior_id is None else header.prior_id.hex(),
        "provenance": codec.provenance,
    }


def summarise(out: Console, record: dict[str, Any], damage: str = "") -> None:
    """The numbers that matter, on standard error."""
    coded = ", entropy coded" if record["entropy_coded"] else ""
    speed = ", ".join(f"{part} {number(value)}" for part, value in record["real_time_factor"].items())
    rows = [
        ("speech", f"{number(record['seconds'], 2, 's')}, {record['tokens']} tokens"),
        ("bit rate", f"{record['bit_rate']} bit/s{coded}; with everything {number(record['bits_per_s'], 0, 'bit/s')}"),
        ("size", f"{record['bytes']} bytes"),
        *([("damage", damage)] if damage else []),
        ("real-time factor", speed),
    ]  # fmt: skip
    summary(out, f"{record['input']} -> {record['output']}", rows)
