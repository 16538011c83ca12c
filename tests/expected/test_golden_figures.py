"""Released codecs and vocoders give the figures that are written down; see ``remake.py`` beside this file."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from remake import COMMAND, HERE, NAMES, differences, measured


def expected(name: str) -> dict:
    return json.loads((HERE / f"{name}.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_the_golden_ones(name):
    lines = differences(expected(name)["cases"], measured(name))
    assert not lines, "\n".join([*lines, f"meant to change? `{COMMAND} {name}`, and say why (CONTRIBUTING.md)"])


def test_every_file_names_the_command_and_has_a_measure():
    assert {path.stem for path in HERE.glob("*.json")} == set(NAMES)
    assert all(expected(name)["made_by"] == f"{COMMAND} {name}" for name in NAMES)


@pytest.mark.parametrize("figure", ["feature_loss", "vuv_error", "estoi", "symbols", "received", "features", "samples"])
def test_a_change_of_a_few_percent_is_seen(figure):
    cases = expected("small")["cases"]
    moved = copy.deepcopy(cases)
    figures = moved["1000 uses/s, awgn 10 dB"]
    if isinstance(figures[figure], dict):
        figures[figure]["rms"] *= 1.03
    else:
        figures[figure] += 0.03
    assert len(differences(cases, moved)) == 1
    assert differences(cases, copy.deepcopy(cases)) == []


def test_another_sign_order_or_bit_is_seen():
    cases = expected("small")["cases"]
    for change in (np.negative, np.flip):
        moved = copy.deepcopy(cases)
        projections = moved["1200 uses/s, clean"]["symbols"]["projections"]
        moved["1200 uses/s, clean"]["symbols"]["projections"] = change(projections).tolist()
        assert len(differences(cases, moved)) == 1
    bits = expected("hash_small")["cases"]
    moved = copy.deepcopy(bits)
    text = moved["600 bit/s, bsc 0"]["bits"]
    moved["600 bit/s, bsc 0"]["bits"] = f"{int(text[:2], 16) ^ 0b111:02x}{text[2:]}"
    assert len(differences(bits, moved)) == 1
