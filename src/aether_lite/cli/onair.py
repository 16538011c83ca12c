"""``aether-lite onair``: a file for a transmitter, as a distant receiver gives it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, console, number, summary
from aether_lite.cli.options import LINK, lower
from aether_lite.errors import AetherError

FADING, RECEIVER = "Propagation", "Receiver"  # panels of --help
AUDIO_RATES = (8_000, 16_000, 44_100, 48_000)  # [Hz] of files for and from radios

AudioRate = Annotated[int, typer.Option("--sample-rate", metavar="HZ", rich_help_panel=options.RESULTS,
                                        help="Of the radio's side: 8000, 16000, 44100 or 48000.")]


def onair(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio for a transmitter, such as `tx` writes; - for a "
                                          "wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT", help=".wav, .flac or .ogg; - for a wav on stdout.")],
    snr3k: Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=LINK, show_default="no noise",
                                                help="Mean signal power over that of the noise in 3 kHz.")] = None,
    channel: Annotated[str, typer.Option(metavar="NAME", rich_help_panel=LINK, callback=lower,
                                         help="awgn, mpg, mpp or mpd.")] = "awgn",
    offset: Annotated[float, typer.Option(metavar="HZ", rich_help_panel=FADING, help="Frequency offset.")] = 0.0,
    drift: Annotated[float, typer.Option(metavar="HZ/S", rich_help_panel=FADING, help="Its change.")] = 0.0,
    ppm: Annotated[float, typer.Option(metavar="PPM", rich_help_panel=FADING, help="How much faster the sender's "
                                       "sample clock is.")] = 0.0,
    lead: Annotated[float, typer.Option(metavar="S", rich_help_panel=FADING, help="Noise alone before.")] = 0.0,
    tail: Annotated[float, typer.Option(metavar="S", rich_help_panel=FADING, help="Noise alone behind.")] = 0.0,
    carrier: Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=FADING, show_default="none",
                                                  help="Power of a steady carrier relative to the signal.")] = None,
    carrier_hz: Annotated[float, typer.Option(metavar="HZ", rich_help_panel=FADING, help="Its frequency.")] = 1000.0,
    passband: Annotated[str, typer.Option(metavar="NAME", rich_help_panel=RECEIVER, callback=lower, help="none, "
                                          "ssb (300-2700 Hz) or tight (400-2600 Hz).")] = "none",
    gain: Annotated[float, typer.Option(metavar="DB", rich_help_panel=RECEIVER, help="Gain; beyond full scale it "
                                        "clips.")] = 0.0,
    seed: options.Seed = 0,
    sample_rate: AudioRate = 8_000,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Simulate a radio link for audio: noise, fading, frequency offset, clock difference, a receiver's filter.

    Of several overs in one file the SNR is that of their mean power while they are on.
    """
    check_rate(sample_rate)
    io.check_input(source)
    suffixes = (".wav", ".flac", ".ogg")
    io.check_outputs((destination, suffixes), (json, None), inputs=(source,), force=force)
    from aether_lite.audio import read_audio, write_audio
    from aether_lite.modem.onair import OnAir

    link = OnAir(snr3k, channel, offset, drift, ppm, lead, tail, carrier, carrier_hz, passband, gain, seed)
    samples = read_audio(source).astype(float)
    try:
        received = link.receive(samples, SAMPLE_RATE)
    except AetherError as error:
        raise AetherError(f"{source}: {error}") from error
    import soxr

    if sample_rate != SAMPLE_RATE:
        received = soxr.resample(received, SAMPLE_RATE, sample_rate, quality="HQ")
    write_audio(destination, received, sample_rate)
    seconds = len(received) / sample_rate
    ends = {"input": source, "output": destination, "sample_rate": sample_rate, "seconds": seconds}
    io.write_json(json, {**ends, **asdict(link)})
    noise = "no noise" if snr3k is None else f"SNR3k {number(snr3k, 1, 'dB')}"
    rows = [("channel", f"{channel}, {noise}"), ("length", number(seconds, 2, "s"))]
    summary(console(quiet), f"{source} -> {destination}", rows)


def check_rate(sample_rate: int) -> None:
    """Refuse a sample rate that no sound card of a radio has."""
    if sample_rate not in AUDIO_RATES:
        raise typer.BadParameter(f"is one of {', '.join(map(str, AUDIO_RATES))}", param_hint="'--sample-rate'")
