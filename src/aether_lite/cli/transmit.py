"""``aether-lite transmit``: a file through the whole chain and a noisy channel."""

from __future__ import annotations

from typing import Annotated

import typer

from aether_lite.cli import files
from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_MODEL, Model, Quiet, Vocoder, use_one_core

NOISELESS = ("clean", "erasure")  # channels that need no --snr


def transmit(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on stdout.")
    ],
    snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 [dB]. Needed unless the channel is clean or erasure.")
    ] = None,
    rate: Annotated[int, typer.Option(metavar="USES", help="Channel uses per second: 150, 300, 500, 600, 700, "
                                      "1000 or 1200.")] = 1000,
    channel: Annotated[str, typer.Option(metavar="NAME", help=f"One of {CHANNEL_NAMES}.")] = "awgn",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the channel; same seed, same output.")] = 0,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write all numbers; - for stdout.")] = None,
    picture: Annotated[str | None, typer.Option(metavar="PNG", help="Draw what was sent and received.")] = None,
    model: Model = DEFAULT_MODEL,
    vocoder: Vocoder = None,
    target_snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 the encoder designs for; else for any channel.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="KIND", help="What the receiver knows: exact, estimated or withheld.")
    ] = None,
    block_ms: Annotated[float | None, typer.Option(metavar="MS", help="rayleigh, rician: length of a block.")] = None,
    doppler_hz: Annotated[
        float | None, typer.Option(metavar="HZ", help="rayleigh, rician: Jakes' Doppler spectrum, not blocks.")
    ] = None,
    k_db: Annotated[float | None, typer.Option(metavar="DB", help="rician: power of the line of sight.")] = None,
    erasure: Annotated[float | None, typer.Option(metavar="P", help="Share of tokens lost, on any channel.")] = None,
    burst_tokens: Annotated[float | None, typer.Option(metavar="N", help="Mean length of a burst of losses.")] = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Send a file through the codec and a noisy channel; the output has the input's length and lines up with it."""
    if snr is None and channel not in NOISELESS:
        raise typer.BadParameter("needed for every channel but clean and erasure", param_hint="'--snr'")
    files.check_distinct((destination, json, picture))
    files.check_output(destination, (*files.AUDIO_OUT, files.FEATURES))
    if json is not None:
        files.check_output(json)
    if picture is not None:
        files.check_output(picture, (".png", ".pdf", ".svg"))
    from aether_lite.cli.transmission import Job, Transmission
    from aether_lite.evaluation.links import Link

    given = {"state": state, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db}
    link = Link(
        channel=channel,
        rate=rate,
        snr_db=None if channel == "clean" else snr,
        seed=seed,
        target_snr_db=target_snr,
        erasure=erasure,
        burst_tokens=burst_tokens,
        options={name: value for name, value in given.items() if value is not None},
    )
    use_one_core()
    link.check()
    job = Job(source, destination, json, picture, model, vocoder)
    Transmission(job, link, quiet).run()
