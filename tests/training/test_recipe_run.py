"""Training from the shell: recipes with stages, one thread, what is said in the bar and at the end, pictures."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from aether_lite.cli.train import train
from aether_lite.codec import load_codec
from aether_lite.errors import AetherError
from aether_lite.training.checkpoint import load_checkpoint
from aether_lite.training.distributed import distributed_context
from aether_lite.training.run_logger import PANELS, RunLogger, loss_curves

RECIPE = """
task: codec
preset: tiny
batch: 4
frames: 48
audio_frames: 24
lambda_adv: 0
lambda_wave: 0
stage_borders: [99, 99, 99]
warmup: 1
estoi_clips: 0
tensorboard: false
stages:
  - {name: first, steps: 2, learning_rate: 1.0e-2}
  - {name: second, steps: 3, seed: 1, start_share: 0.25}
"""


def test_a_recipe_runs_its_stages_one_after_another_and_only_once(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    arguments = ["--config", str(recipe), "--data_root", str(data_root), "--out", str(out)]
    threads = torch.get_num_threads()
    train("train", arguments)
    assert torch.get_num_threads() == threads
    said = capsys.readouterr().out
    first, second = out / "1_first" / "codec_tiny.safetensors", out / "2_second" / "codec_tiny.safetensors"
    assert f"finished: 2 steps, weights in {first}" in said
    assert f"next: aether-lite transmit IN.wav OUT.wav --snr 10 --model {second}" in said
    (before, _), (model, provenance) = load_codec(first), load_codec(second)
    assert (provenance["steps_done"], provenance["started_from"]["steps"]) == (3, 2)
    assert provenance["options"]["codec"] == "codec_tiny.safetensors"
    average = load_checkpoint(out / "2_second" / "step_00000003.pth")["average"]
    for name, value in model.named_parameters():  # stored as float16
        expected = 0.75 * average[name] + 0.25 * before.state_dict()[name]
        torch.testing.assert_close(value, expected, rtol=2e-3, atol=1e-4)
    best = out / "2_second" / "best.pth"
    checkpoint, origin = load_codec(best)  # a checkpoint is a model too
    assert checkpoint.config == model.config
    assert origin["options"] == provenance["options"]
    kept = load_checkpoint(best)["average"]
    assert all(torch.equal(value, kept[name]) for name, value in checkpoint.state_dict().items())
    written = second.stat().st_mtime_ns
    train("train", arguments)
    assert second.stat().st_mtime_ns == written
    with pytest.raises(AetherError, match="the recipe trains 'codec'"):
        train("train-vocoder", arguments)


def test_audio_as_data_root_says_what_to_run(tmp_path: Path) -> None:
    folder = tmp_path / "speech"
    folder.mkdir()
    shutil.copy(next(Path(str(files("aether_lite") / "assets" / "samples")).glob("*.flac")), folder)
    with pytest.raises(AetherError, match=r"speech: holds audio.*run `aether-lite prepare .*speech .*speech_pairs`"):
        train("train", ["--data_root", str(folder), "--out", str(tmp_path / "out")])


def test_threads_hold_within_a_run_alone() -> None:
    before = torch.get_num_threads()
    with distributed_context(False, "cpu"):
        assert torch.get_num_threads() == 1
    with distributed_context(False, "cpu", threads=2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_the_bar_shows_stage_and_terms_of_the_step_it_stands_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("aether_lite.training.run_logger.time.monotonic", lambda: clock[0])
    logger = RunLogger(tmp_path, 30, 0, 10.0, shown=("total",), tensorboard=False)
    for step in range(1, 31):
        clock[0] += 0.2
        stage = "one" if step <= 12 else "two"
        logger.step(step, stage, {"total": torch.tensor(float(step)), "other": torch.tensor(1.0)}, 0.0)
        shown, place = logger.bar.postfix, logger.bar.n
        if place:
            assert f"total={place:.3f}" in shown
            assert logger.bar.desc.startswith("one" if place <= 12 else "two")
            assert step - place <= 3
    assert logger.bar.n == 30
    logger.close()
    rows = [json.loads(line) for line in logger.log.read_text().splitlines()]
    assert [(row["step"], row["stage"], row["total"]) for row in rows] == [
        (10, "one", 10.0), (20, "two", 20.0), (30, "two", 30.0),
    ]  # fmt: skip


def test_loss_curves_have_few_lines_a_panel_and_mark_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(map(len, PANELS.values())) <= 6
    names = [name for panel in PANELS.values() for name in panel]
    assert len(names) == len(set(names))
    rows = [
        {"step": step, "stage": "one" if step < 30 else "two", **dict.fromkeys(names, 1.0 / step)}
        for step in range(10, 60, 10)
    ]
    rows += [{"step": 50, "valid": point, "feature_loss": 0.1} for point in ("1000@10dB", "300@6dB")]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, rows)))
    drawn = []
    from matplotlib.figure import Figure

    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    loss_curves(log, tmp_path / "losses.png")
    panels = {axes.get_title(): axes for axes in drawn[0].axes}
    assert panels.keys() == {*PANELS, "feature_loss, validation"}
    for title, names_of in PANELS.items():
        labels = [line.get_label() for line in panels[title].get_lines() if not line.get_label().startswith("_")]
        assert labels == list(names_of)
        borders = [line.get_xdata()[0] for line in panels[title].get_lines() if line.get_linestyle() == ":"]
        assert borders == [10, 30]
    assert [text.get_text() for text in panels["sums"].texts] == [" one", " two"]
