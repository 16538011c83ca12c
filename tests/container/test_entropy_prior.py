"""A trained prior is smaller on bits like those it learned from, and its file is checked."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from aether_lite.container.entropy import BlockCoder, Predictor, _constriction
from aether_lite.container.layout import BitArray
from aether_lite.container.prior import (
    FORMAT,
    Prior,
    PriorLabel,
    adaptive_prior,
    context_cells,
    load_prior,
    read_label,
    save_prior,
    table_starts,
)
from aether_lite.errors import AetherError
from aether_lite.training.prior import PriorConfig, _examples, _Mixer, fit_prior

WIDTH = 24
QUICK = PriorConfig(hidden=12, steps=120, batch=64, learning_rate=2e-2)


def common_cause(tokens: int, seed: int) -> BitArray:
    """Bits of one of four patterns a token, 15 % of them flipped: distant bits depend on each other."""
    generator, patterns = np.random.default_rng(seed), np.random.default_rng(9).integers(0, 2, (4, WIDTH))
    chosen = patterns[generator.integers(0, 4, tokens)]
    return (chosen ^ (generator.random((tokens, WIDTH)) < 0.15)).astype(np.uint8)


@pytest.fixture(scope="module")
def trained() -> Prior:
    return fit_prior([common_cause(100, seed) for seed in range(12)], QUICK)


def coded_size(prior: Prior, bits: BitArray) -> int:
    return len(BlockCoder(prior).encode(bits))


def test_training_finds_what_the_tables_cannot(trained: Prior) -> None:
    clip = common_cause(150, seed=99)
    tables_only = fit_prior([common_cause(100, seed) for seed in range(12)], replace(QUICK, hidden=0))
    assert trained.hidden == 12
    assert tables_only.hidden == 0
    sizes = [coded_size(prior, clip) for prior in (trained, tables_only, adaptive_prior(WIDTH))]
    assert sizes[0] < 0.93 * sizes[1] < 0.93 * sizes[2]
    np.testing.assert_array_equal(BlockCoder(trained).decode(BlockCoder(trained).encode(clip), 150), clip)


def test_integers_follow_the_trained_formula(trained: Prior) -> None:
    """The predictor's first chances, from integers, are those of the formula in floating point."""
    clip = common_cause(3, seed=4)
    examples = _examples([clip])
    mixer = _Mixer(WIDTH, PriorConfig(hidden=12), trained.cells)
    unit = 1 / 4096
    with torch.no_grad():
        mixer.weights.copy_(torch.from_numpy(trained.weights[:, :-1] / 65536))
        for name in ("past", "within", "hidden_bias", "out"):
            getattr(mixer, name).copy_(torch.from_numpy(getattr(trained, name) * unit))
        mixer.out_bias.copy_(torch.from_numpy(trained.out_bias / 256))
        expected = float(mixer(*examples.tensors)) * clip.size
    still = replace(trained, counts=np.full_like(trained.counts, 255))  # cells hardly move
    predictor, found = Predictor(still), 0.0
    for bit in clip.ravel().tolist():
        chance = predictor.next_chance() / 65536
        found -= np.log2(chance if bit else 1 - chance)
        predictor.update(bit)
    assert found == pytest.approx(expected, rel=0.02)


def test_contexts_of_clips_are_those_of_the_predictor() -> None:
    clip = common_cause(5, seed=3)
    predictor = Predictor(adaptive_prior(WIDTH))
    for cells, bit in zip(context_cells(clip).reshape(-1, 4).tolist(), clip.ravel().tolist(), strict=True):
        predictor.next_chance()
        assert list(predictor._at) == cells
        predictor.update(bit)
    assert table_starts(WIDTH) == (0, 96, 288, 672)


def test_a_prior_is_stored_whole(trained: Prior, tmp_path: Path) -> None:
    save_prior(trained, tmp_path / "bits.safetensors")
    loaded = load_prior(tmp_path / "bits.safetensors")
    assert loaded.identity == trained.identity
    for field in fields(Prior):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(trained, field.name))
    save_prior(trained, tmp_path / "labelled.safetensors", b"12345678", {"seed": 0})
    assert read_label(tmp_path / "labelled.safetensors") == PriorLabel(
        trained.identity, b"12345678", WIDTH, {"seed": 0}
    )
    assert read_label(tmp_path / "bits.safetensors").model_id == b""
    assert len({trained.identity, adaptive_prior(24).identity, adaptive_prior(48).identity}) == 3


def test_files_that_hold_no_prior_are_refused(trained: Prior, tmp_path: Path) -> None:
    path = tmp_path / "bits.safetensors"
    tensors = {field.name: getattr(trained, field.name) for field in fields(Prior)}
    cases = [
        ({**tensors, "cells": tensors["cells"] * 0}, "cells must be"),
        ({**tensors, "counts": tensors["counts"][:-1]}, "counts is uint8"),
        ({**tensors, "past": tensors["past"].astype(np.int32)}, "past is int32"),
        ({**tensors, "weights": tensors["weights"] + (1 << 24)}, "mixing weights"),
        ({**tensors, "out": np.zeros((0, 0), dtype=np.int16)}, "out of shape"),
        ({"cells": tensors["cells"]}, "not a prior"),
    ]
    for changed, message in cases:
        save_file(changed, path, {"format": FORMAT})
        with pytest.raises(AetherError, match=rf"bits\.safetensors: .*{message}"):
            load_prior(path)
        with pytest.raises(AetherError, match=r"bits\.safetensors: its label cannot be read"):
            read_label(path)
    path.write_bytes(b"no")
    with pytest.raises(AetherError, match=r"bits\.safetensors: not a prior"):
        load_prior(path)
    with pytest.raises(AetherError, match=r"absent: cannot be read \(No such file"):
        load_prior(tmp_path / "absent")


def test_training_checks_its_clips() -> None:
    for clips in ([common_cause(9, 0)], [common_cause(9, 0), np.zeros((0, WIDTH))]):
        with pytest.raises(AetherError, match="at least two"):
            fit_prior(clips, QUICK)
    with pytest.raises(AetherError, match=r"must be \[tokens, 24\]"):
        fit_prior([common_cause(9, 0), np.zeros((9, 48))], QUICK)


def test_an_absent_coder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    _constriction.cache_clear()
    with pytest.raises(AetherError, match=r"pip install '\.\[entropy\]'"):
        BlockCoder(adaptive_prior(24))
    _constriction.cache_clear()
