"""``aether-lite decode``: an ``.aeth`` file of bits to speech."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import files
from aether_lite.cli.aeth import SAMPLE_RATE, PriorFile, numbers, readers_prior, reading, summarise
from aether_lite.cli.console import Steps, console, steps
from aether_lite.cli.options import DEFAULT_HASH_MODEL, HashModel, Quiet, Vocoder, use_one_core
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from torch import Tensor

    from aether_lite.container.files import Recording


def decode(
    source: Annotated[str, typer.Argument(metavar="IN.aeth", help="File of bits; - for stdin.")],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg, .pcm or .f32; - for a wav on stdout.")
    ],
    tolerant: Annotated[
        bool, typer.Option("--tolerant", help="Go past damage: conceal the tokens it costs, and say how many.")
    ] = False,
    prior: PriorFile = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write all numbers; - for stdout.")] = None,
    model: HashModel = DEFAULT_HASH_MODEL,
    vocoder: Vocoder = None,
    quiet: Quiet = False,
) -> None:
    """Speak a file of bits; the output has the length of what was encoded and lines up with it."""
    files.check_distinct((destination, json))
    files.check_output(destination, (*files.AUDIO_OUT, files.FEATURES))
    if json is not None:
        files.check_output(json)
    use_one_core()
    out = console(quiet)
    job = Decoding(model, vocoder, prior, speaks=files.suffix_of(destination) != files.FEATURES)
    with steps(out) as progress:
        record = job.run(source, destination, tolerant, progress)
    if json is not None:
        files.write_json(json, record)
    summarise(out, record, described(record["damage"], record["tokens"]))


class Decoding:
    """One run of the command.

    Args:
        model: hash codec by name or file.
        vocoder: file of vocoder weights or a released name; None for ``fargan``.
        prior: file of a prior, or its name; None for the one that the file names.
        speaks: audio is wanted, so that the errors of the vocoder come before the work.

    Raises:
        AetherError: codec, vocoder or prior that cannot be used.
    """

    def __init__(self, model: str, vocoder: str | None, prior: str | None, speaks: bool) -> None:
        from aether_lite.codec import load

        self.codec = load(model, vocoder, unit="bit/s")
        self.model, self.prior, self.speaks = model, readers_prior(prior), speaks
        if speaks:
            _ = self.codec.vocoder

    def run(self, source: str, destination: str, tolerant: bool, progress: Steps) -> dict[str, Any]:
        """Read, decode, speak, write; returns all numbers."""
        from aether_lite.audio import write_audio
        from aether_lite.features import FRAME
        from aether_lite.vocoder import synthesize

        progress.begin("reading")
        start = time.perf_counter()
        recording = self._read(source, tolerant)
        read = time.perf_counter()
        progress.begin("decoding")
        features = self._features(recording)
        decoded = time.perf_counter()
        times = {"read": read - start, "decode": decoded - read}
        if self.speaks:
            progress.begin("vocoder")
            rows = len(features)
            speech = synthesize(features, self.codec.vocoder, lambda done: progress.advance(done, rows))
            times["vocoder"] = time.perf_counter() - decoded
            write_audio(destination, speech.numpy()[: recording.samples])
        else:
            files.write_features(destination, features[: max(1, recording.samples // FRAME)].numpy())
        samples, damage = recording.samples, asdict(recording.damage)
        tokens = len(recording.bits)
        return {
            **numbers(source, destination, recording.header, samples, tokens, recording.size, self.model, self.codec),
            "damage": damage,
            "real_time_factor": {part: SAMPLE_RATE * value / samples for part, value in times.items()},
        }

    def _read(self, source: str, tolerant: bool) -> Recording:
        """The file's content.

        Raises:
            AetherError: another kind of file, model or prior; no tokens; unless tolerant, anything damaged.
        """
        from aether_lite.container.files import read_stream
        from aether_lite.container.weights import weights_id

        model_id = weights_id(self.codec.model.state_dict())
        with reading(source) as (stream, name):
            recording = read_stream(stream, name, model_id, self.prior, tolerant)
        if recording.samples == 0:
            raise AetherError(f"{name}: holds no speech ({len(recording.bits)} tokens, 0 samples)")
        return recording

    def _features(self, recording: Recording) -> Tensor:
        """Decoded features ``[F, 20]`` of all tokens; damaged ones take the decoder's path of lost tokens."""
        from aether_lite.container.layout import received_bits

        header = recording.header
        received = received_bits(recording.bits, header.bit_rate, header.token_frames, recording.erased)
        return self.codec.decode_features(received)[0]


def described(damage: dict[str, Any], tokens: int) -> str:
    """Damage of a file in words; empty for none."""
    parts = []
    if damage["damaged_places"]:
        places = "1 place" if damage["damaged_places"] == 1 else f"{damage['damaged_places']} places"
        parts.append(f"{damage['erased_tokens']} of {tokens} tokens in {places} lost and concealed")
    if damage["end_missing"]:
        parts.append("the end is missing, so the length is that of all tokens")
    if damage["trailing_bytes"]:
        parts.append(f"{damage['trailing_bytes']} bytes after the end ignored")
    if damage["tokens_differ"]:
        parts.append("the tokens are not those that were written (CRC-32)")
    return "; ".join(parts)
