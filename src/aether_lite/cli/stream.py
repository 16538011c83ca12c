"""``aether-lite stream``: one end of a link, or the channel between, as a filter in a pipe."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli.options import CHANNEL_NAMES, DEFAULT_HASH_MODEL, DEFAULT_MODEL, Vocoder, use_one_core
from aether_lite.cli.pipes import check_pipes, passed_on, put
from aether_lite.cli.stream_bits import BitLink, decode_bits, encode_bits, filter_bits

if TYPE_CHECKING:
    from aether_lite.streaming.link import LinkToken, PowerEstimate

DEFAULT_RATE = 1000  # [uses/s]
NOISELESS = ("clean", "erasure")  # channels that need no --snr


def stream(
    encode: Annotated[bool, typer.Option("--encode", help="Speech in, symbols or bits out.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Symbols or bits in, speech out.")] = False,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Symbols in and out: one of {CHANNEL_NAMES}; bits: bsc.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(metavar="USES", help="Channel uses per second: 150, 300, 500, 600, 700, 1000 or 1200.",
                                 show_default=str(DEFAULT_RATE))
    ] = None,
    bitrate: Annotated[
        int | None, typer.Option(metavar="BIT/S", help="Bits of a hash codec instead of symbols: 300, 600, 1200 or "
                                 "2400 bit/s.")
    ] = None,
    gains: Annotated[bool, typer.Option("--gains", help="Symbols: each with the receiver's estimate of its gain, out "
                                        "of the channel and into the decoder.")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="Bits: float32 soft bits out of the channel and into the "
                                       "decoder; else packed bits.")] = False,
    ber: Annotated[
        float | None, typer.Option(metavar="P", help="Bits: error rate of bsc; told to a decoder of packed bits, which "
                                   "else takes them as right.")
    ] = None,
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
                                 "withheld (no correction); bits: the error rate in soft bits.")
    ] = None,
    block_ms: Annotated[float | None, typer.Option(metavar="MS", help="rayleigh, rician: length of a block.")] = None,
    doppler_hz: Annotated[
        float | None, typer.Option(metavar="HZ", help="rayleigh, rician: Jakes' Doppler spectrum, not blocks.")
    ] = None,
    k_db: Annotated[float | None, typer.Option(metavar="DB", help="rician: power of the line of sight.")] = None,
    erasure: Annotated[float | None, typer.Option(metavar="P", help="Share of tokens lost, on any channel.")] = None,
    burst_tokens: Annotated[float | None, typer.Option(metavar="N", help="Mean length of a burst of losses.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Released codec by name, or a codec file.", metavar="NAME|FILE",
                                 show_default=f"{DEFAULT_MODEL}; with --bitrate {DEFAULT_HASH_MODEL}")
    ] = None,
    vocoder: Vocoder = None,
) -> None:  # fmt: skip
    """Sit in a pipe: speech to symbols, symbols through a channel, or symbols to speech, token by token.

    Symbols are interleaved float32 I, Q (little-endian), without a header; a lost token is NaN. With --gains real and
    imaginary part of the gain follow every symbol. With --bitrate they are bits: whole bytes for each token, or float32
    soft bits.
    """
    if encode + decode + (channel is not None) != 1:
        raise typer.BadParameter("give one of --encode, --decode and --channel NAME")
    link = None if bitrate is None else BitLink(bitrate, soft, ber, model or DEFAULT_HASH_MODEL)
    of_symbols = (rate, snr, noise_variance, target_snr, block_ms, doppler_hz, k_db, withheld or None, gains or None)
    if link is not None:
        if any(value is not None for value in of_symbols):
            raise typer.BadParameter("is for bits: they have no --rate, SNR, fading or gains", param_hint="'--bitrate'")
        link.check(encode, channel, erasure)
    elif soft or ber is not None:
        raise typer.BadParameter("--soft and --ber are for bits; give --bitrate")
    elif channel is not None and channel not in NOISELESS and snr is None:
        raise typer.BadParameter("needed for every channel but clean and erasure", param_hint="'--snr'")
    if gains and encode:
        raise typer.BadParameter("is for --channel and --decode: what is sent has no gain yet", param_hint="'--gains'")
    if (snr is not None) + (noise_variance is not None) + withheld > 1:
        raise typer.BadParameter("give one of --snr, --noise-variance and --withheld")
    check_pipes()
    use_one_core()
    uses_per_s = DEFAULT_RATE if rate is None else rate
    state_kind = {} if state is None else {"state": state}
    losses = {"erasure": erasure, "burst_tokens": burst_tokens}
    if link is not None and encode:
        encode_bits(link, raw)
    elif link is not None and decode:
        decode_bits(link, raw, mute, vocoder)
    elif link is not None:
        filter_bits(link, seed, {**state_kind, **losses})
    elif encode:
        _encode(uses_per_s, raw, target_snr, model or DEFAULT_MODEL)
    elif decode:
        _decode(uses_per_s, gains, raw, Knowledge(snr, noise_variance, withheld), mute, model or DEFAULT_MODEL, vocoder)
    else:
        assert channel is not None
        fading = {"block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db}
        given = {name: value for name, value in fading.items() if value is not None}
        snr_db = None if channel == "clean" else snr
        _filter(channel, snr_db, uses_per_s, gains, seed, losses, {**state_kind, **given}, model or DEFAULT_MODEL)


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

    def noise_variance(self, token: LinkToken, power: PowerEstimate) -> float | None:
        """What is told with a token; None where it is withheld."""
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
    passed_on(
        speech_blocks(sys.stdin.buffer, raw),
        lambda block: put(symbol_bytes(encoder.push(block).values)),
        lambda: put(symbol_bytes(encoder.flush().values)),
    )


def _decode(rate: int, gains: bool, raw: bool, told: Knowledge, mute: bool, model: str, vocoder: str | None) -> None:
    from aether_lite.channels.parameters import SNR_RANGE_DB, checked_number
    from aether_lite.codec import load
    from aether_lite.payload import elements_per_token
    from aether_lite.streaming import Decoder
    from aether_lite.streaming.link import PowerEstimate, symbol_tokens
    from aether_lite.streaming.sound import SpeechWriter

    if told.snr_db is not None:
        checked_number("SNR [dB]", told.snr_db, *SNR_RANGE_DB)
    codec = load(model, vocoder)
    decoder = Decoder(codec, rate, mute=mute)
    uses = elements_per_token(rate, codec.token_frames)
    power = PowerEstimate(codec.token_frames / 100, codec.model.symbol_power(rate))
    speech = SpeechWriter(sys.stdout.buffer, raw)
    passed_on(
        symbol_tokens(sys.stdin.buffer, uses, rate, gains),
        lambda token: speech.write(
            decoder.push_symbols(token.values, told.noise_variance(token, power), token.gain).samples
        ),
        lambda: speech.close(decoder.flush().samples),
    )


def _filter(
    name: str,
    snr_db: float | None,
    rate: int,
    gains: bool,
    seed: int,
    losses: dict[str, Any],
    options: dict[str, Any],
    model: str,
) -> None:
    from aether_lite.codec.loading import codec_path, load_codec
    from aether_lite.payload import Symbols, elements_per_token
    from aether_lite.streaming.channel import StreamChannel
    from aether_lite.streaming.link import phase_corrected, symbol_bytes, symbol_tokens, with_gains

    frames = load_codec(codec_path(model))[0].config.token_frames
    link = StreamChannel(name, snr_db, rate, seed=seed, token_frames=frames, **losses, **options)
    for token in symbol_tokens(sys.stdin.buffer, elements_per_token(rate, frames), rate):
        received = link.send(Symbols(token.values[None, None], rate, frames))
        put(symbol_bytes(*with_gains(received)) if gains else symbol_bytes(phase_corrected(received)))
