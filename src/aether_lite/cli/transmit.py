"""``aether-lite transmit``: a file through encoder, noisy channel and decoder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, Steps, console, number, steps, summary
from aether_lite.cli.options import BSC, LINK, RESULTS, chosen_codec, link_config, lower
from aether_lite.optional import require_packages

if TYPE_CHECKING:
    from pathlib import Path

    from aether_lite.core.codec import CoreCodec
    from aether_lite.link import LinkInput, LinkResult


def transmit(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on "
                                               "stdout.")],
    snr: options.Snr = None,
    rate: options.Rate = None,
    channel: options.Channel = None,
    digital: Annotated[bool, typer.Option("--digital", rich_help_panel=LINK, help="Bits of a hash codec instead of "
                                          "symbols.")] = False,
    bitrate: options.Bitrate = None,
    ber: options.Ber = None,
    modulation: Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=LINK, callback=lower,
                                                   help="Bits on channels of symbols: bpsk or qpsk.",
                                                   show_default="qpsk")] = None,
    csi: options.Csi = None,
    target_snr: options.TargetSnr = None,
    seed: options.Seed = 0,
    block_ms: options.BlockMs = None,
    doppler_hz: options.DopplerHz = None,
    k_db: options.KDb = None,
    erasure: options.Erasure = None,
    burst_tokens: options.BurstTokens = None,
    model: options.AnyModel = None,
    vocoder: options.Vocoder = None,
    refine: options.Refine = 0,
    audio_channel: options.AudioChannel = None,
    picture: Annotated[str | None, typer.Option(metavar="PNG", rich_help_panel=RESULTS, help="Draw what was sent and "
                                                "received (.png, .pdf or .svg).")] = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Send a file through the codec and a noisy channel; the output is aligned with the input and as long.

    A hash codec as --model, or --bitrate, sends bits instead of symbols.
    """
    suffixes = (*io.AUDIO_OUT, io.FEATURES)
    io.check_input(source)
    results = ((destination, suffixes), (json, None), (picture, io.PICTURES))
    io.check_outputs(*results, inputs=(source, model, vocoder), force=force)
    bits_only = {"--digital": digital, "--bitrate": bitrate, "--ber": ber, "--modulation": modulation}
    bits_only["--channel bsc"] = channel == BSC
    symbols_only = {"--rate": rate, "--target-snr": target_snr}
    if picture is not None:
        require_packages("--picture", ("matplotlib",), "demo")
    model, codec = chosen_codec(model, vocoder, symbols_only, bits_only)
    sends_bits = codec.unit == "bit/s"
    name = channel or (BSC if sends_bits else "awgn")
    if sends_bits and name != BSC:
        modulation = modulation or "qpsk"
    elif modulation is not None:
        raise typer.BadParameter("is for channels of symbols, and bsc takes bits", param_hint="'--modulation'")
    if refine and not sends_bits and target_snr is None and (snr is not None or name in options.NOISELESS):
        if name == "clean" or snr is None:
            raise typer.BadParameter(f"of symbols over {name} needs --target-snr", param_hint="'--refine'")
        target_snr = snr
    given = bitrate if sends_bits else rate
    config = link_config(
        name, codec.default_rate if given is None else given, snr,
        {"csi": csi, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db},
        seed=seed, erasure=erasure, burst_tokens=burst_tokens, target_snr_db=target_snr,
        error_rate=ber, modulation=modulation,
    )  # fmt: skip
    options.check_link(config)
    to_audio = io.suffix_of(destination) != io.FEATURES
    weights = _weights(codec, refine, to_audio or picture is not None)
    from aether_lite.audio import write_audio
    from aether_lite.link import run_link

    out = console(quiet)
    with steps(out) as progress:
        sent, samples = _read(source, audio_channel, codec, progress)
        result = run_link(codec, sent, config, refine=refine, progress=progress.begin)
        decoded: Any = None
        if "vocoder" in weights:
            decoded, spent = _synthesised(codec, result, samples, progress)
    if to_audio:
        write_audio(destination, decoded)
    else:
        from aether_lite.features import write_f32

        write_f32(destination, result.decoded)
    if picture is not None:
        original = codec.speak(result.features) if sent.speech is None else sent.speech
        draw(picture, result, original, decoded, f"{source}: {config.describe()}")
    if json is None and quiet:
        return
    record = _record(codec, result, samples, refine)
    if "vocoder" in weights:
        record["real_time_factor"]["vocoder"] = spent * SAMPLE_RATE / samples
    hashes = {part: {"file": path.name, "sha256": io.sha256(path)} for part, path in weights.items()}
    payload = "bits" if sends_bits else "symbols"
    ends = {"input": source, "output": destination, "model": model, "payload": payload}
    record = {**ends, **record, "weights": hashes, "provenance": codec.provenance}
    io.write_json(json, record)
    summary(out, f"{source} -> {destination}", _rows(record))


def _weights(codec: CoreCodec, refine: int, speaks: bool) -> dict[str, Path]:
    """Files of weights that are used; errors of their loading come before the work."""
    if refine:
        _ = codec.asr_loss
    _ = codec.core
    files = {"codec": codec.file.path, "vocoder": codec.vocoder_file.path}
    return files if speaks else {"codec": files["codec"]}


def _read(source: str, audio_channel: int | None, codec: CoreCodec, progress: Steps) -> tuple[LinkInput, int]:
    """What is sent, and the length of the output in samples."""
    from aether_lite.audio import read_audio
    from aether_lite.features import FRAME
    from aether_lite.link import LinkInput

    if io.suffix_of(source) == io.FEATURES:
        rows: Any = io.read_features(source)
        return LinkInput(rows, len(rows)), FRAME * len(rows)
    speech = read_audio(source, audio_channel)
    progress.begin("features")
    return LinkInput.of_speech(codec, speech), len(speech)


def _record(codec: CoreCodec, result: LinkResult, samples: int, refine: int) -> dict[str, Any]:
    """The numbers of the link."""
    from aether_lite import __version__

    config = result.config
    losses = {"erasure": config.erasure, "burst_tokens": config.burst_tokens}
    seconds = samples / SAMPLE_RATE
    return {
        "version": __version__,
        "seed": config.seed,
        "options": {"target_snr_db": config.target_snr_db, **losses, **config.options},
        "channel": config.channel,
        "seconds": seconds,
        "samples": samples,
        "frames": len(result.features),
        **result.link_metrics(),
        "latency_ms": codec.latency_ms(refine),
        "search_steps": refine,
        **result.feature_metrics(),
        "real_time_factor": {"encode": result.encode_s / seconds, "decode": result.decode_s / seconds},
    }


def _synthesised(codec: CoreCodec, result: LinkResult, samples: int, progress: Steps) -> tuple[Any, float]:
    """Decoded speech ``[samples]`` and the computing time of the vocoder [s]."""
    progress.begin("vocoder")
    rows, start = result.decoded_tokens, time.perf_counter()
    speech = codec.speak(rows, lambda done: progress.advance(done, len(rows)))
    return speech[:samples], time.perf_counter() - start


def draw(path: str | Path, result: LinkResult, original: Any, decoded: Any, title: str) -> None:
    """Picture of one transmission; ``original`` and ``decoded`` are speech ``[N]``."""
    from aether_lite.features.layout import image_rows
    from aether_lite.plots.transmission import transmission_picture

    if result.symbols is not None:
        symbols, received = (side.values for side in result.symbols)
        payload: dict[str, Any] = {"symbols": symbols, "received_symbols": received}
    else:
        payload = {"bits": (result.sent.values * result.received.values)[0]}
    transmission_picture(
        path,
        original_image=image_rows(result.features),
        received_image=image_rows(result.decoded),
        original_audio=original,
        received_audio=decoded,
        title=title,
        **payload,
    )


def _rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The numbers that matter."""
    speed = ", ".join(f"{part} {number(value)}" for part, value in record["real_time_factor"].items())
    return [
        ("model", f"{record['model']}, sends {record['payload']}"),
        ("channel", f"{record['channel']}, {_noise(record)}"),
        *_carried(record),
        ("speech", f"{number(record['seconds'], 2, 's')}, latency {number(record['latency_ms'], 0, 'ms')}"),
        ("feature loss", number(record["feature_loss"])),
        ("LSD", number(record["lsd_active_db"], 2, "dB")),
        ("F0 correlation", number(record["f0_correlation"])),
        ("V/UV error", number(100 * record["vuv_error"], 1, "%")),
        ("real-time factor", speed),
    ]


def _noise(record: dict[str, Any]) -> str:
    if record.get("error_rate") is not None:
        return f"bit error rate {record['error_rate']:g}"
    if record["snr_db"] is None:
        return "no noise"
    return f"Es/N0 {record['snr_db']:g} dB, SNR3k {record['snr_3k_db']:.2f} dB"


def _carried(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Rates, counts, bit errors and symbols."""
    lost = f", {record['erased_tokens']} lost" if record["erased_tokens"] else ""
    tokens, uses, rows = f"{record['tokens']} tokens{lost}", f"{record['rate_uses_per_s']} uses/s", []
    if "bits" in record:
        rows.append(("rate", f"{record['rate_bits_per_s']} bit/s: {tokens}, {record['bits']} bits"))
        share = "-" if record["bit_error_rate"] is None else f"{100 * record['bit_error_rate']:.2f} %"
        rows.append(("bit errors", f"{record['bit_errors']} of {record['bits_decided']} ({share})"))
        uses = f"{record['modulation']} at {uses}, "
    else:
        rows.append(("rate", f"{uses}: {tokens}, {record['channel_uses']} channel uses"))
        uses = ""
    if record["symbol_power"] is not None:
        power = f"mean power {number(record['symbol_power'])}, PAPR {number(record['papr_db'], 1, 'dB')}"
        rows.append(("symbols", f"{uses}{power}"))
    return rows
