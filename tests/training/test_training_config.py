"""Options: command line, YAML, ranges."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from aether_lite.errors import AetherError
from aether_lite.training.config import TrainConfig, parse, parser


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
    text = parser("x").format_help()
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
        ["--audio-items", "99"],
        ["--lambda-listening", "1", "--listening-items", "99"],
        ["--lambda-listening", "1", "--frames", "3008"],
        ["--lambda-listening", "-1"],
        ["--lambda-words", "1", "--listening-items", "99"],
        ["--lambda-words", "1", "--frames", "2976"],
        ["--lambda-words", "-1"],
        ["--lambda-envelope", "1", "--frames", "32", "--audio-frames", "24"],
        ["--lambda-adv", "0.1", "--lambda-wave", "0"],
        ["--withheld", "2"],
        ["--sends", "0"],
    ],
)
def test_values_out_of_range_are_stated_errors(arguments: list[str]) -> None:
    with pytest.raises(AetherError):
        parse(arguments)


def test_a_small_batch_needs_no_listening_items_where_nobody_listens() -> None:
    config = parse(["--batch", "2", "--audio-items", "1", "--frames", "32", "--audio-frames", "24"])
    assert config.listening_items > config.batch
