"""The four stages: names, borders, and what each switches on."""

from __future__ import annotations

import pytest
import torch

from aether_lite.training.config import TrainConfig
from aether_lite.training.curriculum import DEFAULT_BORDERS, STAGES, position, table
from aether_lite.training.objective import spi_weights, weighted_sum
from aether_lite.training.passes import WAVE_WEIGHTS


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
    assert [s.hears for s in STAGES] == [False, True, True, True]


def test_stages_of_no_length_are_skipped() -> None:
    assert position(0, (0, 0, 0)).stage.name == "end_to_end"
    assert position(5, (5, 5, 9)).stage.name == "progressive_gan"


def test_table_lists_every_stage() -> None:
    rows = table(DEFAULT_BORDERS, 8000)
    assert [row[1] for row in rows] == ["0-1000", "1000-3000", "3000-5000", "5000-8000"]
    assert [row[-1] for row in rows] == ["unused", "frozen", "frozen", "trained"]


def test_the_table_decides_which_terms_count() -> None:
    spi = set(spi_weights(TrainConfig()))
    assert set(STAGES[0].losses) == spi
    assert set(STAGES[1].losses) == spi | set(WAVE_WEIGHTS) | {"adversarial", "feature_matching"}
    terms = {name: torch.ones(()) for name in WAVE_WEIGHTS}
    assert float(weighted_sum(terms, WAVE_WEIGHTS, STAGES[0].losses, torch.zeros(1))) == 0
    assert float(weighted_sum(terms, WAVE_WEIGHTS, STAGES[1].losses, torch.zeros(1))) == sum(WAVE_WEIGHTS.values())
