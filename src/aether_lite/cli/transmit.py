"""``aether-lite transmit``: a file through the whole chain and a noisy channel."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aether_lite.cli import files
from aether_lite.cli.options import (
    CHANNEL_NAMES,
    DEFAULT_HASH_MODEL,
    DEFAULT_MODEL,
    Model,
    Quiet,
    Search,
    Vocoder,
    use_cores,
)
from aether_lite.errors import AetherError

NOISELESS = ("clean", "erasure", "bsc")  # channels that need no --snr
DEFAULT_RATE = 1000  # uses/s
DEFAULT_BITRATE = 600  # bit/s


def transmit(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on stdout.")
    ],
    snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 [dB]. Needed unless the channel is clean, erasure or bsc.")
    ] = None,
    rate: Annotated[int | None, typer.Option(metavar="USES", help="Channel uses per second: 150, 300, 500, 600, 700, "
                                             "1000 or 1200.  [default: 1000]", show_default=False)] = None,
    channel: Annotated[str | None, typer.Option(metavar="NAME", help=f"One of {CHANNEL_NAMES}; with --digital also "
                                                "bsc.  [default: awgn; bsc with --digital]", show_default=False)
                       ] = None,
    digital: Annotated[bool, typer.Option("--digital", help="Send bits of a hash codec instead of symbols.")] = False,
    bitrate: Annotated[int | None, typer.Option(metavar="B", help="With --digital: 300, 600, 1200 or 2400 bit/s.  "
                                                "[default: 600]", show_default=False)] = None,
    ber: Annotated[float | None, typer.Option(metavar="P", help="With --digital: bit error rate of the channel bsc."
                                              )] = None,
    modulation: Annotated[str | None, typer.Option(metavar="NAME", help="With --digital: bpsk or qpsk on channels of "
                                                   "symbols.  [default: qpsk]", show_default=False)] = None,
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
    search: Search = 0,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Send a file through the codec and a noisy channel; the output has the input's length and lines up with it."""
    name = channel or ("bsc" if digital else "awgn")
    if snr is None and name not in NOISELESS:
        raise typer.BadParameter("needed for every channel but clean, erasure and bsc", param_hint="'--snr'")
    files.check_distinct((destination, json, picture))
    files.check_output(destination, (*files.AUDIO_OUT, files.FEATURES))
    if json is not None:
        files.check_output(json)
    if picture is not None:
        files.check_output(picture, (".png", ".pdf", ".svg"))
    from aether_lite.cli.transmission import Job, Transmission
    from aether_lite.link.bit_config import BitLink
    from aether_lite.link.config import Link

    given = {"state": state, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db}
    shared: dict[str, Any] = {
        "channel": name,
        "snr_db": None if name == "clean" else snr,
        "seed": seed,
        "erasure": erasure,
        "burst_tokens": burst_tokens,
        "options": {option: value for option, value in given.items() if value is not None},
    }
    only = {"--bitrate": bitrate, "--ber": ber, "--modulation": modulation}
    link: Link | BitLink
    if digital:
        _refuse({"--rate": rate, "--target-snr": target_snr}, "is of symbols and does not go with --digital")
        if name == "bsc":
            _refuse({"--modulation": modulation}, "is of channels of symbols, and bsc takes bits")
        link = BitLink(
            **shared,
            rate=DEFAULT_BITRATE if bitrate is None else bitrate,
            error_rate=ber,
            modulation="qpsk" if modulation is None else modulation,  # type: ignore[arg-type]
        )
        model = DEFAULT_HASH_MODEL if model == DEFAULT_MODEL else model
    else:
        _refuse(only, "is of bits; give --digital too")
        if search and target_snr is None:
            if shared["snr_db"] is None:
                raise AetherError(f"--search of symbols over {name} needs --target-snr: the noise that they are for")
            target_snr = snr
        link = Link(**shared, rate=DEFAULT_RATE if rate is None else rate, target_snr_db=target_snr)
    use_cores(search)
    link.check()
    Transmission(Job(source, destination, json, picture, model, vocoder, search), link, quiet).run()


def _refuse(options: dict[str, Any], reason: str) -> None:
    """Refuse options that were given and cannot be."""
    for option, value in options.items():
        if value is not None:
            raise AetherError(f"{option} {reason}")
