"""Training a hash codec: conditions, a falling loss, resume, files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aether_lite.codec import is_hash_codec, load_codec, save_codec
from aether_lite.codec.loading import codec_path
from aether_lite.data.corpus import Corpus
from aether_lite.errors import AetherError
from aether_lite.losses.feature import feature_loss
from aether_lite.payload import Bits
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_task import CodecTask
from aether_lite.training.conditions import awgn_snr_db, draw, rayleigh_snr_db
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.loop import Trainer, run
from aether_lite.training.options import parse

ALONE = DistributedContext(0, 1, torch.device("cpu"))
SPEECH = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of two speakers."""
    root = tmp_path_factory.mktemp("pairs")
    for name in ("en_f_intro", "it_m_intro"):
        for kind in ("f32", "pcm"):
            shutil.copy(SPEECH / f"{name}.{kind}", root)
    return root


def options(clips: Path, out: Path, **changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "data_root": [str(clips)],
        "out": str(out),
        "preset": "tiny",
        "enable_hash": True,
        "steps": 12,
        "stage_borders": [99, 99, 99],
        "batch": 4,
        "frames": 48,
        "audio_items": 2,
        "audio_frames": 24,
        "lambda_adv": 0.0,
        "warmup": 2,
        "validate_every": 100,
        "estoi_clips": 0,
        "tensorboard": False,
    }
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def options_of(arguments: list[str]) -> TrainConfig:
    return parse(TrainConfig, arguments, "x")[0]


def trainer(config: TrainConfig) -> Trainer:
    made = Trainer(CodecTask(config, Corpus([Path(r) for r in config.data_root]), ALONE))
    made.resume(config.resume)
    return made


def _loss(made: Trainer) -> float:
    """Feature loss of the same crops under the same conditions."""
    items = range(32)
    features = made.task.corpus.batch(7, 0, items, 48)
    conditions = draw(TrainConfig(enable_hash=True), 7, 0, items)
    with torch.no_grad():
        decoded = made.task.codec(features, conditions.rate, conditions.transmit).features
    return float(feature_loss(decoded, features).mean())


def test_steps_lower_the_loss(clips: Path, tmp_path: Path) -> None:
    made = trainer(options(clips, tmp_path, steps=100, learning_rate=1e-2))
    before = _loss(made)
    for _ in range(100):
        made.train_step()
    assert _loss(made) < 0.9 * before
    assert made.task.penalties is not None
    assert int(made.task.penalties.updates) == 100


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bits(clips: Path, tmp_path: Path) -> None:
    whole = trainer(options(clips, tmp_path / "whole"))
    for _ in range(6):
        whole.train_step()
    killed = trainer(options(clips, tmp_path / "killed"))
    for _ in range(3):
        killed.train_step()
    killed.save()
    continued = trainer(options(clips, tmp_path / "killed"))
    assert continued.step == 3
    for _ in range(3):
        continued.train_step()
    assert whole.task.penalties is not None
    assert continued.task.penalties is not None
    for ours, theirs in (
        (whole.task.codec, continued.task.codec),
        (whole.task.average, continued.task.average),
        (whole.task.penalties, continued.task.penalties),
    ):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_a_checkpoint_from_before_the_hash_options_continues(clips: Path, tmp_path: Path) -> None:
    from aether_lite.training.checkpoint import load_checkpoint, newest, save_checkpoint

    config = options(clips, tmp_path, enable_hash=False)
    made = trainer(config)
    made.train_step()
    made.save()
    path = newest(tmp_path)
    assert path is not None
    content = load_checkpoint(path)
    assert "penalties" not in content
    late = ("enable_hash", "form", "bit_rates", "bit_error_rate", "bit_channels")
    content["config"] = {name: value for name, value in content["config"].items() if name not in late}
    save_checkpoint(path, content)
    assert trainer(config).step == 1
    with pytest.raises(AetherError, match=r"other options \(enable_hash\)"):
        trainer(options(clips, tmp_path))


def test_a_run_validates_over_the_channel_and_writes_a_hash_codec(clips: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(CodecTask, options(clips, first, steps=3, validate_every=3, save_visualization=True, estoi_clips=1))
    rows = [json.loads(line) for line in (first / "log.jsonl").read_text().splitlines()]
    valid = {row["valid"]: row for row in rows if "valid" in row}
    assert {f"600bps@BER{p}" for p in ("0", "0.01", "0.05")} < valid.keys()
    assert valid["600bps@BER0.05"]["feature_loss"] != valid["600bps@BER0"]["feature_loss"]
    assert all(0 <= row["bit_bias"] <= 1 and "symbol_power" not in row for row in valid.values())
    assert {"balance", "decorrelation", "confidence"} <= rows[-len(valid) - 1].keys()
    assert (first / "transmission_00000003.png").exists()
    path = first / "hash_tiny.safetensors"
    model, provenance = load_codec(path)
    assert model.config.hash == "sign"
    assert provenance["steps_done"] == 3


def test_a_run_starts_from_the_weights_of_any_codec(clips: Path, tmp_path: Path) -> None:
    analogue = trainer(options(clips, tmp_path / "a", enable_hash=False))
    start = tmp_path / "codec_tiny.safetensors"
    save_codec(analogue.task.codec, start, {"commit": "abc", "steps_done": 5, "started_from": {"steps": 2}})
    made = trainer(options(clips, tmp_path / "b", codec=str(start)))
    assert made.task.codec.config.hash == "sign"
    assert made.task.start == {"model": "codec_tiny", "commit": "abc", "steps": 7}
    (tmp_path / "b").mkdir()
    made.task.export(made.step)
    assert load_codec(tmp_path / "b" / "hash_tiny.safetensors")[1]["started_from"] == made.task.start
    assert torch.equal(
        made.task.codec.jscc_encoder.linear.bias, analogue.task.codec.jscc_encoder.linear.bias.half().float()
    )
    save_codec(made.task.codec, tmp_path / "hash.safetensors", {})
    assert is_hash_codec(tmp_path / "hash.safetensors")
    with pytest.raises(AetherError, match="is a hash codec"):
        trainer(options(clips, tmp_path / "c", enable_hash=False, codec=str(tmp_path / "hash.safetensors")))
    with pytest.raises(AetherError, match="is not of preset long"):
        trainer(options(clips, tmp_path / "d", preset="long", codec=str(start)))
    released = trainer(options(clips, tmp_path / "f", preset="long", codec="hash_small"))
    assert released.task.codec.config == replace(
        load_codec(codec_path("hash_small"))[0].config, hash="sign", lookahead=1
    )
    with pytest.raises(AetherError, match="not whole bytes at 300 bit/s"):
        trainer(options(clips, tmp_path / "e", preset="small"))


def test_conditions_are_functions_of_seed_step_and_item_within_their_ranges() -> None:
    drawn = draw(TrainConfig(enable_hash=True), 1, 2, range(400))
    again = draw(TrainConfig(enable_hash=True), 1, 2, [7, 300])
    assert (again.seeds, again.channel) == tuple(tuple(t[i] for i in (7, 300)) for t in (drawn.seeds, drawn.channel))
    assert torch.equal(again.quality, drawn.quality[[7, 300]])
    assert draw(TrainConfig(enable_hash=True), 1, 3, [7]).seeds != draw(TrainConfig(enable_hash=True), 1, 2, [7]).seeds
    assert set(drawn.rate.tolist()) == {300, 600, 1200, 2400}
    assert set(drawn.channel) == {"bsc", "bpsk_awgn", "bpsk_rayleigh"}
    assert 0 <= float(drawn.quality.min()) < 0.002
    assert 0.09 < float(drawn.quality.max()) <= 0.1
    for losses in (drawn.token_loss, drawn.bit_loss):
        assert sum(p > 0 for p in losses) == pytest.approx(40, abs=20)
        assert max(losses) <= 0.3


def test_the_channel_acts_on_every_item_at_the_error_rate_drawn() -> None:
    """All three channels, from the first step; hard decisions err as often as was drawn."""
    ranges = TrainConfig(
        enable_hash=True, bit_rates=[2400], bit_error_rate=[0.05, 0.1], erasure_share=0.0, csi_none_share=0.0
    )
    conditions = draw(ranges, 0, 0, range(48))
    values = 1.0 - 2.0 * torch.randint(2, (48, 100, 192), generator=torch.Generator().manual_seed(0))
    received = conditions.transmit(Bits(values, conditions.rate, token_frames=8))
    received.validate()
    errors = (received.values * values < 0).double().mean((1, 2))
    for name in set(conditions.channel):
        chosen = torch.tensor([other == name for other in conditions.channel])
        expected = float(conditions.quality[chosen].mean())
        assert float(errors[chosen].mean()) == pytest.approx(expected, rel=0.15), name
    assert (errors > 0.01).all()


def test_lost_bits_and_tokens_and_withheld_knowledge_reach_their_items() -> None:
    ranges = TrainConfig(
        enable_hash=True, bit_rates=[600], bit_error_rate=[0.0, 0.0], bit_channels={"bsc": 1.0}, erasure_share=0.5,
        csi_none_share=0.3,
    )  # fmt: skip
    conditions = draw(ranges, 0, 0, range(40))
    received = conditions.transmit(Bits(torch.ones(40, 200, 48), conditions.rate, token_frames=8))
    for item in range(40):
        soft = received.values[item]
        assert float(received.erased[item].float().mean()) == pytest.approx(conditions.token_loss[item], abs=0.13)
        kept = soft[~received.erased[item]]
        share = conditions.bit_loss[item]
        assert float((kept == 0).float().mean()) == pytest.approx(share, abs=0.03)
        told = float(kept[kept != 0].mean())
        assert (told == pytest.approx(0.9)) == conditions.csi_none[item]


def test_snr_of_an_error_rate_is_that_of_theory() -> None:
    p = torch.tensor([0.1, 0.01, 0.0], dtype=torch.float64)
    assert awgn_snr_db(p).tolist() == pytest.approx([-0.856, 4.323, 30.0], abs=0.01)
    assert rayleigh_snr_db(p).tolist() == pytest.approx([2.499, 13.853, 30.0], abs=0.01)


def test_options_of_the_command_line() -> None:
    config = options_of(["--enable_hash", "--bit_rates", "600"])
    assert (config.enable_hash, config.codec_form.hash, config.bit_rates) == (True, "sign", [600])
    assert not options_of([]).enable_hash


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bit-rates", "700"],
        ["--bit-error-rate", "0.1"],
        ["--bit-error-rate", "0", "0.5"],
        ["--bit-channels", "bec=1"],
    ],
)
def test_values_out_of_range_are_stated_errors(arguments: list[str]) -> None:
    with pytest.raises(AetherError):
        options_of(arguments)
