"""``aether-lite features``, ``vocode`` and ``export``: feature files, speech of them, and ONNX graphs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from aether_lite.cli import io, options
from aether_lite.cli.io import SAMPLE_RATE, console, steps, summary
from aether_lite.errors import AetherError

NATIVE = ".aether"


def features(
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio; - for a wav on stdin.")],
    destination: Annotated[str, typer.Argument(metavar="OUT.f32", help="Feature file.")],
    columns: Annotated[int, typer.Option(metavar="N", help="Values per frame: 36, or 20 without the LPC.")] = 36,
    audio_channel: options.AudioChannel = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Extract FARGAN's features from speech, one row for each frame of 10 ms."""
    if columns not in (36, 20):
        raise typer.BadParameter("36 or 20", param_hint="'--columns'")
    io.check_outputs((destination, (io.FEATURES,)), (json, None), inputs=(source,), force=force)
    from aether_lite.audio import read_audio
    from aether_lite.core.codec import extracted
    from aether_lite.features import write_f32

    samples = read_audio(source, audio_channel)
    rows = extracted(samples)  # the specification: samples as they are, never conditioned
    write_f32(destination, rows, columns)
    io.write_json(json, {"input": source, "output": destination, "frames": len(rows), "columns": columns})
    console(quiet).print(f"{destination}: {len(rows)} frames of 10 ms, {columns} values each")


def vocode(
    source: Annotated[str, typer.Argument(metavar="IN.f32", help="Feature file, 36 or 20 columns.")],
    destination: Annotated[str, typer.Argument(metavar="OUT", help=".wav, .flac, .ogg or .pcm; - for a wav on "
                                               "stdout.")],
    vocoder: options.Vocoder = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Synthesise speech from a feature file with the vocoder."""
    if io.suffix_of(source) != io.FEATURES:
        raise AetherError(f"{source}: not a feature file by its name; give a .f32")
    io.check_outputs((destination, io.AUDIO_OUT), (json, None), inputs=(source, vocoder), force=force)
    from aether_lite.audio import write_audio
    from aether_lite.core.files import model_of, vocoder_file
    from aether_lite.vocoder import synthesize

    file = vocoder_file(vocoder)
    model = model_of(file)
    rows = io.read_features(source)
    out = console(quiet)
    with steps(out) as progress:
        progress.begin("vocoder")
        start = time.perf_counter()
        speech = synthesize(rows, model, lambda done: progress.advance(done, len(rows)))
        spent = time.perf_counter() - start
    write_audio(destination, speech)
    seconds = len(speech) / SAMPLE_RATE
    record = {"input": source, "output": destination, "frames": len(rows), "seconds": seconds}
    weights = {"vocoder": {"file": file.path.name, "sha256": io.sha256(file.path)}}
    io.write_json(json, {**record, "real_time_factor": {"vocoder": spent / seconds}, "weights": weights})
    out.print(f"{destination}: {seconds:.2f} s of speech")


def export(
    destination: Annotated[Path, typer.Argument(metavar="DIR|OUT.aether", help="A new folder, with --force one of an "
                                                "earlier export; with --native a file.")],
    model: options.Model = options.DEFAULT_MODEL,
    vocoder: options.Vocoder = None,
    native: Annotated[bool, typer.Option("--native", help="Write one file of weights for the native core (core/), of "
                                         "symbols or bits.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also write graphs with 8-bit matrices; with --native weights "
                                       "of 8 bits instead of float16.")] = False,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Export codec and vocoder as ONNX graphs with a manifest (extra `onnx`), or as weights of the native core."""
    place = (destination, (NATIVE,) if native else io.FOLDER)
    io.check_outputs((json, None), place, inputs=(model, vocoder), force=force)
    out = console(quiet)
    if native:
        from aether_lite.core.files import export_native

        record = export_native(destination, model, vocoder, int8=int8)
        io.write_json(json, record)
        summary(out, f"Exported to {destination}", [(record["precision"], f"{record['file']['bytes'] / 1e6:.1f} MB")])
        return
    from aether_lite.export import export_folder

    options.use_one_core()
    with steps(out) as progress:
        manifest = export_folder(destination, model, vocoder, int8=int8, force=force, progress=progress.begin)
    rows = []
    for step in manifest["steps"].values():
        for entry in step["files"].values():
            difference = entry.get("largest_difference_from_torch")
            checked = "" if difference is None else f", within {difference:.0e} of torch"
            rows.append((entry["name"], f"{entry['bytes'] / 1e6:.1f} MB{checked}"))
    io.write_json(json, manifest)
    summary(out, f"Exported to {destination}", rows)
