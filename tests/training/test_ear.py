"""``train-ear``: an ear learns the spectrum of the audio, then what the recogniser makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aether_lite.cli.main import main
from aether_lite.data.corpus import Corpus
from aether_lite.errors import AetherError
from aether_lite.losses.asr import load_ear, load_listener
from aether_lite.training.ear import EarSettings, fit_ear, measure
from aether_lite.training.ear_run import parse
from tiny_listener import SIZES, tiny_encoder, variables, write_model

pytest.importorskip("faster_whisper")
PairWriter = Callable[..., Path]
QUICK = EarSettings(spectral_steps=25, steps=35, batch=2, frames=64, warmup=2, average=0.5)


def test_an_ear_learns_and_the_recogniser_listens_in_the_second_part(data_root: Path) -> None:
    corpus, told = Corpus([data_root]), []
    listener = fit_ear(corpus, tiny_encoder(), QUICK, lambda *news: told.append(news))
    assert [step for step, _, _ in told] == list(range(1, 36))
    assert [math.isnan(states) for _, _, states in told] == [True] * 25 + [False] * 10
    before = measure(fit_ear(corpus, tiny_encoder(), replace(QUICK, steps=1), lambda *news: None), corpus, QUICK, 2)
    after = measure(listener, corpus, QUICK, 2)
    assert after.spectrum < 0.3 * before.spectrum
    assert after.states < before.states
    again = fit_ear(corpus, tiny_encoder(), QUICK, lambda *news: None)
    pairs = zip(listener.ear.parameters(), again.ear.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_the_command_writes_an_ear_for_its_recogniser(
    data_root: Path,
    speech: NDArray[np.int16],
    write_pair: PairWriter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model(tmp_path / "recogniser", variables(tiny_encoder()))
    write_pair(tmp_path / "valid" / "clip", speech[::-1][: 3 * 16_000].copy())
    arguments = ["--data_root", data_root, "--valid_root", tmp_path / "valid", "--valid_batches", 1, "--steps", 2]
    arguments += ["--spectral_steps", 1, "--batch", 2, "--frames", 32, "--recogniser", tmp_path / "recogniser"]
    with pytest.raises(SystemExit) as stopped:
        main(["train-ear", *map(str, arguments), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert not stopped.value.code, said
    assert "mean square error" in said
    _, spread = load_ear(tmp_path / "out" / "ear.safetensors")
    assert spread.shape == (SIZES.blocks, SIZES.width)
    listener = load_listener(tmp_path / "out" / "ear.safetensors", tmp_path / "recogniser")
    assert listener(torch.zeros(1, 10, 20)).shape == (1, 5, SIZES.blocks * SIZES.width)


def test_what_cannot_be_used_is_one_clear_error(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, rule in (
        (["--frames", "65"], "frames: even"),
        (["--learning_rate", "0"], "learning_rate: above 0"),
        (["--spectral_steps", "9", "--steps", "8"], "spectral_steps: 0 to steps"),
    ):
        with pytest.raises(AetherError, match=rule):
            parse(arguments)
    with pytest.raises(SystemExit) as stopped:
        main(["train-ear", "--data_root", str(data_root), "--recogniser", str(data_root)])
    assert stopped.value.code == 1
    assert "nor a folder with a CTranslate2 model" in capsys.readouterr().err
