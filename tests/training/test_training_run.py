"""Whole runs of the tiny codec: four stages, resume, failures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from aether_lite.codec import SpiCodec, load_codec, preset, save_codec
from aether_lite.codec.loading import codec_path
from aether_lite.data.loader import Loader
from aether_lite.errors import AetherError
from aether_lite.losses.asr import save_mel_predictor
from aether_lite.training.checkpoint import load_checkpoint, newest, started_from
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_pass import every
from aether_lite.training.codec_task import CodecTask, constants_crops
from aether_lite.training.curriculum import position
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Batch, Trainer, corpora, run
from tiny_asr import tiny_asr_loss, tiny_encoder, variables, write_model

ALONE = DistributedContext(0, 1, torch.device("cpu"))


def options(data_root: Path, out: Path, **changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "data_root": [str(data_root)],
        "valid_root": [],
        "out": str(out),
        "preset": "tiny",
        "steps": 12,
        "stage_borders": [3, 6, 9],
        "batch": 4,
        "frames": 48,
        "audio_items": 2,
        "audio_frames": 24,
        "warmup": 2,
        "save_every": 1,
        "keep": 20,
        "validate_every": 100,
        "estoi_clips": 0,
        "tensorboard": False,
    }
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def new_trainer(config: TrainConfig) -> Trainer:
    return Trainer(CodecTask(config, corpora(config)[0], ALONE))


def trained(data_root: Path, out: Path, steps: int | None = None, **changes: object) -> Trainer:
    config = options(data_root, out, **changes)
    trainer = new_trainer(config)
    trainer.resume(config.resume)
    for _ in range(steps if steps is not None else config.steps):
        trainer.train_step()
        trainer.save()
    return trainer


@pytest.mark.slow
def test_a_run_goes_through_all_four_stages_and_writes_what_it_promises(data_root: Path, tmp_path: Path) -> None:
    config = options(
        data_root,
        tmp_path,
        use_stft_loss=True,
        save_visualization=True,
        validate_every=6,
        estoi_clips=1,
        tensorboard=True,
    )
    run(CodecTask, config)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {row["valid"] for row in rows if "valid" in row} == {"1000@10dB", "1000@0dB", "300@6dB"}
    assert all("symbol_power" in row for row in rows if "valid" in row)
    exported, _ = load_codec(tmp_path / "codec_tiny.safetensors")
    crops = constants_crops(config, corpora(config)[0])
    for rate in (150, 1200):  # the constants are those of these crops, by the averaged weights (stored as float16)
        power = exported.encode(crops, rate)[0].values.abs().square().mean()
        assert float(power) == pytest.approx(1, abs=0.01)
    assert rows[-4]["stage"] == "end_to_end"
    assert {"log_mel", "audio_f0", "stft", "adv", "discriminator"} <= rows[-4].keys()
    for name in ("best.pth", "codec_tiny.safetensors", "vocoder.safetensors", "config.json", "losses.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert (tmp_path / "transmission_00000012.png").exists()
    assert list((tmp_path / "tensorboard").iterdir())
    model, provenance = load_codec(tmp_path / "codec_tiny.safetensors")
    assert provenance["steps_done"] == 12
    assert "started_from" not in provenance
    assert re.fullmatch(r"0\.\d\d h: " + data_root.name, provenance["data"])
    assert model.config.token_frames == 8


def test_each_stage_trains_what_its_table_says(data_root: Path, tmp_path: Path) -> None:
    config = options(data_root, tmp_path)
    trainer = new_trainer(config)
    for step in range(config.steps):
        place = position(step, config.stage_borders)
        before = {
            name: [p.clone() for p in module.parameters()]
            for name, module in (
                ("codec", trainer.task.codec),
                ("vocoder", trainer.task.vocoder),
                ("discriminator", trainer.task.discriminator),
            )
            if module is not None
        }
        parts = trainer.train_step()
        now = {
            "codec": trainer.task.codec,
            "vocoder": trainer.task.vocoder,
            "discriminator": trainer.task.discriminator,
        }
        changed = {
            name: any(not torch.equal(a, b) for a, b in zip(old, now[name].parameters(), strict=True))  # type: ignore[union-attr]
            for name, old in before.items()
        }
        assert changed == {"codec": True, "vocoder": place.stage.trains_vocoder, "discriminator": place.adv > 0}
        assert ("log_mel" in parts) == place.stage.makes_audio
        assert ("adv" in parts) == (place.adv > 0)
        if place.adv > 0:
            gan = float(parts["adversarial"] + parts["feature_matching"])
            expected = float(parts["adv_scale"]) * place.adv * config.lambda_adv * gan
            assert float(parts["adv"]) == pytest.approx(expected, rel=1e-5)
        assert "stft" not in parts


def test_lambda_adv_0_switches_the_gan_off_for_good(data_root: Path, tmp_path: Path) -> None:
    trainer = trained(data_root, tmp_path, lambda_adv=0.0, stage_borders=[0, 0, 0], steps=1)
    assert trainer.task.discriminator is None
    assert "adv" not in trainer.train_step()


@pytest.fixture(scope="module")
def whole(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that was not interrupted."""
    return trained(data_root, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("killed_after", [pytest.param(2, marks=pytest.mark.slow), 10])
def test_a_killed_run_continues_to_the_same_bits(
    data_root: Path, tmp_path: Path, whole: Trainer, killed_after: int
) -> None:
    trained(data_root, tmp_path / "killed", steps=killed_after)
    half_written = tmp_path / "killed" / ".step_00000099.abc.partial.pth"
    half_written.write_bytes(b"what SIGKILL leaves")
    continued = trained(data_root, tmp_path / "killed", steps=12 - killed_after)
    assert continued.step == whole.step == 12
    for ours, theirs in (
        (whole.task.codec, continued.task.codec),
        (whole.task.vocoder, continued.task.vocoder),
        (whole.task.average, continued.task.average),
    ):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.slow
def test_data_workers_change_nothing(data_root: Path, tmp_path: Path) -> None:
    inline = trained(data_root, tmp_path / "a", steps=4)
    ahead = trained(data_root, tmp_path / "b", steps=4, workers=1)
    assert ahead.loader is not None
    ahead.loader.close()
    for a, b in zip(inline.task.codec.parameters(), ahead.task.codec.parameters(), strict=True):
        assert torch.equal(a, b)


def test_unfreezing_keeps_the_optimisers_state_and_uses_its_own_rate(data_root: Path, tmp_path: Path) -> None:
    trained(data_root, tmp_path, steps=10)
    again = trained(data_root, tmp_path, steps=0)
    assert again.step == 10
    again.train_step()
    vocoder = again.task.optimisers["model"].param_groups[2]
    assert vocoder["lr"] == pytest.approx(0.1 * again.task.optimisers["model"].param_groups[0]["lr"])
    states = [int(again.task.optimisers["model"].state[p]["step"]) for p in vocoder["params"]]
    assert set(states) == {2}  # step 9 before the resume, step 10 after it
    codec_states = {
        int(again.task.optimisers["model"].state[p]["step"])
        for p in again.task.optimisers["model"].param_groups[0]["params"]
    }
    assert codec_states == {11}


def test_sigterm_saves_and_ends(data_root: Path, tmp_path: Path) -> None:
    config = options(data_root, tmp_path, save_every=1000, steps=500)
    trainer = new_trainer(config)
    import os
    import signal

    step = trainer.train_step

    def interrupted() -> dict[str, torch.Tensor]:
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step()

    trainer.train_step = interrupted  # type: ignore[method-assign]
    trainer.run()
    path = newest(tmp_path)
    assert path is not None
    assert load_checkpoint(path)["step"] == 3


def test_only_the_newest_checkpoints_are_kept(data_root: Path, tmp_path: Path) -> None:
    trained(data_root, tmp_path, steps=5, keep=2)
    assert sorted(p.name for p in tmp_path.glob("step_*.pth")) == ["step_00000004.pth", "step_00000005.pth"]


def test_weights_are_saved_before_the_loader_is_ended(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Loader.close

    def broken(loader: Loader[object]) -> None:
        end(loader)
        raise RuntimeError("the workers cannot be ended")

    config = options(data_root, tmp_path, steps=2, save_every=1000, validate_every=1000, stage_borders=[9, 9, 9])
    trainer = new_trainer(config)
    monkeypatch.setattr(Loader, "close", broken)
    with pytest.raises(RuntimeError, match="cannot be ended"):
        trainer.run()
    path = newest(tmp_path)
    assert path is not None
    assert load_checkpoint(path)["step"] == 2
    assert load_codec(tmp_path / f"codec_{config.preset}.safetensors")


def test_collapse_stops_the_run_if_asked(data_root: Path, tmp_path: Path) -> None:
    run(
        CodecTask,
        options(data_root, tmp_path, steps=6, validate_every=2, stop_on_collapse=True, stage_borders=[9, 9, 9]),
    )
    path = newest(tmp_path)
    assert path is not None
    assert load_checkpoint(path)["step"] == 2  # an untrained codec has no voice to speak of


def test_bad_input_is_stated_before_the_first_step(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="no training data"):
        run(CodecTask, TrainConfig(out=str(tmp_path)))
    with pytest.raises(AetherError, match="no such data folder"):
        run(CodecTask, options(tmp_path / "absent", tmp_path))
    other = options(data_root, tmp_path / "a", steps=1)
    run(CodecTask, other)
    with pytest.raises(AetherError, match=r"other options \(batch\)"):
        run(CodecTask, options(data_root, tmp_path / "a", batch=8))
    written = newest(tmp_path / "a")
    assert written is not None
    content = load_checkpoint(written)
    content["optimisers"]["model"]["param_groups"][1]["params"].pop()
    torch.save(content, tmp_path / "older.pth")
    with pytest.raises(AetherError, match=r"older\.pth: was written by a version whose networks had other parameters"):
        run(CodecTask, options(data_root, tmp_path / "a", steps=1, resume=str(tmp_path / "older.pth")))
    with pytest.raises(AetherError, match=r"cannot be read .No such file"):
        run(CodecTask, options(data_root, tmp_path / "b", resume=str(tmp_path / "absent.pth")))
    text = tmp_path / "text.pth"
    text.write_text("hello")
    with pytest.raises(AetherError, match="not a checkpoint"):
        run(CodecTask, options(data_root, tmp_path / "b", resume=str(text)))
    config = options(data_root, tmp_path / "c", batch=6, audio_items=6)
    with pytest.raises(AetherError, match="cannot be shared evenly by 4 processes"):
        CodecTask(config, corpora(config)[0], DistributedContext(0, 4, torch.device("cpu")))


def test_a_run_of_base_starts_from_small_and_grows_it(data_root: Path, tmp_path: Path) -> None:
    changes = {"codec": "small", "stage_borders": [99, 99, 99], "lambda_wave": 0.0, "lambda_adv": 0.0}
    trainer = trained(data_root, tmp_path, 0, preset="base", **changes)
    small, origin = load_codec(codec_path("small"))
    before = origin["steps_done"] + origin["started_from"]["steps"]
    assert trainer.task.start == {"model": "small", "commit": origin["commit"], "steps": before}
    assert trainer.task.codec.config == preset("base")
    assert torch.equal(trainer.task.codec.jscc_encoder.linear.weight, small.jscc_encoder.linear.weight)
    with pytest.raises(AetherError, match="is not of preset tiny"):
        trained(data_root, tmp_path, 0, preset="tiny", **changes)


def test_the_balance_of_conditions_and_the_weight_of_pitch_reach_the_loss(data_root: Path, tmp_path: Path) -> None:
    totals = []
    for name, changes in {"plain": {}, "alike": {"balance": 0.0}, "pitch": {"lambda_pitch": 1.0}}.items():
        trainer = trained(data_root, tmp_path / name, 0, **changes)
        parts = trainer.train_step()
        totals.append(float(parts["spi"]))
        if name == "pitch":
            assert totals[-1] - totals[0] == pytest.approx(float(parts["pitch"]), rel=1e-4)
    assert totals[1] != pytest.approx(totals[0], rel=1e-3)


def test_errors_count_as_a_recogniser_hears_them_only_where_asked(data_root: Path, tmp_path: Path) -> None:
    loss = tiny_asr_loss()
    save_mel_predictor(loss.mel_predictor, loss.spread, tmp_path / "ear.safetensors", {})
    write_model(tmp_path, variables(tiny_encoder()))
    hears = {"mel_predictor": str(tmp_path / "ear.safetensors"), "asr_model": str(tmp_path), "asr_items": 2}
    plain = trained(data_root, tmp_path / "plain", steps=2, **hears)
    assert plain.task.asr is None
    heard = trained(data_root, tmp_path / "heard", steps=1, lambda_asr=2.0, **hears)
    kept = {name: value.clone() for name, value in heard.task.asr.state_dict().items()}
    assert heard.train_step()["asr"] > 0
    weights = heard.task.codec.state_dict()
    assert any(not torch.equal(value, weights[name]) for name, value in plain.task.codec.state_dict().items())
    for name, value in heard.task.asr.state_dict().items():
        assert torch.equal(value, kept[name])
    assert not any("asr" in name for name in [*heard.content()["model"], *heard.content()["networks"]])
    with pytest.raises(AetherError, match="no such mel predictor file"):
        trained(data_root, tmp_path / "none", steps=0, lambda_asr=1.0, mel_predictor=str(tmp_path / "nobody"))


def test_a_start_of_unknown_origin_counts_no_steps(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_codec(SpiCodec(preset("tiny")), path, {"steps_done": "many", "started_from": "elsewhere"})
    assert started_from(str(path)) == {"model": "mine", "commit": "", "steps": 0}


def test_the_items_that_are_listened_to_are_the_same_for_any_number_of_processes() -> None:
    whole = Batch(tuple(range(8)), torch.zeros(8, 4, 20), None)
    halves = [Batch(tuple(range(first, first + 4)), torch.zeros(4, 4, 20), None) for first in (0, 4)]
    assert [whole.items[place] for place in every(4, whole)] == [0, 4]
    assert [[half.items[place] for place in every(4, half)] for half in halves] == [[0], [4]]
