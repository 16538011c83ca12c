"""``aether-lite features`` and ``aether-lite vocode``: between audio and feature files, without a channel."""

from __future__ import annotations

from typing import Annotated

import typer

from aether_lite.cli import files
from aether_lite.cli.console import console, steps
from aether_lite.cli.options import Quiet, Vocoder, use_one_core
from aether_lite.errors import AetherError


def features(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio; - for a wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT.f32", help="Feature file.")],
    columns: Annotated[int, typer.Option(help="Values per frame: 36, or 20 without the LPC.")] = 36,
    quiet: Quiet = False,
) -> None:
    """Write FARGAN's features of speech, one row for each 10 ms."""
    if columns not in (36, 20):
        raise typer.BadParameter("36 or 20", param_hint="'--columns'")
    files.check_output(destination, (files.FEATURES,))
    from aether_lite.audio import read_audio
    from aether_lite.features import extract_features

    rows = extract_features(read_audio(source))  # the specification: samples as they are, never conditioned
    files.write_features(destination, rows, columns)
    console(quiet).print(f"{destination}: {len(rows)} frames of 10 ms, {columns} values each")


def vocode(
    source: Annotated[str, typer.Argument(metavar="IN.f32", help="Feature file, 36 or 20 columns.")],
    destination: Annotated[
        str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg or .pcm; - for a wav on stdout.")
    ],
    vocoder: Vocoder = None,
    quiet: Quiet = False,
) -> None:
    """Synthesise speech from a feature file."""
    if files.suffix_of(source) != files.FEATURES:
        raise AetherError(f"{source}: not a feature file by its name; give a .f32")
    files.check_output(destination, files.AUDIO_OUT)
    from aether_lite.audio import write_audio
    from aether_lite.vocoder import load_vocoder, synthesize

    use_one_core()
    synthesiser = load_vocoder(vocoder)
    rows = files.read_features(source)
    out = console(quiet)
    with steps(out) as progress:
        progress.begin("vocoder")
        speech = synthesize(rows, synthesiser, lambda done: progress.advance(done, len(rows)))
    write_audio(destination, speech)
    out.print(f"{destination}: {len(speech) / 16_000:.2f} s of speech")
