"""``aether-lite stream``: one end of a link, or the channel between, as a filter in a pipe."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_MODEL, Model, Vocoder, use_one_core
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from typing import BinaryIO

    from torch import Tensor

    from aether_lite.streaming.link import PowerEstimate

NOISELESS = ("clean", "erasure")  # channels that need no --snr


def stream(
    encode: Annotated[bool, typer.Option("--encode", help="Speech in, symbols out.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Symbols in, speech out.")] = False,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Symbols in and out: one of {CHANNEL_NAMES}.")
    ] = None,
    rate: Annotated[int, typer.Option(metavar="USES", help="Channel uses per second: 150, 300, 500, 600, 700, "
                                      "1000 or 1200.")] = 1000,
    raw: Annotated[bool, typer.Option("--raw", help="Speech is raw 16-bit little-endian, 16 kHz, mono; else a wav.")]
    = False,
    snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 [dB]: of the channel; told to the decoder, which else "
                                   "takes it from the power of the symbols.")
    ] = None,
    noise_variance: Annotated[
        float | None, typer.Option(metavar="N0", help="Told to the decoder instead of --snr.")
    ] = None,
    withheld: Annotated[bool, typer.Option("--withheld", help="Tell the decoder nothing of the noise.")] = False,
    target_snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Es/N0 the encoder designs for; else for any channel.")
    ] = None,
    mute: Annotated[bool, typer.Option(help="Mute long gaps and noise without speech.")] = True,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the channel; same seed, same output.")] = 0,
    state: Annotated[
        str | None, typer.Option(metavar="KIND", help="Gains the channel corrects phases with: exact, estimated or "
                                 "withheld (no correction).")
    ] = None,
    block_ms: Annotated[float | None, typer.Option(metavar="MS", help="rayleigh, rician: length of a block.")] = None,
    doppler_hz: Annotated[
        float | None, typer.Option(metavar="HZ", help="rayleigh, rician: Jakes' Doppler spectrum, not blocks.")
    ] = None,
    k_db: Annotated[float | None, typer.Option(metavar="DB", help="rician: power of the line of sight.")] = None,
    erasure: Annotated[float | None, typer.Option(metavar="P", help="Share of tokens lost, on any channel.")] = None,
    burst_tokens: Annotated[float | None, typer.Option(metavar="N", help="Mean length of a burst of losses.")] = None,
    model: Model = DEFAULT_MODEL,
    vocoder: Vocoder = None,
) -> None:  # fmt: skip
    """Sit in a pipe: speech to symbols, symbols through a channel, or symbols to speech, token by token.

    Symbols are interleaved float32 I, Q (little-endian), without a header; a lost token is NaN.
    """
    if encode + decode + (channel is not None) != 1:
        raise typer.BadParameter("give one of --encode, --decode and --channel NAME")
    if channel is not None and channel not in NOISELESS and snr is None:
        raise typer.BadParameter("needed for every channel but clean and erasure", param_hint="'--snr'")
    if (snr is not None) + (noise_variance is not None) + withheld > 1:
        raise typer.BadParameter("give one of --snr, --noise-variance and --withheld")
    for file, way in ((sys.stdin, "from"), (sys.stdout, "into")):
        if file.isatty():
            raise AetherError(f"standard {'input' if way == 'from' else 'output'} is a terminal; pipe {way} a program")
    use_one_core()
    if encode:
        _encode(rate, raw, target_snr, model)
    elif decode:
        _decode(rate, raw, Knowledge(snr, noise_variance, withheld), mute, model, vocoder)
    else:
        assert channel is not None
        options = {"state": state, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db}
        given = {name: value for name, value in options.items() if value is not None}
        losses = {"erasure": erasure, "burst_tokens": burst_tokens}
        _filter(channel, None if channel == "clean" else snr, rate, seed, losses, given, model)


@dataclass(frozen=True)
class Knowledge:
    """What the decoder is told of the noise.

    Attributes:
        snr_db: Es/N0 [dB], or None.
        variance: N0, or None.
        withheld: tell it nothing. With none of the three it is taken from the power of the symbols.
    """

    snr_db: float | None
    variance: float | None
    withheld: bool

    def noise_variance(self, token: Tensor, power: PowerEstimate) -> float | None:
        """What is told with a token ``[n]``; None where it is withheld."""
        if self.withheld:
            return None
        if self.snr_db is not None:
            return float(10 ** (-self.snr_db / 10))
        return power.update(token) if self.variance is None else self.variance


def _encode(rate: int, raw: bool, target_snr: float | None, model: str) -> None:
    from aether_lite.codec import load
    from aether_lite.streaming import Encoder
    from aether_lite.streaming.link import symbol_bytes
    from aether_lite.streaming.sound import speech_blocks

    encoder = Encoder(load(model), rate, target_snr)
    early: AetherError | None = None
    try:
        for block in speech_blocks(sys.stdin.buffer, raw):
            _put(symbol_bytes(encoder.push(block).values))
    except AetherError as error:  # what came before the early end is sent
        early = error
    _put(symbol_bytes(encoder.flush().values))
    if early is not None:
        raise early


def _decode(rate: int, raw: bool, told: Knowledge, mute: bool, model: str, vocoder: str | None) -> None:
    from aether_lite.channels import uses_per_token
    from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
    from aether_lite.codec import load
    from aether_lite.streaming import Decoder
    from aether_lite.streaming.link import PowerEstimate, symbol_tokens
    from aether_lite.streaming.sound import SpeechWriter

    if told.snr_db is not None:
        checked_number("SNR [dB]", told.snr_db, *SNR_RANGE_DB)
    codec = load(model, vocoder)
    decoder = Decoder(codec, rate, mute=mute)
    uses = int(uses_per_token(rate, codec.token_frames))
    power = PowerEstimate(codec.token_frames / 100)
    speech = SpeechWriter(sys.stdout.buffer, raw)
    early: AetherError | None = None
    try:
        for token in symbol_tokens(sys.stdin.buffer, uses, rate):
            speech.write(decoder.push_symbols(token, told.noise_variance(token, power)).samples)
    except AetherError as error:  # what came before the early end is heard
        early = error
    speech.write(decoder.flush().samples)
    speech.close()
    if early is not None:
        raise early


def _filter(
    name: str,
    snr_db: float | None,
    rate: int,
    seed: int,
    losses: dict[str, Any],
    options: dict[str, Any],
    model: str,
) -> None:
    from aether_lite.channels import Symbols, uses_per_token
    from aether_lite.codec.loading import codec_path, load_codec
    from aether_lite.streaming.channel import StreamChannel
    from aether_lite.streaming.link import symbol_bytes, symbol_tokens, written

    frames = load_codec(codec_path(model))[0].config.token_frames
    link = StreamChannel(name, snr_db, rate, seed=seed, token_frames=frames, **losses, **options)
    for token in symbol_tokens(sys.stdin.buffer, int(uses_per_token(rate, frames)), rate):
        _put(symbol_bytes(written(link.send(Symbols(token[None, None], rate, frames)))))


def _put(data: bytes) -> None:
    """Write to standard output at once."""
    out: BinaryIO = sys.stdout.buffer
    out.write(data)
    out.flush()
