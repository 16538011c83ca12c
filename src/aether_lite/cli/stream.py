"""``aether-lite stream``: encoder, channel or decoder as a filter in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from aether_lite.cli import io, options
from aether_lite.cli.options import BSC, LINK, lower
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from aether_lite.core.codec import CoreCodec
    from aether_lite.link import LinkConfig

T = TypeVar("T")
EMPTY = "standard input: is empty, so nothing is written"


def stream(
    encode: Annotated[bool, typer.Option("--encode", help="Speech in, symbols or bits out.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Symbols or bits in, speech out.")] = False,
    channel: Annotated[str | None, typer.Option(metavar="NAME", callback=lower, help="Symbols in and out: one of "
                                                f"{options.CHANNEL_NAMES}; bits: bsc.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Speech is raw 16-bit little-endian, 16 kHz, mono; else a wav.")]
    = False,
    audio_channel: options.AudioChannel = None,
    gains: Annotated[bool, typer.Option("--gains", help="Symbols: each with the receiver's estimate of its gain, out "
                                        "of the channel and into the decoder.")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="Bits: float32 soft bits out of the channel and into the "
                                       "decoder; else packed bits.")] = False,
    no_header: Annotated[bool, typer.Option("--no-header", help="Symbols and bits without the header that says what "
                                            "they are; the rate is then to be stated.")] = False,
    no_mute: options.NoMute = False,
    rate: options.Rate = None,
    bitrate: options.Bitrate = None,
    snr: Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=LINK, help="Es/N0 in dB of the channel; "
                                              "for the decoder, which else takes it from the power of the symbols.")]
    = None,
    noise_variance: Annotated[float | None, typer.Option(metavar="N0", rich_help_panel=LINK, help="For the decoder "
                                                         "instead of --snr.")] = None,
    ber: Annotated[float | None, typer.Option(metavar="P", rich_help_panel=LINK, help="Bit error rate of bsc; of "
                                              "packed bits into the decoder, which else takes them as right.")] = None,
    csi: Annotated[str | None, typer.Option(metavar="KIND", rich_help_panel=LINK, callback=lower,
                                            show_default="estimated", help="Channel state information (gains, and the "
                                            "error rate in soft bits) out of the channel: perfect, estimated or none; "
                                            "none for a decoder without any.")] = None,
    target_snr: options.TargetSnr = None,
    seed: options.Seed = 0,
    block_ms: options.BlockMs = None,
    doppler_hz: options.DopplerHz = None,
    k_db: options.KDb = None,
    erasure: options.Erasure = None,
    burst_tokens: options.BurstTokens = None,
    model: options.AnyModel = None,
    vocoder: options.Vocoder = None,
) -> None:  # fmt: skip
    """Encode, disturb or decode a stream in a pipe: speech to symbols, symbols over a channel, or symbols to speech.

    Works token by token. Symbols are interleaved float32 I, Q (little-endian); a lost token is NaN. With --gains real
    and imaginary part of the gain follow every symbol. A hash codec as --model, or --bitrate, makes them bits: whole
    bytes for each token, or float32 soft bits. A header before them states the rate, the model and what they are.
    """
    if encode + decode + (channel is not None) != 1:
        raise typer.BadParameter("give one of --encode, --decode and --channel NAME")
    of_symbols = {
        "--rate": rate, "--snr": snr, "--noise-variance": noise_variance, "--gains": gains,
        "--target-snr": target_snr, "--block-ms": block_ms, "--doppler-hz": doppler_hz, "--k-db": k_db,
    }  # fmt: skip
    of_bits = {"--bitrate": bitrate, "--soft": soft, "--ber": ber, "--channel bsc": channel == BSC}
    codec = options.chosen_codec(model, vocoder, of_symbols, of_bits)[1]
    sends_bits = codec.unit == "bit/s"
    if sends_bits:
        _check_bits(encode, channel, soft, ber, erasure)
    if gains and encode:
        raise typer.BadParameter("is for --channel and --decode: what is sent has no gain yet", param_hint="'--gains'")
    if decode and (snr is not None) + (noise_variance is not None) + (csi == "none") > 1:
        raise typer.BadParameter("give one of --snr, --noise-variance and --csi none")
    given = bitrate if sends_bits else rate
    if no_header and given is None and not encode:
        option = "--bitrate" if sends_bits else "--rate"
        raise options.MissingOption(f"a stream without a header does not say it, try {option} {codec.default_rate}",
                                    param_hint=f"'{option}'")  # fmt: skip
    ends = Filter(codec, codec.default_rate if given is None else given, raw, audio_channel, soft, gains)
    if channel is not None:
        fading = {"csi": csi, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db}
        rest = {"seed": seed, "error_rate": ber, "erasure": erasure, "burst_tokens": burst_tokens}
        config = options.link_config(channel, ends.rate, snr, fading, **rest)
        options.check_link(config)
    for file, way in ((sys.stdin, "from"), (sys.stdout, "into")):
        if file.isatty():
            raise AetherError(f"standard {'input' if way == 'from' else 'output'} is a terminal; pipe {way} a program")
    io.check_outputs((io.STANDARD, None), inputs=(io.STANDARD,))
    ends = ends.agreed(encode, decode, given is not None, no_header)
    if encode:
        ends.encode(target_snr)
    elif decode and sends_bits:
        ends.decode_bits(ber, not no_mute)
    elif decode:
        ends.decode_symbols(snr, noise_variance, csi == "none", not no_mute)
    else:
        ends.channel(replace(config, rate=ends.rate))


def _check_bits(encode: bool, channel: str | None, soft: bool, ber: float | None, erasure: float | None) -> None:
    """Refuse options of bits that do not go together."""
    if channel is not None and channel != BSC:
        raise typer.BadParameter("bits go through bsc", param_hint="'--channel'")
    if channel is not None and ber is None:
        raise options.MissingOption("bit error rate of bsc, try --ber 0.01", param_hint="'--ber'")
    if encode and (soft or ber is not None):
        raise typer.BadParameter("an encoder writes packed bits; --soft and --ber are for --channel and --decode")
    if channel is None and soft and ber is not None:
        raise typer.BadParameter("soft bits hold it themselves", param_hint="'--ber'")
    if erasure is not None and not soft:
        raise typer.BadParameter("packed bits cannot mark a lost token; add --soft", param_hint="'--erasure'")


@dataclass(frozen=True)
class Filter:
    """Standard input to standard output.

    Attributes:
        codec: of symbols or of bits.
        rate: [uses/s or bit/s].
        raw: speech without a header.
        audio_channel: of the speech to encode, from 1; None for the mean of all.
        soft: soft bits instead of packed ones, at the decoder's side.
        gains: symbols with gains, at the decoder's side.
        token_frames: frames of 10 ms a token of what comes in or goes out.
        header: bytes before the first symbols or bits that go out.
    """

    codec: CoreCodec
    rate: int
    raw: bool
    audio_channel: int | None
    soft: bool
    gains: bool
    token_frames: int = 0
    header: bytes = b""

    def agreed(self, encode: bool, decode: bool, rate_given: bool, no_header: bool) -> Filter:
        """The filter as the header of the stream that comes in wants it, with the one of the stream that goes out.

        Raises:
            AetherError: no stream, no header, or one that does not fit.
        """
        from aether_lite.streaming import header as headers

        frames = self.codec.token_frames
        if no_header:
            return replace(self, token_frames=frames)
        bits = self.codec.unit == "bit/s"
        plain, received = (headers.PACKED_BITS, headers.SOFT_BITS) if bits else headers.KINDS[:2]
        own = headers.StreamHeader(plain, self.rate, frames, self.codec.weights_id)
        if encode:
            return replace(self, token_frames=frames, header=own.to_bytes())
        found = headers.read_header(sys.stdin.buffer)
        if found is None:
            raise AetherError(EMPTY)
        if decode:
            more = self.soft or self.gains or found.kind == received
            found.check(replace(own, kind=received if more else plain), rate_given)
            return replace(self, rate=found.rate, token_frames=frames, soft=bits and more, gains=more and not bits)
        found.check(replace(own, model_id=found.model_id, token_frames=found.token_frames), rate_given)
        sent = replace(found, kind=received if self.soft or self.gains else plain)
        return replace(self, rate=found.rate, token_frames=found.token_frames, header=sent.to_bytes())

    def encode(self, target_snr_db: float | None) -> None:
        """Speech in, symbols or packed bits out."""
        from aether_lite.payload import Bits
        from aether_lite.streaming import Encoder
        from aether_lite.streaming.pipes import packed_bytes, speech_blocks, symbol_bytes

        encoder, put = Encoder(self.codec, self.rate, target_snr_db), _Output(self.header)

        def write(payload: Any) -> None:
            put(packed_bytes(payload) if isinstance(payload, Bits) else symbol_bytes(payload.values))

        blocks = speech_blocks(sys.stdin.buffer, self.raw, self.audio_channel)
        _pass_on(blocks, lambda block: write(encoder.push(block)), lambda: write(encoder.flush()))

    def decode_symbols(self, snr_db: float | None, variance: float | None, unknown: bool, mute: bool) -> None:
        """Symbols in, speech out; without any word on the noise its variance is estimated from their power."""
        from aether_lite.channels.channel import SNR_RANGE_DB, checked_number
        from aether_lite.streaming import Decoder
        from aether_lite.streaming.channel import PowerEstimate
        from aether_lite.streaming.pipes import SpeechWriter, SymbolToken, symbol_tokens

        if snr_db is not None:
            variance = 10 ** (-checked_number("SNR [dB]", snr_db, *SNR_RANGE_DB) / 10)
        decoder = Decoder(self.codec, self.rate, mute=mute)
        frames = self.codec.token_frames
        power = PowerEstimate(frames / 100, self.codec.symbol_power(self.rate))
        speech = SpeechWriter(sys.stdout.buffer, self.raw)

        def handle(token: SymbolToken) -> None:
            known = power.update(token.values, token.gain) if variance is None and not unknown else variance
            speech.write(decoder.push_symbols(token.values, known, token.gain).samples)

        tokens = symbol_tokens(sys.stdin.buffer, self.rate, frames, self.gains)
        _pass_on(tokens, handle, lambda: speech.close(decoder.flush().samples))

    def decode_bits(self, error_rate: float | None, mute: bool) -> None:
        """Packed or soft bits in, speech out."""
        import numpy as np

        from aether_lite.channels.binary import ERROR_RATE_RANGE
        from aether_lite.channels.channel import checked_number
        from aether_lite.streaming import Decoder
        from aether_lite.streaming.pipes import SpeechWriter, packed_tokens, soft_tokens

        certainty = 1 - 2 * checked_number("ber", error_rate or 0.0, *ERROR_RATE_RANGE)
        decoder = Decoder(self.codec, self.rate, mute=mute)
        speech = SpeechWriter(sys.stdout.buffer, self.raw)
        _pass_on(
            (soft_tokens if self.soft else packed_tokens)(sys.stdin.buffer, self.rate, self.codec.token_frames),
            lambda token: speech.write(decoder.push_bits(np.float32(certainty) * token).samples),
            lambda: speech.close(decoder.flush().samples),
        )

    def channel(self, config: LinkConfig) -> None:
        """Symbols or packed bits in, what is received of them out."""
        from aether_lite.payload import Bits, Symbols
        from aether_lite.streaming.channel import StreamChannel
        from aether_lite.streaming.pipes import (
            SymbolToken,
            packed_bytes,
            packed_tokens,
            received_bytes,
            soft_bytes,
            symbol_tokens,
        )

        frames, put = self.token_frames, _Output(self.header)
        link = StreamChannel(config, frames)
        if config.unit == Bits.unit:
            written = soft_bytes if self.soft else packed_bytes
            _pass_on(
                packed_tokens(sys.stdin.buffer, self.rate, frames),
                lambda bits: put(written(link.send(Bits(_tokens(bits), self.rate, frames)))),
            )
            return

        def send(token: SymbolToken) -> None:
            put(received_bytes(link.send(Symbols(_tokens(token.values), self.rate, frames)), self.gains))

        _pass_on(symbol_tokens(sys.stdin.buffer, self.rate, frames), send)


def _tokens(values: Any) -> Any:
    """One token ``[n]`` as a payload holds it."""
    return values[None, None]


class _Output:
    """Writes symbols or bits to standard output at once, and the header before the first."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def __call__(self, data: bytes) -> None:
        if data:
            sys.stdout.buffer.write(self._header + data)
            sys.stdout.buffer.flush()
            self._header = b""


def _pass_on(pieces: Iterable[T], handle: Callable[[T], None], end: Callable[[], None] = lambda: None) -> None:
    """Handle every piece and then the end; where the input ends early, what came before is passed on first.

    Raises:
        AetherError: no piece came, or what the pieces or their handling raised.
    """
    early: AetherError | None = AetherError(EMPTY)
    came = False
    try:
        for piece in pieces:
            came = True
            handle(piece)
        early = None if came else early
    except AetherError as error:
        early = error
    if came:
        end()
    if early is not None:
        raise early
