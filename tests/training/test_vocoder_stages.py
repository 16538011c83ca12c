"""Stage table and options of the vocoder's trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from vocoder_runs import new_trainer, options

from aether_lite.cli.train import train
from aether_lite.errors import AetherError
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import corpora
from aether_lite.training.options import parse as parse_stages
from aether_lite.training.vocoder_config import VocoderConfig
from aether_lite.training.vocoder_task import FROZEN_IN_ADVERSARIAL, VocoderTask, stage_at


def parse(arguments: list[str]) -> VocoderConfig:
    return parse_stages(VocoderConfig, arguments, "train-vocoder")[0]


def test_each_step_trains_what_the_table_says(data_root: Path, tmp_path: Path) -> None:
    trainer = new_trainer(data_root, tmp_path)
    for step in range(trainer.config.steps):
        before = {name: p.detach().clone() for name, p in trainer.task.vocoder.named_parameters()}
        discriminator = [p.detach().clone() for p in trainer.task.discriminator.parameters()]
        parts = trainer.train_step()
        changed = {name for name, p in trainer.task.vocoder.named_parameters() if not torch.equal(p, before[name])}
        learnt = any(
            not torch.equal(a, b) for a, b in zip(discriminator, trainer.task.discriminator.parameters(), strict=True)
        )
        frozen = {name for name in before if name.startswith(FROZEN_IN_ADVERSARIAL)}
        assert frozen == {name for name in before if "cond_" in name}
        expected = [before.keys(), before.keys(), set(), before.keys() - frozen, before.keys() - frozen][step]
        assert changed == set(expected), step
        assert learnt == (step >= 2)
        assert {name for name, p in trainer.task.vocoder.named_parameters() if not p.requires_grad} == (
            frozen if step >= 2 else set()
        )
        spectral = {"total", "gradient", "spectral", "continuation"}
        adversarial = {"total", "gradient", "spectral", "feature_matching", "adversarial", "discriminator"}
        assert parts.keys() == [spectral, spectral, {"total", "discriminator"}, adversarial, adversarial][step]
        assert trainer.task.optimisers[("spectral", "adversarial")[step >= 2]].param_groups[0]["lr"] == pytest.approx(
            stage_at(trainer.config, step).factor * (1e-4 if step >= 2 else 1e-3)
        )
        assert trainer.task.optimisers["discriminator"].param_groups[0]["lr"] == trainer.config.discriminator_rate


def test_the_rate_rises_then_falls_in_each_stage(tmp_path: Path) -> None:
    config = VocoderConfig(spectral_steps=1000, adversarial_steps=600, discriminator_steps=100, warmup=10)
    stages = [stage_at(config, step) for step in range(config.steps)]
    rates = [s.factor * (config.adversarial_rate if s.adversarial else config.learning_rate) for s in stages]
    assert rates[0] == pytest.approx(1e-4, rel=1e-3)
    assert max(rates[:1000]) == pytest.approx(1e-3, rel=1e-3)
    assert rates[500] == pytest.approx(1e-3 * (0.02 + 0.98 / 2))
    assert rates[999] == pytest.approx(2e-5, rel=0.01)
    assert [stage_at(config, step).trains for step in (999, 1000, 1099, 1100)] == [True, False, False, True]
    assert rates[1100] == pytest.approx(1e-5)
    assert max(rates[1100:]) == pytest.approx(1e-4, rel=1e-2)
    assert rates[-1] == pytest.approx(2e-6, rel=0.01)
    shapes = {(stage_at(config, s).batch, stage_at(config, s).frames) for s in (0, 999)}
    assert shapes == {(128, 15)}
    assert (stage_at(config, 1000).batch, stage_at(config, 1000).frames) == (32, 40)


def test_either_stage_can_be_left_out(data_root: Path, tmp_path: Path) -> None:
    assert new_trainer(data_root, tmp_path, adversarial_steps=0).train_step().keys() >= {"continuation"}
    only = new_trainer(data_root, tmp_path, spectral_steps=0, discriminator_steps=0, adversarial_steps=1)
    assert only.train_step().keys() >= {"adversarial", "discriminator"}


def test_options_come_from_the_line_and_from_yaml_and_the_line_wins(tmp_path: Path) -> None:
    assert parse(["a", "b", "--out", "c"]).data_root == ["a", "b"]
    assert parse(["a", "--spectral-steps", "7", "--no-captured"]).spectral_steps == 7
    file = tmp_path / "run.yaml"
    file.write_text("batch: 8\nlearning_rate: 0.002\nspectrogram_sizes: [64, 128]\n")
    config = parse(["a", "--config", str(file), "--batch", "16"])
    assert (config.batch, config.learning_rate, config.spectrogram_sizes) == (16, 0.002, [64, 128])
    file.write_text("bach: 8\n")
    with pytest.raises(AetherError, match="bach"):
        parse(["a", "--config", str(file)])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 0}, "batch"),
        ({"frames": 8}, "frames"),
        ({"spectral_steps": -1}, "steps"),
        ({"spectral_steps": 0, "adversarial_steps": 0}, "steps"),
        ({"spectrogram_sizes": [65]}, "spectrogram_sizes"),
        ({"spectrogram_sizes": []}, "spectrogram_sizes"),
        ({"log_weight": -0.1}, "weight"),
        ({"learning_rate": 0.0}, "rate"),
        ({"data_weight": [1.0, 2.0]}, "data_weight"),
        ({"average": 1.0}, "average"),
        ({"keep": 0}, "keep"),
        ({"decoded_share": 1.5}, "shares"),
        ({"gradient_norm": 0.0}, "gradient_norm"),
        ({"final_rate": -0.1}, "final_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_values_out_of_range_are_stated(change: dict[str, object], named: str) -> None:
    with pytest.raises(AetherError, match=named):
        VocoderConfig(data_root=["a"], **change).check()  # type: ignore[arg-type]


def test_what_cannot_work_is_stated_before_the_first_step(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="no training data"):
        train("train-vocoder", ["--out", str(tmp_path)])
    with pytest.raises(AetherError, match="no such data folder"):
        train("train-vocoder", [str(tmp_path / "absent"), "--out", str(tmp_path)])
    with pytest.raises(AetherError, match=r"absent\.pth: no such vocoder file"):
        train("train-vocoder", [str(data_root), "--out", str(tmp_path), "--init", str(tmp_path / "absent.pth")])
    other = tmp_path / "other.pth"
    torch.save({"model_args": (), "model_kwargs": {}, "state_dict": {"a": torch.zeros(1)}}, other)
    with pytest.raises(AetherError, match=r"other\.pth: not FARGAN weights"):
        train("train-vocoder", [str(data_root), "--out", str(tmp_path), "--init", str(other)])
    with pytest.raises(AetherError, match=r"absent\.pth: cannot be read \(No such file"):
        train("train-vocoder", [str(data_root), "--out", str(tmp_path), "--resume", str(tmp_path / "absent.pth")])
    assert not list(tmp_path.glob("step_*"))
    config = options(data_root, tmp_path)
    corpus, three = corpora(config)[0], DistributedContext(0, 3, torch.device("cpu"))
    with pytest.raises(AetherError, match="batch 4 cannot be shared evenly by 3 processes"):
        VocoderTask(config, corpus, three)
