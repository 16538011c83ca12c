"""The bundled speech through the whole chain at several rates and SNRs: sounds, numbers and pictures.

Numbers of a condition are put together over its clips: the median of F0 correlation and spread, the mean of all others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.audio import SAMPLE_RATE, read_audio
from aether_lite.codec import Codec
from aether_lite.codec.chain import SpeechChain
from aether_lite.link.config import Link
from aether_lite.link.run import BitDelivery, Delivery, SymbolDelivery, deliver, input_features
from aether_lite.metrics import available, estoi
from aether_lite.plots.transmission import transmission_picture
from aether_lite.vocoder import synthesize

Float32 = NDArray[np.float32]

SAMPLES = "assets/samples"
FIRST = ("en_f_intro", "it_m_intro")  # a woman and a man; these come first
VOICED_TOGETHER = 48  # clips in a batch of the vocoder: bounds memory, faster than one by one
MEDIANS = ("f0_correlation", "f0_spread_ratio")
"""Measures of which the median over clips is reported; of others the mean."""


@dataclass(frozen=True)
class Clip:
    """Speech to send.

    Attributes:
        name: of its file, without suffix.
        speech: ``[N]``.
        features: ``[F', 20]`` of whole tokens.
        frames: F, those of them that are the speech's.
        extraction_s: computing time of the features [s].
    """

    name: str
    speech: Float32
    features: Tensor
    frames: int
    extraction_s: float

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return len(self.speech) / SAMPLE_RATE


@dataclass(frozen=True)
class Heard:
    """A clip that arrived: what was delivered, the speech ``[N]``, and the computing time of its voice [s]."""

    clip: Clip
    delivery: SymbolDelivery
    speech: Float32
    vocoder_s: float


def bundled_clips(codec: Codec, count: int | None = None, seconds: float | None = None) -> list[Clip]:
    """The speech that comes with the package.

    Args:
        codec: gives the token length.
        count: how many; None for all.
        seconds: of each the beginning; None for all of it.
    """
    with as_file(files("aether_lite").joinpath(SAMPLES)) as folder:
        paths = sorted(folder.glob("*.flac"), key=lambda path: (path.stem not in FIRST, path.stem))[:count]
        clips = []
        for path in paths:
            speech = read_audio(path)[: None if seconds is None else round(seconds * SAMPLE_RATE)]
            start = time.perf_counter()
            features, frames = input_features(codec, speech)
            clips.append(Clip(path.stem, speech, features, frames, time.perf_counter() - start))
    return clips


def send_all(codec: Codec, clips: Sequence[Clip], links: Sequence[Link]) -> Iterator[list[Heard]]:
    """Every clip over every link; clip i gets the seed ``link.seed + i``.

    Args:
        codec: at both ends.
        clips: what is sent.
        links: ways to send it.

    Yields:
        for each link, what was heard of each clip.
    """
    group = max(1, VOICED_TOGETHER // len(clips))
    for first in range(0, len(links), group):
        deliveries = [
            [
                deliver(codec, clip.features, replace(link, seed=link.seed + i), clip.frames, clip.extraction_s)
                for i, clip in enumerate(clips)
            ]
            for link in links[first : first + group]
        ]
        voices, seconds_each = speak(codec, [delivery.passage.decoded for row in deliveries for delivery in row])
        for index, row in enumerate(deliveries):
            pieces = voices[index * len(clips) : (index + 1) * len(clips)]
            yield [
                Heard(clip, delivery, piece[: len(clip.speech)], seconds_each * clip.seconds)
                for clip, delivery, piece in zip(clips, row, pieces, strict=True)
            ]


def speak(codec: Codec, features: Sequence[Tensor]) -> tuple[list[Float32], float]:
    """Speech ``[160 F_i]`` of features ``[F_i, 20]``, all in one batch.

    Returns:
        the clips, and computing time per second of their speech.
    """
    longest = max(len(rows) for rows in features)
    padded = torch.stack([torch.cat((rows, rows[-1:].expand(longest - len(rows), -1))) for rows in features])
    start = time.perf_counter()
    samples = synthesize(padded, codec.vocoder)
    factor = (time.perf_counter() - start) * SAMPLE_RATE / sum(160 * len(rows) for rows in features)
    return [voice[: 160 * len(rows)].numpy() for voice, rows in zip(samples, features, strict=True)], factor


def ceiling(codec: Codec, clips: Sequence[Clip]) -> tuple[list[Float32], dict[str, Any]]:
    """The vocoder alone, from the features as they were sent: its speech, and its row of the table."""
    voices, factor = speak(codec, [clip.features for clip in clips])
    voices = [voice[: len(clip.speech)] for voice, clip in zip(voices, clips, strict=True)]
    return voices, {"system": "vocoder only", "estoi": _intelligibility(voices, clips), "real_time_factor": factor}


def table_row(codec: Codec, heard: Sequence[Heard]) -> dict[str, Any]:
    """Numbers of one condition over its clips."""
    link = heard[0].delivery.link
    air = heard[0].delivery.air()
    measured = [item.delivery.metrics() for item in heard]
    metrics = {name: together(name, [values[name] for values in measured]) for name in measured[0]}
    computing = sum(item.delivery.passage.encode_s + item.delivery.passage.decode_s + item.vocoder_s for item in heard)
    return {
        "system": "Aether-lite",
        "channel": link.channel,
        "rate": link.rate,
        "snr_db": link.snr_db,
        "snr_3k_db": air["snr_3k_db"],
        "latency_ms": codec.latency.milliseconds,
        **metrics,
        "estoi": _intelligibility([item.speech for item in heard], [item.clip for item in heard]),
        "papr_db": max(item.delivery.air()["papr_db"] for item in heard),
        "real_time_factor": computing / sum(item.clip.seconds for item in heard),
    }


def together(name: str, values: Sequence[float]) -> float:
    """One number for several clips: median or mean, over those for which it is defined."""
    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return math.nan
    return float(np.median(defined) if name in MEDIANS else np.mean(defined))


def draw(path: str | Path, codec: SpeechChain, delivery: Delivery, original: Any, received: Any, title: str) -> None:
    """Picture of one transmission.

    Args:
        path: the picture.
        codec: the one that was used.
        delivery: what it carried.
        original, received: speech ``[N]``.
        title: one line.
    """
    image = codec.model.image
    crossed: dict[str, Any] = {}
    if delivery.on_air is not None:
        crossed["symbols"], crossed["received_symbols"] = (side.values.numpy() for side in delivery.on_air)
    elif isinstance(delivery, BitDelivery):
        crossed["bits"] = (delivery.bits.values * delivery.crossed.arrived.values)[0].numpy()
    transmission_picture(
        path,
        original_image=image.rows(delivery.sent).numpy(),
        received_image=image.rows(delivery.heard).numpy(),
        original_audio=original,
        received_audio=received,
        title=title,
        **crossed,
    )


def _intelligibility(voices: Sequence[Float32], clips: Sequence[Clip]) -> float | None:
    """Mean ESTOI against the original; None where it cannot be computed."""
    if not available("estoi"):
        return None
    scores = [
        float(estoi(torch.from_numpy(voice), torch.from_numpy(clip.speech)))
        for voice, clip in zip(voices, clips, strict=True)
    ]
    return together("estoi", scores)
