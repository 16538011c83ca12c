"""``aether-lite bench``: a small grid from the command line, and one line for what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("folder")
AXES = ("--rate", 300, "--snr", 0, "--snr", 10, "--channel", "awgn", "--clips", 1, "--audio-clips", 0, "--seconds", 1)


def test_a_small_grid_writes_everything(
    run: Callable[..., Any], codec_file: Path, folder: Path
) -> None:
    systems = ("--system", f"codec:{codec_file}", "--system", "uncoded")
    command = ("bench", *AXES, *systems, "--output", "made", "--jobs", 1)
    first = run(*command)
    assert first.code == 0, first.err
    assert "report.html" in first.err
    made = folder / "made"
    for name in ("results.csv", "summary.csv", "about.json", "tables.md", "report.html"):
        assert (made / name).stat().st_size > 0
    about = json.loads((made / "about.json").read_text())
    assert about["command"].startswith("aether-lite bench --")
    assert "--output made" in about["command"]
    assert f"codec:{codec_file.name}" in about["command"]
    assert str(codec_file.parent) not in (made / "about.json").read_text()
    numbers = (made / "results.csv").read_bytes()
    assert run(*command).code == 0
    assert (made / "results.csv").read_bytes() == numbers


@pytest.mark.slow
def test_systems_that_are_not_run_are_kept(
    run: Callable[..., Any], codec_file: Path, folder: Path
) -> None:
    both = ("--system", f"codec:{codec_file}", "--system", "uncoded")
    assert run("bench", *AXES, *both, "--output", "both", "--jobs", 1).code == 0
    assert run("bench", *AXES, "--system", "uncoded", "--output", "both", "--keep", "both", "--jobs", 1).code == 0
    assert run("bench", *AXES, *both, "--output", "again", "--jobs", 1).code == 0
    again = (folder / "again" / "results.csv").read_text().splitlines()
    assert sorted((folder / "both" / "results.csv").read_text().splitlines()) == sorted(again)
    other = run("bench", *AXES, "--seed", 1, "--system", "uncoded", "--output", "new", "--keep", "both", "--jobs", 1)
    assert "both: was made with seed 0, not 1" in other.stated
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing",), "missing: no such data folder"),
        ((".",), "holds no speech"),
        (("--system", "morse"), "unknown system 'morse'; known: codec-small"),
        (("--rate", "123"), "rate 123 uses/s is not one of 150, 300"),
        (("--channel", "wire"), "channel 'wire' is not one of awgn"),
        (("--snr", "99"), "SNR 99 dB is out of range"),
        (("--channel", "bsc", "--snr", "3"), "channel bsc takes bits: it has no SNR"),
        (("--channel", "bsc", "--rate", "150"), "rate 150 bit/s is not one of 300, 600, 700"),
        (("--ber", "0.1"), "bit error rates are of the channel bsc"),
        (("--without", "taste"), "'taste' is not an audio metric"),
        (("--keep", "nothing"), "about.json: cannot be read"),
        (("--output", ".", "--json", "about.json"), "about.json: two results cannot go to one place"),
        (("--csi", "guessed"), "channel state 'guessed' is not one of perfect"),
        (("--manifest", "m.tsv"), "give the folder too"),
        (("--system", "codec:nothing.safetensors"), "no such codec file"),
    ],
)
def test_what_cannot_be_is_one_line(run: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    assert words in run("bench", *arguments).stated
