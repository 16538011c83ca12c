"""One token through the streams: torch modules against compiled steps, side by side; and ONNX Runtime's steps.

Run: ``python benchmarks/codec_steps.py [--seconds 20] [--rate 1000] [--model NAME|FILE]``; one thread. Needs the extra
``realtime``, and ``onnx`` for the last table.

Streams of both kinds take turns token by token, so that other work on the machine meets both alike. Printed are the
least and the median wall time of a token [ms], and the least as a share of the token's 80 ms.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aether_lite
from aether_lite.audio import SAMPLE_RATE, read_audio
from aether_lite.codec import Backend, Codec, CompiledBackend
from aether_lite.export.runner import OnnxStep, session
from aether_lite.export.steps import DecoderStep, EncoderStep, to_onnx
from aether_lite.features import StreamingExtractor
from aether_lite.features.layout import FRAME
from aether_lite.link import LinkConfig
from aether_lite.payload import Received
from aether_lite.spi import State
from aether_lite.streaming import Decoder, Encoder
from aether_lite.streaming.channel import StreamChannel
from aether_lite.vocoder import FrameVocoder

CLIP = "assets/samples/en_f_queue.flac"
SNR_DB = 10.0
WARM_UP = 3  # tokens

Times = dict[str, list[float]]


class TimedVocoder:
    """A vocoder that notes how long it takes."""

    def __init__(self, vocoder: FrameVocoder, times: list[float]) -> None:
        self._vocoder, self._times = vocoder, times
        self.device, self.delay, self.prime = vocoder.device, vocoder.delay, vocoder.prime

    def render(self, *arguments: Any) -> Any:
        return timed(self._times, lambda: self._vocoder.render(*arguments))


def timed(times: list[float], work: Callable[[], Any]) -> Any:
    """The result of ``work``; its time [ms] is appended."""
    start = time.perf_counter()
    result = work()
    times.append(1000 * (time.perf_counter() - start))
    return result


def print_table(title: str, times: Times, token_ms: float) -> None:
    print(f"\n{title:44} {'least':>8} {'median':>8} {'share':>8}")
    for name, values in times.items():
        kept = values[WARM_UP:]
        print(f"{name:44} {min(kept):8.3f} {np.median(kept):8.3f} {min(kept) / token_ms:8.4f}")


def compare_streams(codec: Codec, kinds: dict[str, Backend], blocks: Sequence[np.ndarray], rate: int) -> Times:
    """Whole streams and their parts."""
    times: Times = {"features": [], "vocoder": []}
    encoders = {name: Encoder(codec, rate, backend=steps) for name, steps in kinds.items()}
    vocoder = TimedVocoder(codec.stream_vocoder, times["vocoder"])
    decoders = {name: Decoder(codec, rate, vocoder=vocoder, backend=steps) for name, steps in kinds.items()}
    link, extractor = StreamChannel(LinkConfig("awgn", rate, SNR_DB), codec.token_frames), StreamingExtractor()
    for block in blocks:
        timed(times["features"], lambda block=block: extractor.push(block))
        for name, encoder in encoders.items():
            symbols = timed(times.setdefault(f"Encoder.push, {name}", []), lambda e=encoder, b=block: e.push(b))
        received = link.send(symbols)
        for name, decoder in decoders.items():
            timed(times.setdefault(f"Decoder.push, {name}", []), lambda d=decoder, r=received: d.push(r))
    return times


def compare_networks(codec: Codec, kinds: dict[str, Backend], blocks: Sequence[np.ndarray], rate: int) -> Times:
    """Features to symbols and received symbols to features."""
    model, times = codec.model, dict[str, list[float]]()
    sent: dict[str, State | None] = dict.fromkeys(kinds)
    kept: dict[str, State | None] = dict.fromkeys(kinds)
    graphs = [EncoderStep(model).eval(), DecoderStep(model).eval()]
    encode, decode = (
        OnnxStep(session(to_onnx(step).SerializeToString()), [port.name for port in step.outputs]) for step in graphs
    )
    link, uses = (
        StreamChannel(LinkConfig("awgn", rate, SNR_DB), codec.token_frames),
        model.jscc_encoder.max_uses,
    )
    for rows in torch.split(codec.features(np.concatenate(blocks)), codec.token_frames, dim=1):
        for name, steps in kinds.items():
            symbols, sent[name] = timed(
                times.setdefault(f"encode, {name}", []),
                lambda n=name, s=steps: model.encode(rows, rate, None, sent[n], s),  # noqa: B023
            )
        timed(
            times.setdefault("encode, ONNX Runtime", []),
            lambda rows=rows: encode(features=rows[0].numpy(), rate=[rate], target_snr_db=[np.nan]),
        )
        received = link.send(symbols)
        for name, steps in kinds.items():
            _, kept[name] = timed(
                times.setdefault(f"decode, {name}", []),
                lambda n=name, s=steps: model.decode(received, kept[n], s),  # noqa: B023
            )
        padded = onnx_inputs(received, uses, rate)
        timed(times.setdefault("decode, ONNX Runtime", []), lambda padded=padded: decode(**padded))
    return times


def onnx_inputs(received: Received, uses: int, rate: int) -> dict[str, Any]:
    """What the exported decoder takes."""
    state, width = received.state, received.values.shape[2]
    assert state.gain is not None
    assert state.noise_variance is not None
    pairs = np.zeros((2, uses, 2), np.float32)
    pairs[:, :width] = [torch.view_as_real(values[0, 0]).numpy() for values in (received.values, state.gain)]
    noise, erased = state.noise_variance[0].numpy(), state.erased[0].numpy()
    return {"received": pairs[0], "rate": [rate], "gain": pairs[1], "noise_variance": noise, "erased": erased}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech")
    parser.add_argument("--rate", type=int, default=1000, help="uses/s")
    parser.add_argument("--model", default="small", help="released codec or file")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    codec = aether_lite.load(options.model)
    token = codec.token_frames * FRAME
    clip = read_audio(Path(str(files("aether_lite") / CLIP)))
    count = WARM_UP + round(options.seconds * SAMPLE_RATE / token)
    ahead = np.resize(clip, token * count + 2 * FRAME)  # the first token needs a frame more
    edges = [0, *(token * k + FRAME for k in range(1, count + 1))]
    blocks = [ahead[a:b] for a, b in itertools.pairwise(edges)]
    kinds: dict[str, Backend] = {"torch modules": codec.model, "compiled": CompiledBackend(codec.model)}
    milliseconds = 1000 * token / SAMPLE_RATE
    print_table("streams [ms a token]", compare_streams(codec, kinds, blocks, options.rate), milliseconds)
    print_table("networks and mapping [ms a token]", compare_networks(codec, kinds, blocks, options.rate), milliseconds)


if __name__ == "__main__":
    main()
