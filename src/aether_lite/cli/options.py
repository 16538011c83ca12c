"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer


def use_one_core() -> None:
    """Compute on one core: real-time factors are of one core, and no bit depends on how many there are.

    The products are too small to gain from more, and lose much where cores are busy.
    """
    import torch

    torch.set_num_threads(1)


def use_cores(search: int) -> None:
    """Compute on one core, but on all for a search, whose products are larger."""
    if not search:
        use_one_core()


CHANNEL_NAMES = "awgn, rayleigh, rician, mpg, mpp, mpd, erasure or clean"
DEFAULT_MODEL = "small"
DEFAULT_HASH_MODEL = "hash_small"

Model = Annotated[str, typer.Option(help="Released codec by name, or a codec file.", metavar="NAME|FILE")]
HashModel = Annotated[
    str, typer.Option("--model", help="Released hash codec by name, or a file of one.", metavar="NAME|FILE")
]
Search = Annotated[
    int,
    typer.Option(
        "--search", metavar="STEPS", min=0, max=1000,
        help="Search for something better to send: not live. 20 steps do for bits, 40 for symbols. Extra `listener`.",
    ),
]  # fmt: skip
Vocoder = Annotated[
    str | None,
    typer.Option(
        "--vocoder", "--fargan-ckpt", help="FARGAN weights, .pth or .safetensors, or released ones by name.",
        metavar="NAME|FILE", show_default=False,
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
