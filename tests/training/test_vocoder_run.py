"""Whole runs of the vocoder's trainer: what they write, learning, resume, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from vocoder_runs import new_trainer, options

from aether_lite.errors import AetherError
from aether_lite.training import vocoder_task
from aether_lite.training.checkpoint import load_checkpoint, save_checkpoint, step_path
from aether_lite.training.loop import Batch, Trainer, run
from aether_lite.training.vocoder_task import MakeBatch, VocoderTask
from aether_lite.vocoder import FARGAN, load_fargan


def trained(data_root: Path, out: Path, steps: int, **changes: object) -> Trainer:
    """A run that continues what is in ``out`` for so many steps, saving after each."""
    trainer = new_trainer(data_root, out, **changes)
    trainer.resume("auto")
    for _ in range(steps):
        trainer.train_step()
        trainer.save()
    return trainer


def state(trainer: Trainer) -> list[Tensor]:
    """All that a run carries from step to step."""
    networks = (trainer.task.average, *trainer.task.networks.values())
    weights = [value for network in networks for value in network.state_dict().values()]
    moments = [
        value
        for optimiser in trainer.task.optimisers.values()
        for one in optimiser.state_dict()["state"].values()
        for value in one.values()
    ]
    return [*weights, *moments]


@pytest.fixture(scope="module")
def finished(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run through both stages, with pictures."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocoder_task, "MEASURED", ("estoi",))  # networks take long to load
        run(
            VocoderTask,
            options(data_root, out, save_visualization=True, tensorboard=True, validate_every=4, save_every=100),
        )
    return out


def test_a_run_writes_what_it_promises(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    measured = [row for row in rows if "valid" in row]
    assert [row["step"] for row in measured] == [4, 5]
    for row in measured:
        assert row["spectral"] > 0
        assert {"feature_loss", "vuv_error", "estoi"} <= row.keys()
    assert {row["stage"] for row in rows if "stage" in row} == {"adversarial"}  # the last of the steps is reported
    for name in ("best.pth", "step_00000005.pth", "vocoder.safetensors", "vocoder.pth", "config.json", "valid_0.wav"):
        assert (finished / name).stat().st_size > 100
    for name in ("validation_00000004.png", "validation_f0_00000005.png", "losses.png"):
        assert (finished / name).read_bytes()[:4] == b"\x89PNG"
    assert list((finished / "tensorboard").iterdir())


def test_the_export_loads_here_and_has_the_public_layout(finished: Path) -> None:
    average = load_checkpoint(finished / "step_00000005.pth")["average"]
    for name in ("vocoder.safetensors", "vocoder.pth", "step_00000005.pth"):
        exported = load_fargan(finished / name).state_dict()
        assert all(torch.equal(exported[key], value) for key, value in average.items())
    public = torch.load(finished / "vocoder.pth", weights_only=True)
    layout = {key: value.shape for key, value in FARGAN().state_dict().items()}  # the public one: tests/vocoder
    assert {key: value.shape for key, value in public["state_dict"].items()} == layout
    assert all(value.dtype == torch.float32 for value in public["state_dict"].values())
    assert public["model_args"] == ()
    assert public["model_kwargs"].keys() >= {"cond_size", "gamma"}
    assert public["epoch"] == 5


def test_the_loss_falls_on_a_repeated_batch(data_root: Path, tmp_path: Path) -> None:
    trainer = new_trainer(data_root, tmp_path, spectral_steps=30, batch=4, learning_rate=3e-3, decoded_share=0.0)
    trainer.loader = Repeated(trainer)  # type: ignore[assignment]
    losses = [float(trainer.train_step()["spectral"]) for _ in range(14)]
    assert losses[-1] < 0.8 * losses[0]


class Repeated:
    """A loader that always gives the first batch."""

    waited = 0.0

    def __init__(self, trainer: Trainer) -> None:
        self.batch = MakeBatch(trainer.task.corpus, trainer.config, 0, 1, 8)(0)

    def __next__(self) -> Batch:
        return self.batch


@pytest.fixture(scope="module")
def whole(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run of five steps that was not interrupted."""
    return trained(data_root, tmp_path_factory.mktemp("whole"), 5)


# within a stage, at the border, within the other
@pytest.mark.parametrize(
    "killed_after", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)]
)
def test_a_killed_run_continues_to_the_same_bits(
    data_root: Path, tmp_path: Path, whole: Trainer, killed_after: int
) -> None:
    trained(data_root, tmp_path, killed_after)
    (tmp_path / ".step_00000099.abc.partial.pth").write_bytes(b"what SIGKILL leaves")
    continued = trained(data_root, tmp_path, 5 - killed_after)
    ours, theirs = state(continued), state(whole)
    assert continued.step == 5
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_adversarial_stage_can_be_added_to_a_finished_run(data_root: Path, tmp_path: Path) -> None:
    trained(data_root, tmp_path, 2, adversarial_steps=0)
    assert trained(data_root, tmp_path, 2, adversarial_steps=2).step == 4


@pytest.mark.slow
def test_a_checkpoint_of_recorded_steps_continues_plainly(data_root: Path, tmp_path: Path) -> None:
    trained(data_root, tmp_path / "plain", 1)
    content = load_checkpoint(step_path(tmp_path / "plain", 1))
    for optimiser in content["optimisers"].values():
        for group in optimiser["param_groups"]:
            group |= {"capturable": True, "lr": torch.tensor(0.5)}  # as a GPU leaves them
    (tmp_path / "gpu").mkdir()
    save_checkpoint(step_path(tmp_path / "gpu", 1), content)
    plain, other = (trained(data_root, tmp_path / name, 1) for name in ("plain", "gpu"))
    assert all(torch.equal(a, b) for a, b in zip(state(plain), state(other), strict=True))


def test_another_run_or_other_data_are_not_continued(data_root: Path, tmp_path: Path) -> None:
    trained(data_root, tmp_path, 1)
    with pytest.raises(AetherError, match=r"other options \(batch\)"):
        new_trainer(data_root, tmp_path, batch=8).resume("auto")
    with pytest.raises(AetherError, match="other data"):
        new_trainer(data_root / "speaker0", tmp_path).resume("auto")


def test_a_run_starts_from_the_weights_it_is_given(data_root: Path, tmp_path: Path, finished: Path) -> None:
    trainer = new_trainer(data_root, tmp_path, init=str(finished / "vocoder.pth"))
    given = load_fargan(finished / "vocoder.pth").state_dict()
    assert all(torch.equal(value, given[name]) for name, value in trainer.task.vocoder.state_dict().items())
    fresh = new_trainer(data_root, tmp_path)
    torch.manual_seed(0)
    assert all(torch.equal(a, b) for a, b in zip(fresh.task.vocoder.parameters(), FARGAN().parameters(), strict=True))
