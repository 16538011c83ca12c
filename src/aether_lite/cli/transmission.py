"""One run of ``aether-lite transmit``: read, send, decode, write, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aether_lite.cli import files
from aether_lite.cli.console import Steps, console, number, steps, summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from aether_lite.codec.chain import SpeechChain
    from aether_lite.link.bit_config import BitLink
    from aether_lite.link.config import Link
    from aether_lite.link.run import Delivery

SAMPLE_RATE = 16_000  # [Hz]


@dataclass(frozen=True)
class Job:
    """Files of a transmission, and the steps of a search, 0 for none."""

    source: str
    destination: str
    json: str | None
    picture: str | None
    model: str
    vocoder: str | None
    search: int = 0


@dataclass(frozen=True)
class Input:
    """What was read.

    Attributes:
        features: ``[F', 20]``, for audio of whole tokens.
        frames: F, those that are the input's.
        samples: length of the output.
        extraction_s: computing time of the features [s].
        speech: ``[samples]``, kept if it is needed again.
    """

    features: Tensor
    frames: int
    samples: int
    extraction_s: float = 0.0
    speech: NDArray[np.float32] | None = None


def _chain(job: Job, link: Link | BitLink) -> tuple[SpeechChain, Callable[..., Delivery]]:
    """The codec that a link takes, and what sends features ``[F, 20]`` over it."""
    from aether_lite.codec import load, load_hash
    from aether_lite.link.bit_config import BitLink
    from aether_lite.link.run import deliver, deliver_bits

    if isinstance(link, BitLink):
        hashed = load_hash(job.model, job.vocoder)
        return hashed, partial(deliver_bits, hashed, link=link, search=job.search)
    codec = load(job.model, job.vocoder)
    return codec, partial(deliver, codec, link=link, search=job.search)


class Transmission:
    """One run of the command.

    Args:
        job: files.
        link: the channel, already checked.
        quiet: whether to say nothing.
    """

    def __init__(self, job: Job, link: Link | BitLink, quiet: bool) -> None:
        from aether_lite.codec.loading import codec_path
        from aether_lite.vocoder import vocoder_path

        self.job, self.link = job, link
        self.out = console(quiet)
        self.codec, self._deliver = _chain(job, link)
        if job.search:
            _ = self.codec.listener  # its errors before the work
        self.to_audio = files.suffix_of(job.destination) != files.FEATURES
        self.weights = {"codec": codec_path(job.model)}
        if self.to_audio or job.picture is not None:
            self.weights["vocoder"] = vocoder_path(job.vocoder)
            _ = self.codec.vocoder  # its errors before the work

    def run(self) -> None:
        """Read, send, decode, write, report."""
        import torch

        from aether_lite.audio import write_audio
        from aether_lite.link.bit_config import BitLink

        heard, vocoder_s = None, None
        with steps(self.out) as progress:
            given = self._read(progress)
            searches_symbols = self.job.search > 0 and not isinstance(self.link, BitLink)
            known = {"speech": torch.from_numpy(given.speech)} if searches_symbols and given.speech is not None else {}
            delivery = self._deliver(
                given.features, frames=given.frames, extraction_s=given.extraction_s, progress=progress.begin, **known
            )
            if "vocoder" in self.weights:
                heard, vocoder_s = self._voice(delivery, given.samples, progress)
        if self.to_audio and heard is not None:
            write_audio(self.job.destination, heard)
        else:
            files.write_features(self.job.destination, delivery.heard.numpy())
        if self.job.picture is not None and heard is not None:
            self._draw(self.job.picture, delivery, given.speech, heard)
        record = self._record(delivery, given.samples, vocoder_s)
        if self.job.json is not None:
            files.write_json(self.job.json, record)
        _summarise(self.out, record)

    def _read(self, progress: Steps) -> Input:
        import torch

        from aether_lite.audio import read_audio
        from aether_lite.features import FRAME, NUM_FREE
        from aether_lite.link.run import input_features

        if files.suffix_of(self.job.source) == files.FEATURES:
            rows = torch.from_numpy(files.read_features(self.job.source)[:, :NUM_FREE])
            return Input(rows, len(rows), FRAME * len(rows))
        speech = read_audio(self.job.source)
        progress.begin("features")
        start = time.perf_counter()
        rows, frames = input_features(self.codec, speech)
        seconds = time.perf_counter() - start
        kept = self.job.picture is not None or self.job.search > 0
        return Input(rows, frames, len(speech), seconds, speech if kept else None)

    def _voice(self, delivery: Delivery, samples: int, progress: Steps) -> tuple[NDArray[np.float32], float]:
        """Received speech ``[samples]`` and the time it took [s]."""
        from aether_lite.vocoder import synthesize

        progress.begin("vocoder")
        decoded = delivery.passage.decoded
        start = time.perf_counter()
        heard = synthesize(decoded, self.codec.vocoder, lambda done: progress.advance(done, len(decoded)))
        return heard.numpy()[:samples], time.perf_counter() - start

    def _record(self, delivery: Delivery, samples: int, vocoder_s: float | None) -> dict[str, Any]:
        """All numbers."""
        from aether_lite import __version__
        from aether_lite.codec.search import wait_ms

        seconds = samples / SAMPLE_RATE
        times = {"encode": delivery.passage.encode_s, "decode": delivery.passage.decode_s, "vocoder": vocoder_s}
        return {
            "input": self.job.source,
            "output": self.job.destination,
            "version": __version__,
            "seed": self.link.seed,
            "options": {
                "target_snr_db": getattr(self.link, "target_snr_db", None),
                "erasure": self.link.erasure,
                "burst_tokens": self.link.burst_tokens,
                **self.link.options,
            },
            "channel": self.link.channel,
            "seconds": seconds,
            "samples": samples,
            "frames": len(delivery.sent),
            **delivery.air(),
            "latency_ms": self.codec.latency.milliseconds + wait_ms(self.job.search, self.codec.token_frames),
            "search_steps": self.job.search,
            **delivery.metrics(),
            "real_time_factor": {part: value / seconds for part, value in times.items() if value is not None},
            "weights": {part: {"file": path.name, "sha256": files.sha256(path)} for part, path in self.weights.items()},
            "provenance": self.codec.provenance,
        }

    def _draw(
        self, picture: str, delivery: Delivery, speech: NDArray[np.float32] | None, heard: NDArray[np.float32]
    ) -> None:
        """The picture; where features were read, the vocoder speaks them."""
        from aether_lite.link.demonstration import draw
        from aether_lite.vocoder import synthesize

        original = synthesize(delivery.sent, self.codec.vocoder).numpy() if speech is None else speech
        draw(picture, self.codec, delivery, original, heard, f"{self.job.source}: {self.link.describe()}")


def _summarise(out: Any, record: dict[str, Any]) -> None:
    """The numbers that matter, on standard error."""
    factors = record["real_time_factor"]
    speed = ", ".join(f"{part} {number(value)}" for part, value in factors.items())
    rows = [
        ("channel", f"{record['channel']}, {_noise(record)}"),
        *_carried(record),
        ("speech", f"{number(record['seconds'], 2, 's')}, latency {number(record['latency_ms'], 0, 'ms')}"),
        ("feature loss", number(record["feature_loss"])),
        ("LSD", number(record["lsd_active_db"], 2, "dB")),
        ("F0 correlation", number(record["f0_correlation"])),
        ("V/UV error", number(100 * record["vuv_error"], 1, "%")),
        ("real-time factor", speed),
    ]  # fmt: skip
    summary(out, f"{record['input']} -> {record['output']}", rows)


def _noise(record: dict[str, Any]) -> str:
    """What the channel did, in words."""
    if record.get("error_rate") is not None:
        return f"bit error rate {record['error_rate']:g}"
    if record["snr_db"] is None:
        return "no noise"
    return f"Es/N0 {record['snr_db']:g} dB, SNR3k {record['snr_3k_db']:.2f} dB"


def _carried(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Rates, counts, bits and symbols."""
    lost = f", {record['erased_tokens']} lost" if record["erased_tokens"] else ""
    tokens = f"{record['tokens']} tokens{lost}"
    uses = f"{record['rate_uses_per_s']} uses/s"
    rows = []
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
