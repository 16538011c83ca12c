"""``train-mel-predictor``: the spectrum of the audio first, then what the recogniser makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aether_lite.cli.main import main
from aether_lite.errors import AetherError
from aether_lite.losses.asr import load_asr_loss, load_mel_predictor
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Trainer, corpora
from aether_lite.training.mel_predictor import MelPredictorConfig, MelPredictorTask
from aether_lite.training.options import parse
from tiny_asr import SIZES, tiny_encoder, variables, write_model

pytest.importorskip("faster_whisper")
PairWriter = Callable[..., Path]


class Silent:
    """A logger that keeps figures."""

    def validation(self, step: int, name: str, numbers: dict[str, float]) -> None:
        self.numbers = numbers

    def say(self, text: str) -> None:
        pass


def trained(data_root: Path, folder: Path, steps: int) -> tuple[Trainer, list[dict[str, float]], dict[str, float]]:
    """A trainer after some steps, their terms, and validated figures."""
    write_model(folder / "recogniser", variables(tiny_encoder()))
    config = MelPredictorConfig(
        data_root=[str(data_root)], out=str(folder), asr_model=str(folder / "recogniser"), spectral_steps=25, steps=35,
        batch=2, frames=64, warmup=2, average=0.5, valid_batches=2,
    )  # fmt: skip
    corpus = corpora(config)[0]
    trainer = Trainer(MelPredictorTask(config, corpus, DistributedContext(0, 1, torch.device("cpu"))))
    parts = [{name: float(value) for name, value in trainer.train_step().items()} for _ in range(steps)]
    trainer.task.prepare_validation(corpus)
    logger = Silent()
    trainer.task.validate(steps, logger)  # type: ignore[arg-type]
    return trainer, parts, logger.numbers


def test_it_learns_and_the_recogniser_takes_part_in_the_second_part(data_root: Path, tmp_path: Path) -> None:
    trainer, parts, after = trained(data_root, tmp_path, 35)
    assert ["states" in part for part in parts] == [False] * 25 + [True] * 10
    _, _, before = trained(data_root, tmp_path, 1)
    assert after["spectrum"] < 0.3 * before["spectrum"]
    assert after["states"] < before["states"]
    again, _, _ = trained(data_root, tmp_path, 35)
    pairs = zip(trainer.task.average.parameters(), again.task.average.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_the_command_writes_weights_for_its_recogniser(
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
        main(["train-ear", *map(str, arguments), "--no-tensorboard", "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert not stopped.value.code, said
    assert "mean square error" in said.out
    assert "train-ear is now train-mel-predictor" in said.err
    assert "--recogniser is now --asr_model" in said.err
    _, spread = load_mel_predictor(tmp_path / "out" / "mel_predictor.safetensors")
    assert spread.shape == (SIZES.blocks, SIZES.width)
    asr_loss = load_asr_loss(tmp_path / "out" / "mel_predictor.safetensors", tmp_path / "recogniser")
    assert asr_loss.states(torch.zeros(1, 10, 20)).shape == (1, 5, SIZES.blocks * SIZES.width)


def test_what_cannot_be_used_is_one_clear_error(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, rule in (
        (["--frames", "65"], "frames: even"),
        (["--learning_rate", "0"], "learning_rate: above 0"),
        (["--spectral_steps", "9", "--steps", "8"], "spectral_steps: 0 to steps"),
    ):
        with pytest.raises(AetherError, match=rule):
            parse(MelPredictorConfig, arguments, "x")
    with pytest.raises(SystemExit) as stopped:
        main(["train-ear", "--data_root", str(data_root), "--recogniser", str(data_root)])
    assert stopped.value.code == 1
    assert "nor a folder with a CTranslate2 model" in capsys.readouterr().err
