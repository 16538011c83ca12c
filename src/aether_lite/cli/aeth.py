"""``aether-lite encode`` and ``decode``: speech to an ``.aeth`` file of bits and back; what ``info`` says of one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, Steps, console, number, steps, summary
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from typing import BinaryIO

    from rich.console import Console

    from aether_lite.container.layout import BitArray, Header
    from aether_lite.container.prior import Prior
    from aether_lite.core.codec import CoreCodec

SUFFIX = ".aeth"

PriorFile = Annotated[
    str | None,
    typer.Option(
        "--prior", metavar="FILE|adaptive", show_default=False,
        help="Prior of an entropy-coded file, or the one that needs no training; else the released one.",
    ),
]  # fmt: skip


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT.aeth", help="File of bits; - for stdout.")],
    bitrate: Annotated[int, typer.Option(metavar="BIT/S", help="300, 600, 1200 or 2400 bit/s, before entropy coding.")]
    = 600,
    entropy: Annotated[bool, typer.Option("--entropy", help="Entropy coding: smaller, without a constant rate (extra "
                                          "`entropy`).")] = False,
    prior: PriorFile = None,
    model: options.HashModel = options.DEFAULT_HASH_MODEL,
    refine: options.Refine = 0,
    audio_channel: options.AudioChannel = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Encode speech to a file of 300 to 2400 bit/s in constant memory, with one checksum per second of speech."""
    if prior is not None and not entropy:
        raise typer.BadParameter("needs --entropy", param_hint="'--prior'")
    if destination == io.STANDARD and sys.stdout.isatty():
        raise AetherError("standard output is a terminal; give OUT.aeth, or pipe into a program")
    suffixes = None if destination == io.STANDARD else (SUFFIX,)
    io.check_outputs((destination, suffixes), (json, None), inputs=(source, prior, model), force=force)
    out = console(quiet)
    codec, header = _opened(model, bitrate)
    if refine:
        _ = codec.asr_loss  # its errors before the work
    chosen = _writers_prior(prior, header) if entropy else None
    if chosen is not None:
        header = header.coded(chosen.identity)
    with steps(out) as progress:
        record = _encode((source, audio_channel), destination, codec, header, chosen, refine, progress)
    _report(out, {**record, "model": model, "provenance": codec.provenance}, json)


def _encode(
    speech: tuple[str, int | None], destination: str, codec: CoreCodec, header: Header, prior: Prior | None,
    refine: int, progress: Steps,
) -> dict[str, Any]:  # fmt: skip
    """Read a file (and the channel of it), encode, write; returns the numbers."""
    from aether_lite.container.streams import TokenWriter

    writer = TokenWriter(header, prior)
    samples = tokens = size = 0
    start = time.perf_counter()
    with _writing(destination) as file:
        for more, bits in _tokens(*speech, codec, header.bit_rate, refine):
            samples, tokens = samples + more, tokens + len(bits)
            size += file.write(writer.push(bits))
            progress.begin(f"encoding {samples // SAMPLE_RATE} s")
        size += file.write(writer.finish(samples))
    return {
        **_numbers(speech[0], destination, header, samples, tokens, size),
        "search_steps": refine,
        "real_time_factor": {"encode": SAMPLE_RATE * (time.perf_counter() - start) / samples},
    }


def _tokens(
    source: str, audio_channel: int | None, codec: CoreCodec, bit_rate: int, refine: int
) -> Iterator[tuple[int, BitArray]]:
    """Audio samples that were read, and the bits ``[K, n]`` that are ready with them."""
    from aether_lite.audio import audio_blocks
    from aether_lite.container.layout import bit_array
    from aether_lite.features import FRAME
    from aether_lite.streaming import Encoder

    if io.suffix_of(source) == io.FEATURES:
        rows = io.read_features(source)
        yield FRAME * len(rows), bit_array(codec.encode_features(rows[None], bit_rate, refine=refine))[0]
        return
    encoder = Encoder(codec, bit_rate, refine=refine)
    for block in audio_blocks(source, audio_channel):
        yield len(block), bit_array(encoder.push(block))[0]
    yield 0, bit_array(encoder.flush())[0]


def decode(
    source: Annotated[str, typer.Argument(metavar="IN.aeth", help="File of bits; - for stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on "
                                               "stdout.")],
    tolerant: Annotated[bool, typer.Option("--tolerant", help="Decode past damage: conceal the tokens that it costs, "
                                           "and report how many.")] = False,
    prior: PriorFile = None,
    model: options.HashModel = options.DEFAULT_HASH_MODEL,
    vocoder: options.Vocoder = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Decode a file of bits to speech; the output is aligned with what was encoded and as long."""
    from aether_lite.container.prior import ADAPTIVE, load_prior

    suffixes = (*io.AUDIO_OUT, io.FEATURES)
    io.check_outputs((destination, suffixes), (json, None), inputs=(source, prior, model, vocoder), force=force)
    out = console(quiet)
    codec, header = _opened(model, vocoder=vocoder)
    given = None if prior in (None, ADAPTIVE) else load_prior(prior)
    if io.suffix_of(destination) != io.FEATURES:
        _ = codec.core  # its errors before the work
    with steps(out) as progress:
        record = _decode(source, destination, codec, header.model_id, given, tolerant, progress)
    damage = described_damage(record["damage"], record["tokens"])
    _report(out, {**record, "model": model, "provenance": codec.provenance}, json, damage)


def _decode(
    source: str, destination: str, codec: CoreCodec, model_id: bytes, prior: Prior | None, tolerant: bool,
    progress: Steps,
) -> dict[str, Any]:  # fmt: skip
    """Read, decode (damaged tokens as lost ones), synthesise, write; returns the numbers."""
    from aether_lite.audio import write_audio
    from aether_lite.container.layout import received_bits
    from aether_lite.container.streams import read_stream
    from aether_lite.features import FRAME, write_f32

    progress.begin("reading")
    start = time.perf_counter()
    with _reading(source) as (stream, name):
        recording = read_stream(stream, name, model_id, prior, tolerant)
    header, samples, tokens = recording.header, recording.samples, len(recording.bits)
    if samples == 0:
        raise AetherError(f"{name}: holds no speech ({tokens} tokens, 0 samples)")
    read = time.perf_counter()
    progress.begin("decoding")
    received = received_bits(recording.bits, header.bit_rate, header.token_frames, recording.erased)
    features = codec.decode_features(received)[0]
    decoded = time.perf_counter()
    times = {"read": read - start, "decode": decoded - read}
    if io.suffix_of(destination) == io.FEATURES:
        write_f32(destination, features[: max(1, samples // FRAME)])
    else:
        progress.begin("vocoder")
        speech = codec.speak(features, lambda done: progress.advance(done, len(features)))
        times["vocoder"] = time.perf_counter() - decoded
        write_audio(destination, speech[:samples])
    return {
        **_numbers(source, destination, header, samples, tokens, recording.size),
        "damage": asdict(recording.damage),
        "real_time_factor": {part: SAMPLE_RATE * value / samples for part, value in times.items()},
    }


def _opened(model: str, bitrate: int = 300, vocoder: str | None = None) -> tuple[CoreCodec, Header]:
    """The codec of bits by name or file, and the header of plain files that it makes.

    Raises:
        AetherError: a codec, vocoder or rate that cannot be used.
    """
    from aether_lite.container.layout import Header
    from aether_lite.core.codec import CoreCodec

    codec = CoreCodec(model, vocoder, unit="bit/s")
    return codec, Header(bitrate, codec.weights_id, codec.token_frames)


@contextmanager
def _reading(source: str) -> Iterator[tuple[BinaryIO, str]]:
    """The stream of bytes and its name for errors; ``-`` is standard input.

    Raises:
        AetherError: it cannot be read.
    """
    if source == io.STANDARD:
        yield sys.stdin.buffer, "standard input"
        return
    try:
        with Path(source).open("rb") as file:
            yield file, source
    except OSError as error:
        raise AetherError(f"{source}: cannot be read ({error.strerror})") from error


@contextmanager
def _writing(destination: str) -> Iterator[BinaryIO]:
    """Where to write; a file is written whole or not at all, ``-`` is standard output."""
    if destination == io.STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with atomic_path(destination) as partial, partial.open("wb") as file:
        yield file


def _writers_prior(given: str | None, header: Header) -> Prior:
    """The prior to write with: of a file, the adaptive one, or else the released one of the model.

    Raises:
        AetherError: not a prior, one for other tokens, or none is released.
    """
    from aether_lite.container.prior import ADAPTIVE, adaptive_prior, load_prior, prior_for_model

    width = header.token_bits
    if given is None:
        return prior_for_model(header.model_id, width)
    if given == ADAPTIVE:
        return adaptive_prior(width)
    prior = load_prior(given)
    if prior.token_bits != width:
        raise AetherError(
            f"{given}: prior for tokens of {prior.token_bits} bits, but this bit rate has {width} bits a token"
        )
    return prior


def _numbers(source: str, destination: str, header: Header, samples: int, tokens: int, size: int) -> dict[str, Any]:
    """What both commands report of a file of ``size`` bytes."""
    from aether_lite import __version__

    seconds = samples / SAMPLE_RATE
    return {
        "input": source,
        "output": destination,
        "version": __version__,
        "seconds": seconds,
        "samples": samples,
        "tokens": tokens,
        "bit_rate": header.bit_rate,
        "entropy_coded": header.prior_id is not None,
        "bytes": size,
        "bits_per_s": 8 * size / seconds,
        "model_id": header.model_id.hex(),
        "prior_id": None if header.prior_id is None else header.prior_id.hex(),
    }


def _report(out: Console, record: dict[str, Any], json: str | None, damage: str = "") -> None:
    """All numbers as JSON, if asked for, and those that matter on standard error."""
    io.write_json(json, record)
    coded = ", entropy coded" if record["entropy_coded"] else ""
    speed = ", ".join(f"{part} {number(value)}" for part, value in record["real_time_factor"].items())
    rows = [
        ("model", f"{record['model']}, sends bits"),
        ("speech", f"{number(record['seconds'], 2, 's')}, {record['tokens']} tokens"),
        ("bit rate", f"{record['bit_rate']} bit/s{coded}; with everything {number(record['bits_per_s'], 0, 'bit/s')}"),
        ("size", f"{record['bytes']} bytes"),
        *([("damage", damage)] if damage else []),
        ("real-time factor", speed),
    ]  # fmt: skip
    summary(out, f"{record['input']} -> {record['output']}", rows)


def described_damage(damage: dict[str, Any], tokens: int) -> str:
    """Damage of a file in words; empty for none."""
    places = "1 place" if damage["damaged_places"] == 1 else f"{damage['damaged_places']} places"
    parts = {
        f"{damage['erased_tokens']} of {tokens} tokens in {places} lost and concealed": damage["damaged_places"],
        "the end is missing, so the length is that of all tokens": damage["end_missing"],
        f"{damage['trailing_bytes']} bytes after the end ignored": damage["trailing_bytes"],
        "the tokens are not those that were written (CRC-32)": damage["tokens_differ"],
    }
    return "; ".join(text for text, applies in parts.items() if applies)


def described_bits(path: str) -> dict[str, Any]:
    """Everything that header and trailer of a file say; the blocks between are not checked.

    Raises:
        AetherError: the file cannot be read, or has no valid header.
    """
    from aether_lite.container.prior import prior_name
    from aether_lite.container.streams import read_ends
    from aether_lite.container.weights import released_weights

    with _reading(path) as (stream, name):
        header, trailer, size = read_ends(stream, name)
    model = released_weights(header.model_id)
    coded = header.prior_id is not None
    seconds = None if trailer is None else trailer.samples / SAMPLE_RATE
    return {
        "file": path,
        "bytes": size,
        "bit_rate": header.bit_rate,
        "token_ms": 10 * header.token_frames,
        "token_bits": header.token_bits,
        "model_id": header.model_id.hex(),
        "model": None if model is None else model.name,
        "entropy_coded": coded,
        "prior_id": header.prior_id.hex() if header.prior_id is not None else None,
        "prior": prior_name(header),
        "reset_blocks": header.reset_blocks if coded else None,
        "tokens": None if trailer is None else trailer.tokens,
        "samples": None if trailer is None else trailer.samples,
        "seconds": seconds,
        "bits_per_s": 8 * size / seconds if seconds else None,
        "tokens_crc32": None if trailer is None else f"{trailer.tokens_crc:08x}",
    }


def print_bits(out: Console, record: dict[str, Any]) -> None:
    """The same as two columns."""
    coded = f"entropy coded, afresh every {record['reset_blocks']} blocks" if record["entropy_coded"] else "plain"
    rows = [
        ("size", f"{record['bytes']} bytes"),
        ("bit rate", f"{record['bit_rate']} bit/s; with everything {number(record['bits_per_s'], 0, 'bit/s')}"),
        ("coding", coded),
        ("token", f"{record['token_ms']} ms, {record['token_bits']} bits"),
        ("model", f"{record['model_id']} ({record['model'] or 'not a released one'})"),
    ]
    if record["entropy_coded"]:
        rows.append(("prior", f"{record['prior_id']} ({record['prior'] or 'not a released one'})"))
    if record["tokens"] is None:
        rows.append(("end", "no valid end mark: the file is truncated, or goes on after its end"))
    else:
        rows.append(("speech", f"{record['seconds']:.2f} s, {record['samples']} samples, {record['tokens']} tokens"))
        rows.append(("CRC-32 of the tokens", record["tokens_crc32"]))
    summary(out, record["file"], rows)
