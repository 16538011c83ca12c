"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer


def use_one_core() -> None:
    """Compute on one core: real-time factors are of one core, and no bit depends on how many there are.

    The products are too small to gain from more, and lose much where cores are busy.
    """
    import torch

    torch.set_num_threads(1)


def use_cores(refine: int) -> None:
    """Compute on one core, but on all for refinement, whose products are larger."""
    if not refine:
        use_one_core()


RENAMED = {"--search": "--refine", "--state": "--csi", "--withheld": "--csi=none"}
"""Options by their names before 0.2, which go in 0.3."""
RENAMED_IN = ("transmit", "encode", "stream", "live", "bench")


def with_new_names(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command with new names in place of old ones, each noted on standard error unless it is quiet."""
    if not arguments or arguments[0] not in RENAMED_IN:
        return list(arguments)
    current = []
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if name in RENAMED and not {"-q", "--quiet"} & set(arguments):
            print(f"aether-lite: {name} is now {RENAMED[name]}; the old name goes in 0.3", file=sys.stderr)
        current.append(RENAMED.get(name, name) + separator + value)
    return current


CHANNEL_NAMES = "awgn, rayleigh, rician, mpg, mpp, mpd, erasure or clean"
DEFAULT_MODEL = "small"
DEFAULT_HASH_MODEL = "hash_small"

Model = Annotated[str, typer.Option(help="Released codec by name, or a codec file.", metavar="NAME|FILE")]
HashModel = Annotated[
    str, typer.Option("--model", help="Released hash codec by name, or a file of one.", metavar="NAME|FILE")
]
Refine = Annotated[
    int,
    typer.Option(
        "--refine", metavar="STEPS", min=0, max=1000,
        help="Refine what is sent by gradient descent, not live: 20 steps for bits, 40 for symbols. Extra `listener`.",
    ),
]  # fmt: skip
Vocoder = Annotated[
    str | None,
    typer.Option(
        "--vocoder", "--fargan-ckpt", help="Vocoder weights, .pth or .safetensors, or released ones by name.",
        metavar="NAME|FILE", show_default=False,
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
