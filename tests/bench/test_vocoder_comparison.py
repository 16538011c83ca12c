"""Comparison of vocoders: choice of clips, cache, differences, errors."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aether_lite.bench.vocoders import compare as work
from aether_lite.bench.vocoders.clips import Chosen, choose, read_clip
from aether_lite.bench.vocoders.compare import ORIGINAL, Contender, Result, compare
from aether_lite.bench.vocoders.report import paired, write_comparison
from aether_lite.errors import AetherError
from aether_lite.metrics.resynthesis import SPECTRAL, resynthesis_measures, spectral_distance
from aether_lite.vocoder import default_vocoder_path


@pytest.fixture
def folder(tmp_path: Path, speech: np.ndarray) -> Path:
    """Two real clips of 2.6 s and 3 s of two speakers, with a manifest."""
    lines = ["path\tsplit\tspeaker\tseconds"]
    for number, length in enumerate((41600, 48000)):
        soundfile.write(tmp_path / f"clip{number}.wav", speech[number, :length], 16000)
        lines.append(f"clip{number}.wav\ttest\tspeaker{number}\t{length / 16000}")
    (tmp_path / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def manifest(path: Path, rows: list[tuple[str, str, str, float]]) -> Path:
    path.write_text("path\tsplit\tspeaker\tseconds\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    for name, *_ in rows:
        (path.parent / name).touch()
    return path


def test_speakers_have_equal_shares_of_clips_of_like_length(tmp_path: Path) -> None:
    rows = [(f"a{i:02}.wav", "test", "a", 3.0 + 0.1 * i) for i in range(9)]
    rows += [("b0.wav", "test", "b", 4.0), ("b1.wav", "test", "b", 12.0), ("b2.wav", "test", "b", 9.0)]
    rows += [("short.wav", "test", "a", 2.4), ("other.wav", "valid", "a", 4.0)]
    table = manifest(tmp_path / "m.tsv", rows)
    chosen = choose(tmp_path, table, "test", 3)
    assert [clip.path for clip in chosen] == ["a00.wav", "a04.wav", "a08.wav", "b0.wav", "b1.wav", "b2.wav"]
    assert choose(tmp_path, table, "test", 2)[-2:] == [Chosen("b0.wav", "b"), Chosen("b2.wav", "b")]
    assert chosen == choose(tmp_path, manifest(tmp_path / "m.tsv", rows[::-1]), "test", 3)


def test_long_clips_are_cut_to_whole_frames_of_8_s(tmp_path: Path, speech: np.ndarray) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(speech[0], 3), 16000)
    audio, features = read_clip(tmp_path / "long.wav")
    assert audio.shape == (128000,)
    assert features.shape == (800, 20)


def test_unusable_choices_are_stated(tmp_path: Path) -> None:
    table = manifest(tmp_path / "m.tsv", [("a.wav", "test", "a", 3.0)])
    with pytest.raises(AetherError, match="split 'valid'"):
        choose(tmp_path, table, "valid", 3)
    with pytest.raises(AetherError, match="at least 1"):
        choose(tmp_path, table, "test", 0)
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AetherError, match=r"a\.wav: no such file"):
        choose(tmp_path, table, "test", 3)
    table.write_text("path\tsplit\na.wav\ttest\n")
    with pytest.raises(AetherError, match="needs the tab-separated columns"):
        choose(tmp_path, table, "test", 3)


def test_a_comparison_is_computed_once_and_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AUDIO", ("estoi",))
    monkeypatch.setattr(work, "ALONE", ())
    clips = choose(folder, folder / "manifest.tsv", "test", 5)
    contender = Contender("bundled", default_vocoder_path())
    seen: list[tuple[int, int]] = []
    results = compare(folder, clips, [contender], tmp_path / "out", say=lambda *done: seen.append(done))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(r.vocoder, r.clip.path) for r in results if r.vocoder == "bundled"] == [
        ("bundled", "clip0.wav"), ("bundled", "clip1.wav"),
    ]  # fmt: skip
    made = results[-1].record
    assert made["estoi"] > 0.85
    assert 0.1 < made[SPECTRAL] < 0.4
    assert made["f0_correlation"] > 0.9
    again = compare(
        folder, clips, [Contender("renamed", contender.path)], tmp_path / "out", say=lambda *d: seen.append(d)
    )
    assert len(seen) == 4  # nothing new
    assert [r.record for r in again] == [r.record for r in results]
    table = write_comparison(tmp_path / "out", results, "two clips")
    assert "| bundled |" in table
    assert "* clip1.wav" in table
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert len(rows) == 4
    assert float(rows[-1]["estoi"]) == pytest.approx(made["estoi"], rel=1e-5)
    assert (tmp_path / "out" / "trade_off.png").read_bytes()[:4] == b"\x89PNG"


def test_names_and_weights_are_checked_before_the_work(folder: Path, tmp_path: Path) -> None:
    clips = choose(folder, folder / "manifest.tsv", "test", 5)
    same = Contender("a", default_vocoder_path())
    for contenders in ([same, same], [Contender(ORIGINAL, same.path)]):
        with pytest.raises(AetherError, match="different names"):
            compare(folder, clips, contenders, tmp_path / "out")
    with pytest.raises(AetherError, match="no such file"):
        compare(folder, clips, [Contender("a", tmp_path / "absent.pth")], tmp_path / "out")


def test_differences_are_taken_clip_by_clip() -> None:
    def result(vocoder: str, clip: int, value: float) -> Result:
        return Result(vocoder, Chosen(f"{clip}.wav", "s"), {"pesq_wb": value})

    results = [result("a", i, 1.0 + i) for i in range(4)] + [result("b", i, 1.5 + i) for i in range(4)]
    difference = paired(results, "b", "a", "pesq_wb")
    assert (difference.value, difference.low, difference.high, difference.clips) == (0.5, 0.5, 0.5, 4)


def test_the_original_itself_is_at_no_distance(speech: np.ndarray) -> None:
    audio = torch.from_numpy(speech[0, :48000])
    assert spectral_distance(audio, audio) == 0
    assert spectral_distance(-audio, audio) < 1e-6
    assert spectral_distance(0.5 * audio, audio) == pytest.approx(1 - math.sqrt(0.5), rel=1e-3)
    assert math.isnan(spectral_distance(audio[:1600], audio[:1600]))
    with pytest.raises(ValueError, match="do not belong"):
        resynthesis_measures(audio, audio, torch.zeros(299, 20), ())
