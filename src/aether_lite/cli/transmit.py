"""``aether-lite transmit``: a file through encoder, noisy channel and decoder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import files, link_options
from aether_lite.cli.console import Steps, console, number, steps, summary
from aether_lite.cli.options import Quiet, Refine, Vocoder, use_cores

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from aether_lite.codec import Codec
    from aether_lite.link import LinkConfig, LinkInput, LinkResult

SAMPLE_RATE = 16_000  # [Hz]


def transmit(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on stdout.")
    ],
    snr: link_options.Snr = None,
    rate: link_options.Rate = None,
    channel: link_options.Channel = None,
    digital: Annotated[bool, typer.Option("--digital", help="Bits of a hash codec instead of symbols.")] = False,
    bitrate: link_options.Bitrate = None,
    ber: link_options.Ber = None,
    modulation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Bits on channels of symbols: bpsk or qpsk.", show_default="qpsk")
    ] = None,
    seed: link_options.Seed = 0,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write all numbers; - for stdout.")] = None,
    picture: Annotated[str | None, typer.Option(metavar="PNG", help="Draw what was sent and received.")] = None,
    model: link_options.CodecModel = None,
    vocoder: Vocoder = None,
    target_snr: link_options.TargetSnr = None,
    csi: link_options.Csi = None,
    block_ms: link_options.BlockMs = None,
    doppler_hz: link_options.DopplerHz = None,
    k_db: link_options.KDb = None,
    erasure: link_options.Erasure = None,
    burst_tokens: link_options.BurstTokens = None,
    refine: Refine = 0,
    quiet: Quiet = False,
) -> None:
    """Send a file through the codec and a noisy channel; the output has the input's length and lines up with it.

    A hash codec as --model, or --bitrate, sends bits instead of symbols.
    """
    bits_only = {"--digital": digital, "--bitrate": bitrate, "--ber": ber, "--modulation": modulation}
    bits_only["--channel bsc"] = channel == link_options.BSC
    files.check_distinct((destination, json, picture))
    files.check_output(destination, (*files.AUDIO_OUT, files.FEATURES))
    if json is not None:
        files.check_output(json)
    if picture is not None:
        files.check_output(picture, (".png", ".pdf", ".svg"))
    symbols_only = {"--rate": rate, "--target-snr": target_snr}
    model, codec = link_options.chosen_codec(model, vocoder, symbols_only, bits_only)
    sends_bits = codec.unit == "bit/s"
    name = channel or (link_options.BSC if sends_bits else "awgn")
    link_options.check_snr(name, snr)
    if sends_bits and name != link_options.BSC:
        modulation = modulation or "qpsk"
    elif modulation is not None:
        raise typer.BadParameter("is for channels of symbols, and bsc takes bits", param_hint="'--modulation'")
    if refine and not sends_bits and target_snr is None:
        if name == "clean" or snr is None:
            raise typer.BadParameter(f"of symbols over {name} needs --target-snr", param_hint="'--refine'")
        target_snr = snr
    given = bitrate if sends_bits else rate
    config = link_options.link_config(
        name,
        codec.default_rate if given is None else given,
        snr,
        {"csi": csi, "block_ms": block_ms, "doppler_hz": doppler_hz, "k_db": k_db},
        seed=seed,
        erasure=erasure,
        burst_tokens=burst_tokens,
        target_snr_db=target_snr,
        error_rate=ber,
        modulation=modulation,
    )
    use_cores(refine)
    config.check()
    Transmission(Job(source, destination, json, picture, model, vocoder, refine), codec, config, quiet).run()


@dataclass(frozen=True)
class Job:
    """Files of a transmission, and the steps of refinement, 0 for none."""

    source: str
    destination: str
    json: str | None
    picture: str | None
    model: str
    vocoder: str | None
    refine: int = 0


class Transmission:
    """One run of the command.

    Args:
        job: files.
        codec: the model and vocoder of the job.
        config: the link, already checked.
        quiet: whether to print nothing.
    """

    def __init__(self, job: Job, codec: Codec, config: LinkConfig, quiet: bool) -> None:
        from aether_lite.codec.loading import codec_path
        from aether_lite.vocoder import vocoder_path

        self.job, self.codec, self.config = job, codec, config
        self.out = console(quiet)
        if job.refine:
            _ = self.codec.asr_loss  # its errors before the work
        self.to_audio = files.suffix_of(job.destination) != files.FEATURES
        self.weights = {"codec": codec_path(job.model)}
        if self.to_audio or job.picture is not None:
            self.weights["vocoder"] = vocoder_path(job.vocoder)
            _ = self.codec.vocoder  # its errors before the work

    def run(self) -> None:
        """Read, send, decode, write, report."""
        from aether_lite.audio import write_audio
        from aether_lite.link import run_link

        decoded, vocoder_s = None, None
        with steps(self.out) as progress:
            given, samples = self._read(progress)
            result = run_link(self.codec, given, self.config, refine=self.job.refine, progress=progress.begin)
            if "vocoder" in self.weights:
                decoded, vocoder_s = self._synthesis(result, samples, progress)
        if self.to_audio and decoded is not None:
            write_audio(self.job.destination, decoded)
        else:
            files.write_features(self.job.destination, result.decoded.numpy())
        if self.job.picture is not None and decoded is not None:
            self._draw(self.job.picture, result, given, decoded)
        record = self._record(result, samples, vocoder_s)
        if self.job.json is not None:
            files.write_json(self.job.json, record)
        _summarise(self.out, record)

    def _read(self, progress: Steps) -> tuple[LinkInput, int]:
        """What is sent, and the length of the output in samples."""
        import torch

        from aether_lite.audio import read_audio
        from aether_lite.features import FRAME
        from aether_lite.link import LinkInput

        if files.suffix_of(self.job.source) == files.FEATURES:
            rows = torch.from_numpy(files.read_features(self.job.source))
            return LinkInput(rows, len(rows)), FRAME * len(rows)
        speech = read_audio(self.job.source)
        progress.begin("features")
        return LinkInput.of_speech(self.codec, speech), len(speech)

    def _synthesis(self, result: LinkResult, samples: int, progress: Steps) -> tuple[NDArray[np.float32], float]:
        """Decoded speech ``[samples]`` and the time of the vocoder [s]."""
        from aether_lite.vocoder import synthesize

        progress.begin("vocoder")
        rows = result.decoded_tokens
        start = time.perf_counter()
        speech = synthesize(rows, self.codec.vocoder, lambda done: progress.advance(done, len(rows)))
        return speech.numpy()[:samples], time.perf_counter() - start

    def _record(self, result: LinkResult, samples: int, vocoder_s: float | None) -> dict[str, Any]:
        """All numbers."""
        from aether_lite import __version__
        from aether_lite.codec.refinement import wait_ms

        seconds = samples / SAMPLE_RATE
        times = {"encode": result.encode_s, "decode": result.decode_s, "vocoder": vocoder_s}
        return {
            "input": self.job.source,
            "output": self.job.destination,
            "version": __version__,
            "seed": self.config.seed,
            "options": {
                "target_snr_db": self.config.target_snr_db,
                "erasure": self.config.erasure,
                "burst_tokens": self.config.burst_tokens,
                **self.config.options,
            },
            "channel": self.config.channel,
            "seconds": seconds,
            "samples": samples,
            "frames": len(result.features),
            **result.link_metrics(),
            "latency_ms": self.codec.latency.milliseconds + wait_ms(self.job.refine, self.codec.token_frames),
            "search_steps": self.job.refine,
            **result.feature_metrics(),
            "real_time_factor": {part: value / seconds for part, value in times.items() if value is not None},
            "weights": {part: {"file": path.name, "sha256": files.sha256(path)} for part, path in self.weights.items()},
            "provenance": self.codec.provenance,
        }

    def _draw(self, picture: str, result: LinkResult, given: LinkInput, decoded: NDArray[np.float32]) -> None:
        """The picture; features that were read are synthesised for it."""
        from aether_lite.vocoder import synthesize

        original = synthesize(result.features, self.codec.vocoder) if given.speech is None else given.speech
        draw(picture, self.codec, result, original.numpy(), decoded, f"{self.job.source}: {self.config.describe()}")


def draw(
    path: str | Path, codec: Codec, result: LinkResult, original: Any, decoded: Any, title: str
) -> None:
    """Picture of one transmission; ``original`` and ``decoded`` are speech ``[N]``."""
    from aether_lite.plots.transmission import transmission_picture

    image = codec.model.image
    if result.symbols is not None:
        symbols, received = (side.values.numpy() for side in result.symbols)
        payload: dict[str, Any] = {"symbols": symbols, "received_symbols": received}
    else:
        payload = {"bits": (result.sent.values * result.received.values)[0].numpy()}
    transmission_picture(
        path,
        original_image=image.rows(result.features).numpy(),
        received_image=image.rows(result.decoded).numpy(),
        original_audio=original,
        received_audio=decoded,
        title=title,
        **payload,
    )


def _summarise(out: Any, record: dict[str, Any]) -> None:
    """The numbers that matter, on standard error."""
    speed = ", ".join(f"{part} {number(value)}" for part, value in record["real_time_factor"].items())
    rows = [
        ("channel", f"{record['channel']}, {_noise(record)}"),
        *_carried(record),
        ("speech", f"{number(record['seconds'], 2, 's')}, latency {number(record['latency_ms'], 0, 'ms')}"),
        ("feature loss", number(record["feature_loss"])),
        ("LSD", number(record["lsd_active_db"], 2, "dB")),
        ("F0 correlation", number(record["f0_correlation"])),
        ("V/UV error", number(100 * record["vuv_error"], 1, "%")),
        ("real-time factor", speed),
    ]
    summary(out, f"{record['input']} -> {record['output']}", rows)


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
