"""The four stages: names, borders, and what each switches on."""

from __future__ import annotations

import pytest
import torch

from aether_lite.losses.registry import GAN, GROUPS, SPI, WAVE, SpiInputs, TermGroup
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.curriculum import DEFAULT_BORDERS, STAGES, position


def test_names_and_default_borders_are_fixed() -> None:
    assert [s.name for s in STAGES] == ["feature_focus", "audio_weak_gan", "progressive_gan", "end_to_end"]
    assert DEFAULT_BORDERS == (1000, 3000, 5000)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (0, "feature_focus"),
        (999, "feature_focus"),
        (1000, "audio_weak_gan"),
        (2999, "audio_weak_gan"),
        (3000, "progressive_gan"),
        (4999, "progressive_gan"),
        (5000, "end_to_end"),
        (5001, "end_to_end"),
        (10**6, "end_to_end"),
    ],
)
def test_every_step_has_its_stage(step: int, name: str) -> None:
    assert position(step).stage.name == name


def test_gan_factor_is_off_then_weak_then_rises_to_full() -> None:
    factors = [position(step).adv for step in range(6000)]
    assert factors[:1000] == [0.0] * 1000
    assert set(factors[1000:3000]) == {0.1}
    rising = factors[3000:5000]
    assert rising == sorted(rising)
    assert rising[0] == pytest.approx(0.1)
    assert rising[-1] == pytest.approx(1.0, abs=1e-3)
    assert set(factors[5000:]) == {1.0}


def test_only_the_last_stage_trains_the_vocoder_and_only_the_first_is_silent() -> None:
    assert [s.trains_vocoder for s in STAGES] == [False, False, False, True]
    assert [s.makes_audio for s in STAGES] == [False, True, True, True]


def test_stages_of_no_length_are_skipped() -> None:
    assert position(0, (0, 0, 0)).stage.name == "end_to_end"
    assert position(5, (5, 5, 9)).stage.name == "progressive_gan"


def test_the_tables_decide_how_much_each_term_counts() -> None:
    config = TrainConfig(lambda_spi=2.0, lambda_wave=3.0, lambda_adv=5.0, lambda_asr=0.5)
    expected = {"spi": 2.0, "wave": 3.0, "adv": 5.0}
    for step, on in (
        (0, {"spi": 1.0}),
        (1000, {"spi": 1.0, "wave": 1.0, "adv": 0.1}),
        (9000, dict.fromkeys(expected, 1.0)),
    ):
        for group, scale in expected.items():
            for name, weight in GROUPS[group].weights(config).items():
                found = position(step).total(GROUPS[group], {name: torch.tensor(7.0)}, config)
                assert float(found) == pytest.approx(7.0 * on.get(group, 0.0) * scale * weight), name
    assert SPI.weights(config)["asr"] == 0.5
    assert GAN.weights(config) == {"adversarial": 1.0, "feature_matching": 1.0}
    assert {name: len(group.terms) for name, group in GROUPS.items()} == {"spi": 12, "wave": 3, "adv": 2}


def test_a_term_without_a_weight_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a weight among the wave terms: chroma, feature"):
        position(0).total(WAVE, dict.fromkeys(("log_mel", "feature", "chroma"), torch.ones(())), TrainConfig())


def test_a_term_registers_where_it_stands_and_is_counted_by_its_weight() -> None:
    group: TermGroup[SpiInputs] = TermGroup("spi")

    @group.term("level", 0.5)
    def level(given: SpiInputs) -> torch.Tensor:
        return given.mean(given.original[..., 0].mean(-1))

    @group.term("asked", "lambda_asr", optional=True)
    def asked(given: SpiInputs) -> torch.Tensor:
        return given.original.sum()

    with pytest.raises(ValueError, match="a term level among the spi terms already"):
        group.term("level", 1.0)(level)
    inputs = SpiInputs(None, torch.ones(2, 3, 20), torch.tensor([1.0, 3.0]))  # type: ignore[arg-type]
    both = {"level": 2.0, "asked": 120.0}
    for config, counted, total in ((TrainConfig(), {"level": 2.0}, 1.0), (TrainConfig(lambda_asr=0.1), both, 13.0)):
        weights = group.weights(config)
        values = group.values(inputs, weights)
        assert {name: float(value) for name, value in values.items()} == counted
        assert float(group.total(values, weights)) == pytest.approx(total)
