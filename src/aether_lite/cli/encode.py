"""``aether-lite encode``: speech to an ``.aeth`` file of bits, in constant memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import files
from aether_lite.cli.aeth import SAMPLE_RATE, SUFFIX, PriorFile, numbers, summarise, writers_prior, writing
from aether_lite.cli.console import Steps, console, steps
from aether_lite.cli.options import DEFAULT_HASH_MODEL, HashModel, Quiet, Refine, use_cores
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from aether_lite.container.layout import BitArray
    from aether_lite.container.prior import Prior


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio, or features (.f32); - for a wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT.aeth", help="File of bits; - for stdout.")],
    bitrate: Annotated[
        int, typer.Option("--bitrate", metavar="BIT/S", help="300, 600, 1200 or 2400 bit/s, before entropy coding.")
    ] = 600,
    entropy: Annotated[
        bool, typer.Option("--entropy", help="Entropy-coded: smaller, without a constant rate (the extra `entropy`).")
    ] = False,
    prior: PriorFile = None,
    refine: Refine = 0,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write all numbers; - for stdout.")] = None,
    model: HashModel = DEFAULT_HASH_MODEL,
    quiet: Quiet = False,
) -> None:
    """Compress speech to a file of 300 to 2400 bit/s with a check of every second (docs/format.md)."""
    if prior is not None and not entropy:
        raise typer.BadParameter("needs --entropy", param_hint="'--prior'")
    files.check_distinct((destination, json))
    if destination != files.STANDARD:
        files.check_output(destination, (SUFFIX,))
    elif sys.stdout.isatty():
        raise AetherError("standard output is a terminal; give OUT.aeth, or pipe into a program")
    if json is not None:
        files.check_output(json)
    use_cores(refine)
    out = console(quiet)
    job = Encoding(model, bitrate, entropy, prior, refine)
    with steps(out) as progress:
        record = job.run(source, destination, progress)
    if json is not None:
        files.write_json(json, record)
    summarise(out, record)


class Encoding:
    """One run of the command.

    Args:
        model: hash codec by name or file.
        bitrate: [bit/s].
        entropy: entropy-coded.
        prior: file of a prior, or its name; None for the released one of the model and rate.
        search: steps of a search for better bits; 0 for none.

    Raises:
        AetherError: codec, rate or prior that cannot be used, or a missing package.
    """

    def __init__(self, model: str, bitrate: int, entropy: bool, prior: str | None, search: int = 0) -> None:
        from aether_lite.codec import load
        from aether_lite.container.layout import Header
        from aether_lite.container.weights import weights_id

        self.codec = load(model, unit="bit/s")
        self.model, self.search = model, search
        if search:
            _ = self.codec.listener  # its errors before the work
        model_id = weights_id(self.codec.model.state_dict())
        self.header = Header(bitrate, model_id, self.codec.token_frames)
        self.prior: Prior | None = None
        if entropy:
            self.prior = writers_prior(prior, model_id, self.header.token_bits)
            self.header = self.header.coded(self.prior.identity)

    def run(self, source: str, destination: str, progress: Steps) -> dict[str, Any]:
        """Read, encode, write; returns all numbers."""
        from aether_lite.container.streams import TokenWriter

        writer = TokenWriter(self.header, self.prior)
        samples = tokens = size = 0
        start = time.perf_counter()
        with writing(destination) as file:
            for more, bits in self._tokens(source):
                samples, tokens = samples + more, tokens + len(bits)
                size += file.write(writer.push(bits))
                progress.begin(f"encoding {samples // SAMPLE_RATE} s")
            size += file.write(writer.finish(samples))
        seconds = time.perf_counter() - start
        return {
            **numbers(source, destination, self.header, samples, tokens, size, self.model, self.codec),
            "search_steps": self.search,
            "real_time_factor": {"encode": SAMPLE_RATE * seconds / samples},
        }

    def _tokens(self, source: str) -> Iterator[tuple[int, BitArray]]:
        """Audio samples that were read, and the bits ``[K, n]`` that are ready with them."""
        import torch

        from aether_lite.audio import audio_blocks
        from aether_lite.container.layout import bit_array
        from aether_lite.features import FRAME
        from aether_lite.streaming import Encoder

        if files.suffix_of(source) == files.FEATURES:
            rows = torch.from_numpy(files.read_features(source))
            yield (
                FRAME * len(rows),
                bit_array(self.codec.encode_features(rows[None], self.header.bit_rate, refine=self.search))[0],
            )
            return
        encoder = Encoder(self.codec, self.header.bit_rate, refine=self.search)
        for block in audio_blocks(source):
            yield len(block), bit_array(encoder.push(block))[0]
        yield 0, bit_array(encoder.flush())[0]
