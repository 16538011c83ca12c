"""``aether-lite tx`` and ``rx``: speech to audio for a transmitter, and a receiver's audio to speech."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, console, number, summary
from aether_lite.cli.onair import AudioRate, check_rate
from aether_lite.cli.options import LINK, lower
from aether_lite.errors import AetherError
from aether_lite.files import write_text
from aether_lite.optional import require_packages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aether_lite.core.codec import CoreCodec
    from aether_lite.modem import OverReport, Profile, Reception
    from aether_lite.streaming import Decoder

DEFAULT_RATE, DEFAULT_PROFILE = 700, "narrow"

Raw = Annotated[bool, typer.Option("--raw", help="Standard input and output are raw 16-bit little-endian mono samples; "
                                   "else a wav.")]
ProfileName = Annotated[str | None, typer.Option("--profile", metavar="NAME", rich_help_panel=LINK, callback=lower,
                                                 help="narrow, wide16 (1.6 kHz) or wide24 (2.4 kHz).")]


def tx(
    source: Annotated[str, typer.Argument(metavar="SPEECH", help="Audio; - for a wav on stdin, block by block.")],
    destination: Annotated[str, typer.Argument(metavar="RADIO", help=".wav or .flac for a transmitter; - for a wav on "
                                               "stdout.")],
    rate: Annotated[int, typer.Option(metavar="USES", rich_help_panel=LINK, help="Channel uses per second: 150, 300, "
                                      "500, 600, 700 or 1000.")] = DEFAULT_RATE,
    profile: ProfileName = DEFAULT_PROFILE,
    callsign: Annotated[str, typer.Option(metavar="TEXT", rich_help_panel=LINK, help="Up to ten characters that are "
                                          "sent along.")] = "",
    papr: Annotated[float, typer.Option(metavar="DB", rich_help_panel=LINK, help="Peak to average power of the "
                                        "envelope, 3.3 to 12 dB.")] = 4.0,
    sample_rate: AudioRate = 8_000,
    raw: Raw = False,
    audio_channel: options.AudioChannel = None,
    model: options.Model = options.DEFAULT_MODEL,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Turn speech into audio that a transmitter sends: OFDM around 1500 Hz, in an SSB transmitter's passband."""
    check_rate(sample_rate)
    io.check_input(source)
    io.check_outputs((destination, (".wav", ".flac")), (json, None), inputs=(source, model), force=force)
    from aether_lite.modem import Message, Transmitter, find

    waveform = find(profile or DEFAULT_PROFILE, rate)
    codec = options.chosen_codec(model, None, {"--rate": rate}, {})[1]
    _check_codec(codec, model)
    transmitter = Transmitter(waveform, Message(callsign, weights_byte(codec)), papr)
    pieces = _at_rate(_sent(codec, rate, transmitter, _blocks(source, raw, audio_channel)), sample_rate)
    samples = _written(pieces, destination, raw, sample_rate)
    seconds = samples / sample_rate
    record = {
        "input": source, "output": destination, "model": model, "profile": waveform.name, "rate_uses_per_s": rate,
        "bandwidth_hz": waveform.bandwidth_hz, "text": callsign, "papr_db": papr, "sample_rate": sample_rate,
        "seconds": seconds,
    }  # fmt: skip
    io.write_json(json, record)
    rows = [
        ("waveform", f"{waveform.name}, {rate} uses/s, {waveform.bandwidth_hz:.0f} Hz around 1500 Hz"),
        ("length", number(seconds, 2, "s")),
    ]
    summary(console(quiet), f"{source} -> {destination}", rows)


def rx(
    source: Annotated[str, typer.Argument(metavar="RADIO", help="A receiver's audio; - for a wav on stdin, block by "
                                          "block.")],
    destination: Annotated[str, typer.Argument(metavar="SPEECH", help=".wav, .flac, .ogg, .pcm, or features (.f32); - "
                                               "for a wav on stdout.")],
    profile: ProfileName = None,
    rate: Annotated[int | None, typer.Option(metavar="USES", rich_help_panel=LINK, show_default="any",
                                             help="Look for this rate alone.")] = None,
    mirrored: Annotated[bool, typer.Option("--mirrored", rich_help_panel=LINK, help="The other sideband was received: "
                                           "mirror frequencies at 1500 Hz.")] = False,
    sample_rate: Annotated[int, typer.Option("--sample-rate", metavar="HZ", help="Of raw samples on standard input: "
                                             "8000, 16000, 44100 or 48000.")] = 8_000,
    raw: Raw = False,
    audio_channel: options.AudioChannel = None,
    no_mute: options.NoMute = False,
    model: options.Model = options.DEFAULT_MODEL,
    vocoder: options.Vocoder = None,
    picture: Annotated[str | None, typer.Option(metavar="PNG", rich_help_panel=options.RESULTS, help="Draw what was "
                                                "received (.png, .pdf or .svg).")] = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Find the transmissions in a receiver's audio and decode their speech, one over after the other.

    Nothing but the audio is used: start, frequency, clock, rate and profile are found in it.
    """
    check_rate(sample_rate)
    io.check_input(source)
    suffixes = (*io.AUDIO_OUT, io.FEATURES)
    outputs = ((destination, suffixes), (json, None), (picture, io.PICTURES))
    io.check_outputs(*outputs, inputs=(source, model, vocoder), force=force)
    if picture is not None:
        require_packages("--picture", ("matplotlib",), "demo")
    profiles = _wanted(profile, rate)
    codec = options.chosen_codec(model, vocoder, {}, {})[1]
    _check_codec(codec, model)
    from aether_lite.modem import Receiver

    listener = Listener(codec, Receiver(profiles, mirrored), not no_mute, [] if picture else None)
    pieces = listener.speech(_blocks(source, raw, audio_channel, sample_rate))
    if io.suffix_of(destination) == io.FEATURES:
        for _ in pieces:
            pass
        _write_rows(destination, listener.rows())
    else:
        _written(pieces, destination, raw, SAMPLE_RATE)
    overs = [_described(report, codec) for report in listener.reports]
    ends = {"input": source, "output": destination, "model": model}
    record = {**ends, "seconds": listener.samples / SAMPLE_RATE, "overs": overs}
    if picture is not None:
        from aether_lite.plots.radio import radio_picture

        radio_picture(picture, listener.audio(), listener.reports, listener.constellation, f"{source}")
    io.write_json(json, record)
    rows = [(f"over {place}", _line(over)) for place, over in enumerate(overs, 1)]
    summary(console(quiet), f"{source} -> {destination}", rows or [("overs", "no transmission was found")])


@dataclass
class Listener:
    """A receiver, and a decoder for each over.

    Attributes:
        codec: decodes.
        receiver: finds.
        mute: whether long gaps and noise are muted.
        recorded: pieces of the audio for a picture, None without one.
    """

    codec: CoreCodec
    receiver: Any
    mute: bool
    recorded: list[NDArray[Any]] | None
    samples: int = 0  # that came in
    reports: list[OverReport] = field(default_factory=list)
    constellation: list[NDArray[Any]] = field(default_factory=list)
    _features: list[NDArray[Any]] = field(default_factory=list)
    _decoder: Decoder | None = None

    def speech(self, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Decoded speech ``[n]`` as it becomes known."""
        for block in blocks:
            self.samples += len(block)
            if self.recorded is not None:
                self.recorded.append(block)
            yield from map(self._decoded, self.receiver.push(block))
        yield from map(self._decoded, self.receiver.flush())

    def rows(self) -> NDArray[Any]:
        """Decoded features ``[F, 20]`` of all overs."""
        import numpy as np

        return np.concatenate([np.zeros((0, 20), np.float32), *self._features])

    def audio(self) -> NDArray[Any]:
        """What came in ``[N]``."""
        import numpy as np

        return np.concatenate(self.recorded or [np.zeros(0)])

    def _decoded(self, reception: Reception) -> NDArray[Any]:
        """Speech of one reception."""
        import numpy as np

        from aether_lite.payload import ChannelState, Received
        from aether_lite.streaming import Decoder

        report = reception.over
        if self._decoder is None:
            self.reports.append(report)
            self._decoder = Decoder(self.codec, report.profile.rate, mute=self.mute)
        decoder, pieces = self._decoder, []
        for frame in reception.frames:
            values: Any = np.where(frame.erased, 0, frame.values).astype(np.complex64)[None]
            erased: Any = np.full(values.shape[:2], frame.erased)
            gain: Any = frame.gain.astype(np.complex64)[None]
            noise: Any = frame.noise_variance.astype(np.float32)[None]
            state = ChannelState(gain, noise, erased)
            pieces.append(decoder.push(Received(values, report.profile.rate, state, self.codec.token_frames)))
            if self.recorded is not None:
                self.constellation.append(frame.values.ravel() / np.sqrt(np.square(frame.gain).mean() + 1e-30))
        if reception.ended:
            pieces.append(decoder.flush())
            self._decoder = None
        self._features += [piece.features for piece in pieces]
        return np.concatenate([np.zeros(0, np.float32), *(piece.samples for piece in pieces)])


def weights_byte(codec: CoreCodec) -> int:
    """The first byte of the identity of a codec's weights."""
    return codec.weights_id[0]


def _check_codec(codec: CoreCodec, name: str) -> None:
    """Refuse a codec whose tokens do not fit a frame."""
    from aether_lite.modem.profiles import FRAME_S, TOKENS

    if codec.unit != "uses/s":
        raise AetherError(f"{name}: sends bits; give a codec of symbols such as --model {options.DEFAULT_MODEL}")
    if round(FRAME_S * 100 / TOKENS) != codec.token_frames:
        raise AetherError(f"{name}: has tokens of {10 * codec.token_frames} ms; the waveform carries those of 40 ms")


def _wanted(profile: str | None, rate: int | None) -> list[Profile]:
    """The profiles that are looked for."""
    from aether_lite.modem import NAMES, PROFILES, find

    if profile is not None and rate is not None:
        return [find(profile, rate)]
    if profile is not None and profile not in NAMES:
        raise AetherError(f"unknown profile {profile!r}; known: {', '.join(NAMES)}")
    chosen = [each for each in PROFILES if profile in (None, each.name) and rate in (None, each.rate)]
    if not chosen:
        find(NAMES[0], rate or 0)  # says which rates there are
    return chosen


def _blocks(
    source: str, raw: bool, audio_channel: int | None, sample_rate: int = SAMPLE_RATE
) -> Iterator[NDArray[Any]]:
    """Audio at 16 kHz of a file, or of standard input as it arrives."""
    if source == io.STANDARD:
        from aether_lite.streaming.pipes import speech_blocks

        return speech_blocks(sys.stdin.buffer, raw, audio_channel, sample_rate)
    from aether_lite.audio import audio_blocks

    return audio_blocks(source, audio_channel)


def _sent(codec: CoreCodec, rate: int, transmitter: Any, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Audio at 16 kHz of speech, as it becomes known."""
    from aether_lite.streaming import Encoder

    encoder = Encoder(codec, rate)
    for block in blocks:
        yield transmitter.push(encoder.push(block).values[0])
    yield transmitter.push(encoder.flush().values[0])
    yield transmitter.flush()


def _at_rate(pieces: Iterable[NDArray[Any]], sample_rate: int) -> Iterator[NDArray[Any]]:
    """Pieces at 16 kHz at another rate."""
    import numpy as np
    import soxr

    resampler = soxr.ResampleStream(SAMPLE_RATE, sample_rate, 1, dtype="float32", quality="HQ")
    for piece in pieces:
        if len(piece):
            yield piece if sample_rate == SAMPLE_RATE else resampler.resample_chunk(piece.astype(np.float32))
    if sample_rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _written(pieces: Iterable[NDArray[Any]], destination: str, raw: bool, sample_rate: int) -> int:
    """Write audio, to standard output as it becomes known, and count its samples."""
    import numpy as np

    if destination != io.STANDARD:
        from aether_lite.audio import write_audio

        audio = np.concatenate([np.zeros(0, np.float32), *pieces])
        write_audio(destination, audio, sample_rate)
        return len(audio)
    from aether_lite.streaming.pipes import SpeechWriter

    writer, samples = SpeechWriter(sys.stdout.buffer, raw, sample_rate), 0
    for piece in pieces:
        if len(piece):
            writer.write(piece)
            samples += len(piece)
    writer.close(np.zeros(0, np.float32))
    return samples


def _write_rows(destination: str, rows: NDArray[Any]) -> None:
    """Write features ``[F, 20]``; without a transmission the file is empty, as that of samples is."""
    if len(rows) == 0:
        write_text(destination, "")
    else:
        from aether_lite.features import write_f32

        write_f32(destination, rows)


def _described(report: OverReport, codec: CoreCodec) -> dict[str, Any]:
    """An over for JSON."""
    snr = report.snr3k_db
    return {
        "profile": report.profile.name,
        "rate_uses_per_s": report.profile.rate,
        "start_s": report.start_s,
        "end_s": report.end_s,
        "offset_hz": report.offset_hz,
        "ppm": report.ppm,
        "snr3k_db": sum(snr) / len(snr) if snr else None,
        "snr3k_course_db": snr,
        "frames": report.frames,
        "lost_frames": report.lost,
        "quality": 1 - report.lost / max(report.frames, 1),
        "delay_spread_ms": 1000 * report.delay_spread_s,
        "text": report.text,
        "same_weights": None if report.weights is None else report.weights == weights_byte(codec),
        "began": report.began,
        "ended": report.ended,
    }


def _line(over: dict[str, Any]) -> str:
    """An over in a line."""
    text = f", text {over['text']!r}" if over["text"] else ""
    other = ", SENT WITH OTHER WEIGHTS (--model)" if over["same_weights"] is False else ""
    return (
        f"{over['profile']} {over['rate_uses_per_s']} uses/s, {over['start_s']:.2f} to {over['end_s']:.2f} s, "
        f"{over['offset_hz']:+z.1f} Hz, {over['ppm']:+.0f} ppm, SNR3k {number(over['snr3k_db'], 1, 'dB')}, "
        f"{over['lost_frames']} of {over['frames']} frames lost{text}{other}"
    )
