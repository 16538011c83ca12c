"""Files and functions of the package that one second of speech, and one token of a stream, pass through.

Run: ``python benchmarks/hops.py [--model NAME|FILE] [--list]``

Calls are counted with :func:`sys.setprofile`, after a first pass that imports and loads what is loaded when first used.
Comprehensions and generated code (numba, ``dataclass``) do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from importlib.resources import files
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import aether_lite
from aether_lite.audio import SAMPLE_RATE, read_audio, write_audio
from aether_lite.cli.main import app
from aether_lite.core.codec import CoreCodec

CLIP = "assets/samples/en_f_queue.flac"
RATE = 1000  # uses/s
SNR_DB = 10.0
PACKAGE = Path(aether_lite.__file__).parent
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")

Calls = set[tuple[str, str]]
"""File below the package and qualified name of each function that was called."""


def called(work: Callable[[], Any]) -> Calls:
    """What ``work`` calls in the package."""
    calls: Calls = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        name = frame.f_code.co_qualname
        if event == "call" and path.is_relative_to(PACKAGE) and not name.endswith(COMPREHENSIONS):
            calls.add((str(path.relative_to(PACKAGE)), name))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def clip_stages(model: str) -> dict[str, Calls]:
    """One second of speech through encoder, channel and decoder."""
    codec = CoreCodec(model)
    speech = read_audio(Path(str(files("aether_lite") / CLIP)))[:SAMPLE_RATE]
    symbols = codec.encode(speech, rate=RATE)
    received = aether_lite.channels.awgn(symbols, snr_db=SNR_DB, seed=0)
    codec.decode(received)
    return {
        "codec.encode": called(lambda: codec.encode(speech, rate=RATE)),
        "channels.awgn": called(lambda: aether_lite.channels.awgn(symbols, snr_db=SNR_DB, seed=0)),
        "codec.decode": called(lambda: codec.decode(received)),
    }


def command_stages(model: str) -> dict[str, Calls]:
    """``aether-lite transmit IN OUT`` of one second of speech as typed, with metrics and summary."""
    speech = read_audio(Path(str(files("aether_lite") / CLIP)))[:SAMPLE_RATE]
    with tempfile.TemporaryDirectory() as folder:
        source, destination = f"{folder}/in.wav", f"{folder}/out.wav"
        write_audio(source, speech)
        arguments = ["transmit", source, destination, "--snr", str(SNR_DB), "--rate", str(RATE), "--model", model]
        again = [*arguments, "--force"]  # the first pass has written it
        with redirect_stderr(StringIO()):
            app(arguments, standalone_mode=False)
            return {"aether-lite transmit": called(lambda: app(again, standalone_mode=False))}


def stream_stages(model: str) -> dict[str, Calls]:
    """One token of a stream, neither its first nor its last."""
    codec = CoreCodec(model)
    encoder, decoder = aether_lite.streaming.Encoder(codec, RATE), aether_lite.streaming.Decoder(codec, RATE)
    speech = read_audio(Path(str(files("aether_lite") / CLIP)))
    token = 160 * codec.token_frames
    start = 8 * token
    decoder.push(aether_lite.channels.awgn(encoder.push(speech[:start]), snr_db=SNR_DB, seed=0))
    block = speech[start : start + token]
    symbols = encoder.push(block)
    received = aether_lite.channels.awgn(symbols, snr_db=SNR_DB, seed=0)
    decoder.push(received)
    return {
        "Encoder.push": called(lambda: encoder.push(speech[start + token : start + 2 * token])),
        "Decoder.push": called(lambda: decoder.push(received)),
    }


def row(name: str, calls: Calls) -> str:
    """A line of the table."""
    return f"{name:<28} {len({path for path, _ in calls}):>6} {len(calls):>10}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small", help="released codec or file")
    parser.add_argument("--list", action="store_true", help="name the files too")
    options = parser.parse_args(argv)
    print(f"{'':<28} {'files':>6} {'functions':>10}")
    for title, stages in (
        ("1 s by the library", clip_stages(options.model)),
        ("1 s by the command", command_stages(options.model)),
        ("a token of a stream", stream_stages(options.model)),
    ):
        for name, calls in stages.items():
            print(row(f"  {name}", calls))
        everything = {call for calls in stages.values() for call in calls}
        print(row(title, everything))
        if options.list:
            for path in sorted({path for path, _ in everything}):
                print(f"    {path}: {', '.join(sorted(name for file, name in everything if file == path))}")


if __name__ == "__main__":
    main()
