"""Objects of a wrong kind in the place of codecs, payloads, names and counts: one line says what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aether_lite
from aether_lite import channels, payload
from aether_lite.audio import read_audio, write_audio
from aether_lite.container import Header, TokenWriter, read_span, write_aeth
from aether_lite.core.codec import CoreCodec
from aether_lite.errors import AetherError
from aether_lite.features.files import detect_pcm_kind
from aether_lite.link import LinkConfig, run_link
from aether_lite.modem import Transmitter
from aether_lite.streaming import Decoder, Encoder
from aether_lite.vocoder import StreamingVocoder, load_network, load_vocoder, synthesize

OBJECTS = [3, float("nan"), [1], {}, object(), np.zeros(2), b"small"]
ROWS = np.zeros((4, 20), np.float32)
SYMBOLS = np.ones((1, 3, 24), np.complex64)
BITS = np.ones((1, 3, 48), np.float32)
KEPT = np.zeros((1, 3), bool)
HEADER = Header(600, bytes(8))


def written(_: object = None) -> str:
    write_audio("in.wav", np.zeros(1600))
    write_aeth("in.aeth", HEADER, np.zeros((5, 48)), 1280 * 5)
    return "in.wav"


CALLS: dict[str, Callable[[Any], object]] = {
    "load": aether_lite.load,
    "load of a vocoder": lambda given: aether_lite.load("small", given),
    "load_vocoder": load_vocoder,
    "load_network": load_network,
    "Encoder": Encoder,
    "Decoder": Decoder,
    "Transmitter": Transmitter,
    "run_link": lambda given: run_link(given, ROWS, LinkConfig(snr_db=9)),
    "run_link over": lambda given: run_link(CoreCodec("small"), ROWS, given),
    "rate of a link": lambda given: LinkConfig(rate=given, snr_db=9).check(),
    "options of a link": lambda given: LinkConfig(snr_db=9, options=[] if given is OBJECTS[3] else given).check(),
    "synthesize": lambda given: synthesize(ROWS, given),
    "StreamingVocoder": StreamingVocoder,
    "csi": lambda given: channels.awgn(payload.Symbols(SYMBOLS, 300, 8), 9, csi=given),
    "state": lambda given: payload.Received(SYMBOLS, 300, given, 8),
    "gain": lambda given: payload.Received(SYMBOLS, 300, payload.ChannelState(given, None, KEPT), 8),
    "noise variance": lambda given: payload.Received(SYMBOLS, 300, payload.ChannelState(None, given, KEPT), 8),
    "erased tokens": lambda given: payload.Received(SYMBOLS, 300, payload.ChannelState(None, None, given), 8),
    "erased bits": lambda given: payload.ReceivedBits(BITS, 600, given, 8),
    "prefix": lambda given: payload.Bits(BITS, 600, 8).prefix(given),
    "header": TokenWriter,
    "model id": lambda given: Header(600, given),
    "bits of a file": lambda given: TokenWriter(HEADER).push(given),
    "sample count": lambda given: TokenWriter(HEADER).finish(0.5 if given is OBJECTS[0] else given),
    "span": lambda given: read_span("in.aeth", 0.5 if given is OBJECTS[0] else given, 1),
    "audio channel": lambda given: read_audio(written(), channel=given),
    "features beside samples": lambda given: detect_pcm_kind(given, np.zeros(1600, np.int16)),
    "samples beside features": lambda given: detect_pcm_kind(ROWS, given),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_line_for_an_object_of_a_wrong_kind(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written()
    for given in OBJECTS:
        with pytest.raises(AetherError) as caught:
            CALLS[name](given)
        assert str(caught.value)


def test_payload_takes_what_stands_beside_it_of_its_own_kind() -> None:
    import torch

    with pytest.raises(AetherError, match=r"erased must be an array of bool \(1, 3\), not torch.bool"):
        payload.ReceivedBits(BITS, 600, torch.zeros(1, 3, dtype=torch.bool), 8)


def test_streaming_vocoder_takes_lists() -> None:
    streams = [StreamingVocoder(load_vocoder()) for _ in range(2)]
    made = [np.concatenate([stream.push(rows), stream.flush()])
            for stream, rows in zip(streams, (ROWS, ROWS.tolist()), strict=True)]  # fmt: skip
    assert np.array_equal(*made)


@pytest.mark.parametrize("value", ["9" * 400, "x" * 5000, 10**400])
def test_long_values_are_shortened(value: object) -> None:
    message = str(AetherError(f"rate {value} is none"))
    assert message == f"rate {str(value)[:40]}...{str(value)[-40:]} is none"


def test_names_of_files_stay_whole() -> None:
    path = "/".join(["folder" * 20, "n" * 255, "x" * 250 + ".json"])
    assert str(AetherError(f"{path}: no such file")) == f"{path}: no such file"
