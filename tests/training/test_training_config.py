"""Options: command line, YAML, ranges."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import aether_lite
from aether_lite.errors import AetherError
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.distributed import DistributedContext, shared_items
from aether_lite.training.mel_predictor import MelPredictorConfig
from aether_lite.training.options import parse as parse_stages
from aether_lite.training.options import parser, recipe_task
from aether_lite.training.prior import PriorConfig
from aether_lite.training.vocoder_config import VocoderConfig

CONF = Path(aether_lite.__file__).parent / "conf"


def parse(arguments: list[str]) -> TrainConfig:
    return parse_stages(TrainConfig, arguments, "aether-lite train")[0]


def test_the_users_command_is_understood() -> None:
    command = """--save_visualization --use_stft_loss --fargan_ckpt ./fargan_pt/fargan_sq1Ab_adv_50.pth
        --data_root ./data_cn --lambda_wave 0.1 --lambda_adv 0.0 --lambda_spi 1.5"""
    config = parse(command.split())
    assert config.save_visualization
    assert config.use_stft_loss
    assert config.data_root == ["./data_cn"]
    assert (config.lambda_wave, config.lambda_adv, config.lambda_spi) == (0.1, 0.0, 1.5)


def test_every_flag_can_be_switched_off() -> None:
    flags = [f.name for f in fields(TrainConfig) if isinstance(getattr(TrainConfig(), f.name), bool)]
    assert len(flags) >= 5
    for name in flags:
        dashed = name.replace("_", "-")
        assert getattr(parse([f"--{dashed}"]), name) is True
        assert getattr(parse([f"--{dashed}", f"--no-{dashed}"]), name) is False
        assert getattr(parse([f"--{name}", f"--no_{name}"]), name) is False


def test_dashes_and_underscores_mean_the_same() -> None:
    assert parse(["--audio_items", "2"]) == parse(["--audio-items", "2"]) == parse(["--audio_items=2"])
    assert parse(["--out=my_run"]).out == "my_run"


def test_help_lists_every_option_with_its_default() -> None:
    text = parser(TrainConfig, "x").format_help()
    for item in fields(TrainConfig):
        assert f"--{item.name.replace('_', '-')}" in text
    assert text.count("(default:") >= len(fields(TrainConfig)) - 2  # line breaks may split some


def test_stft_loss_is_off_unless_given() -> None:
    assert parse([]).use_stft_loss is False


@pytest.mark.parametrize("values", [["3"], ["4", "2"], ["-6", "30", "22"], ["2", "2", "2"], ["0", "1", "2", "3"]])
def test_a_wrong_range_of_snrs_is_a_stated_error(values: list[str]) -> None:
    with pytest.raises(AetherError, match="snr_db: lowest and highest value, or lowest, most frequent and highest"):
        parse(["--snr_db", *values])


@pytest.mark.parametrize("values", [[2.0, 2.0], [-6.0, 22.0], [-6.0, 0.0, 22.0], [-6.0, -6.0, 22.0]])
def test_two_or_three_snrs_are_understood(values: list[float]) -> None:
    assert parse(["--snr_db", *map(str, values)]).snr_db == values


def test_command_line_wins_over_yaml(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("batch: 12\nlearning-rate: 1\nchannels: {awgn: 1.0}\nuse_stft_loss: true\n")
    config = parse(["--config", str(path), "--batch", "8"])
    assert (config.batch, config.learning_rate, config.channels, config.use_stft_loss) == (8, 1.0, {"awgn": 1.0}, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("bach: 12", "unknown option 'bach'"),
        ("batch: many", "batch must be"),
        ("- 1", "OPTION: VALUE"),
        (":\n:", "YAML"),
    ],
)
def test_a_wrong_yaml_file_is_a_stated_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(AetherError, match=message) as caught:
        parse(["--config", str(path)])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--frames", "100"],
        ["--stage-borders", "3", "2", "1"],
        ["--rates", "450"],
        ["--channels", "awgn"],
        ["--channels", "awgm=1"],
        ["--audio-items", "0"],
        ["--form", "widht=3"],
        ["--form", "power=tokn"],
        ["--start_share", "0.5"],
        ["--lambda-asr", "1", "--frames", "3008"],
        ["--lambda-asr", "-1"],
        ["--lambda-envelope", "1", "--frames", "32", "--audio-frames", "24"],
        ["--lambda-adv", "0.1", "--lambda-wave", "0"],
        ["--csi_none_share", "2"],
    ],
)
def test_values_out_of_range_are_stated_errors(arguments: list[str]) -> None:
    with pytest.raises(AetherError):
        parse(arguments)


def test_items_for_audio_and_recogniser_follow_the_batch() -> None:
    alone, four = (DistributedContext(0, size, torch.device("cpu")) for size in (1, 4))
    assert [shared_items(alone, 8, batch) for batch in (24, 12, 4, 7, 1)] == [8, 6, 4, 7, 1]
    assert [shared_items(four, 8, batch) for batch in (24, 12, 4)] == [8, 4, 4]
    assert parse(["--batch", "4", "--lambda_asr", "1"]).batch == 4


def test_former_names_are_accepted_with_a_note(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = parse(["--withheld", "0.2", "--lambda-listening=0.5", "--critic_rate", "1e-3"])
    assert (config.csi_none_share, config.lambda_asr, config.discriminator_rate) == (0.2, 0.5, 1e-3)
    assert "aether-lite: --withheld is now --csi_none_share" in capsys.readouterr().err
    (tmp_path / "old.yaml").write_text("listening_items: 2\n")
    assert parse(["--config", str(tmp_path / "old.yaml")]).asr_items == 2


@pytest.mark.parametrize("name", sorted(TrainConfig.REMOVED))
def test_removed_options_say_what_stands_in_their_place(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "old.yaml").write_text(f"{name}: 1\n")
    for arguments in ([f"--{name}", "1"], [f"--no-{name}"], ["--config", str(tmp_path / "old.yaml")]):
        with pytest.raises(SystemExit) as stopped:
            parse(arguments)
        assert stopped.value.code == 2
        assert f"--{name} is no more: {TrainConfig.REMOVED[name]}" in " ".join(capsys.readouterr().err.split())


def test_stages_of_a_recipe_differ_as_it_says_and_the_command_line_wins(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "task: codec\ncodec: small\nbatch: 12\nform: {linear: false}\nstages:\n"
        "  - {name: features, steps: 30, seed: 1}\n  - {name: asr, steps: 20, lambda_asr: 1}\n"
        "  - {name: last, codec: base}\n"
    )
    assert recipe_task(["--config", str(recipe), "--batch", "3"]) == "codec"
    stages = parse_stages(TrainConfig, ["--config", str(recipe), "--seed", "7", "--out", "r"], "x")
    assert [(s.out, s.steps, s.seed, s.batch, s.lambda_asr) for s in stages] == [
        ("r/1_features", 30, 7, 12, 0.0), ("r/2_asr", 20, 7, 12, 1.0), ("r/3_last", 8000, 7, 12, 0.0),
    ]  # fmt: skip
    started = "r/1_features/codec_small.safetensors"
    assert [s.codec for s in stages] == ["small", started, "base"]  # a later stage starts from the one before it
    assert not stages[0].codec_form.linear
    given = parse_stages(TrainConfig, ["--config", str(recipe), "--codec", "x", "--out", "r"], "x")
    assert [s.codec for s in given] == ["x", started, "base"]
    recipe.write_text("stages: {steps: 3}\n")
    with pytest.raises(AetherError, match="stages must be a list"):
        parse(["--config", str(recipe)])


@pytest.mark.parametrize("recipe", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_recipe_is_understood_wherever_one_is(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = re.search(r"--data_root((?: [A-Z0-9_]+)+)", recipe.read_text())  # as the recipe's first lines say
    roots = ["--data_root", *command[1].split()] if command else []
    arguments = ["--config", str(recipe.relative_to(CONF.parent)), *roots]
    kind = {"codec": TrainConfig, "vocoder": VocoderConfig, "mel_predictor": MelPredictorConfig, "prior": PriorConfig}
    assert parse_stages(kind[recipe_task(arguments)], arguments, "x")
