"""Options of a link that ``transmit``, ``stream``, ``live`` and ``demo`` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_HASH_MODEL, DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aether_lite.codec import Codec
    from aether_lite.link import LinkConfig

BSC = "bsc"
NOISELESS = ("clean", "erasure", BSC)  # channels that need no --snr
DEFAULT_RATE = 1000  # uses/s
CSI_WORDS = {"exact": "perfect", "withheld": "none"}  # as they were called before 0.2


def csi_word(word: str | None) -> str | None:
    """``perfect``, ``estimated`` or ``none``; old words are noted on standard error."""
    if word in CSI_WORDS:
        print(f"aether-lite: --csi {word} is now --csi {CSI_WORDS[word]}", file=sys.stderr)
        return CSI_WORDS[word]
    return word


Rate = Annotated[
    int | None,
    typer.Option(metavar="USES", help="Channel uses per second: 150, 300, 500, 600, 700, 1000 or 1200.",
                 show_default=str(DEFAULT_RATE)),
]  # fmt: skip
Bitrate = Annotated[
    int | None,
    typer.Option(metavar="BIT/S", help="Bits of a hash codec instead of symbols: 300, 600, 1200 or 2400 bit/s."),
]
Snr = Annotated[
    float | None,
    typer.Option(metavar="DB", help="Es/N0 of the channel [dB]; needed unless it is clean, erasure or bsc."),
]
Channel = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"One of {CHANNEL_NAMES}, or for bits bsc.", show_default="awgn; for bits bsc"),
]
Ber = Annotated[float | None, typer.Option(metavar="P", help="Bits: error rate of the channel bsc.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the channel; same seed, same output.")]
Csi = Annotated[
    str | None,
    typer.Option(metavar="KIND", callback=csi_word, show_default="estimated",
                 help="Channel state at the receiver: perfect, estimated or none."),
]  # fmt: skip
TargetSnr = Annotated[
    float | None, typer.Option(metavar="DB", help="Es/N0 the encoder of symbols designs for; else for any channel.")
]
BlockMs = Annotated[float | None, typer.Option(metavar="MS", help="rayleigh, rician: length of a block.")]
DopplerHz = Annotated[
    float | None, typer.Option(metavar="HZ", help="rayleigh, rician: Jakes' Doppler spectrum, not blocks.")
]
KDb = Annotated[float | None, typer.Option(metavar="DB", help="rician: power of the line of sight.")]
Erasure = Annotated[float | None, typer.Option(metavar="P", help="Share of tokens lost, on any channel.")]
BurstTokens = Annotated[float | None, typer.Option(metavar="N", help="Mean length of a burst of losses.")]
CodecModel = Annotated[
    str | None,
    typer.Option("--model", help="Released codec by name, or a codec file; it decides between symbols and bits.",
                 metavar="NAME|FILE", show_default=f"{DEFAULT_MODEL}; for bits {DEFAULT_HASH_MODEL}"),
]  # fmt: skip


def chosen_codec(
    model: str | None, vocoder: str | None, of_symbols: Mapping[str, Any], of_bits: Mapping[str, Any]
) -> tuple[str, Codec]:
    """The codec of these options, by name or file and loaded.

    Args:
        model, vocoder: as given; the default model is the one for the options that are given.
        of_symbols, of_bits: options by name that belong to one payload, None or False where they are not given.

    Raises:
        AetherError: no such codec or vocoder.
        typer.BadParameter: an option of the other payload.
    """
    symbols, bits = ([name for name, value in options.items() if value not in (None, False)]
                     for options in (of_symbols, of_bits))  # fmt: skip
    name = model or (DEFAULT_HASH_MODEL if bits else DEFAULT_MODEL)
    from aether_lite.codec import load

    codec = load(name, vocoder)
    sends_bits = codec.unit == "bit/s"
    if wrong := symbols if sends_bits else bits:
        payload, other = ("symbols", "bits") if sends_bits else ("bits", "symbols")
        fitting = f"codec of symbols such as --model {DEFAULT_MODEL}"
        if not sends_bits:
            fitting = f"hash codec such as --model {DEFAULT_HASH_MODEL}"
        raise typer.BadParameter(
            f"is for {payload}, but {name} sends {other}; leave it out, or give a {fitting}",
            param_hint=f"'{wrong[0]}'",
        )
    return name, codec


def check_snr(channel: str, snr: float | None) -> None:
    """Refuse a channel with noise of no stated level."""
    if snr is None and channel not in NOISELESS:
        raise typer.BadParameter(f"needed for every channel but {', '.join(NOISELESS)}", param_hint="'--snr'")


def link_config(channel: str, rate: int, snr_db: float | None, options: Mapping[str, Any], **rest: Any) -> LinkConfig:
    """The link of these options; those of ``options`` that are None are left out, and so is the SNR of ``clean``."""
    from aether_lite.link import LinkConfig

    given = {name: value for name, value in options.items() if value is not None}
    return LinkConfig(channel, rate, None if channel == "clean" else snr_db, options=given, **rest)
