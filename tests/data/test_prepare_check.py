"""``aether-lite check``: what it says of good, odd and broken data roots."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from aether_lite.cli.options import Command
from aether_lite.cli.prepare import MOST_LINES
from aether_lite.cli.prepare import check as command
from aether_lite.data import check as module
from aether_lite.data.check import RootReport, check_pair, check_pairs, find_tasks
from aether_lite.errors import AetherError
from aether_lite.features import PcmKind, extract_features, read_pcm, write_f32, write_pcm

app = typer.Typer()
app.command(cls=Command)(command)


def run(*arguments: object):
    return CliRunner().invoke(app, [*map(str, arguments), "--jobs", "1"], env={"COLUMNS": "200"})


def report_on(root) -> RootReport:
    report = RootReport(root)
    pairs, alone = find_tasks(root)
    for one in [*alone, *check_pairs(pairs, 1)]:
        report.add(one)
    report.finish()
    return report


@pytest.fixture
def root(tmp_path, speech, write_pair):
    """Two good pairs of 2 and 3 s."""
    write_pair(tmp_path / "data" / "a", speech[:32_000])
    write_pair(tmp_path / "data" / "b", speech[32_000:80_000])
    return tmp_path / "data"


def test_a_good_root(data_root):
    result = run(data_root)
    assert result.exit_code == 0, result.output
    report = report_on(data_root)
    assert report.broken == report.duplicates == []
    assert (report.pairs, report.frames, dict(report.kinds)) == (6, 1670, {PcmKind.PLAIN: 6})
    for said in ("6", "plain", "36", "0.00 h"):
        assert said in result.output


def test_figures_of_known_signals(tmp_path, speech, write_pair):
    samples = speech[:64_000].copy()
    samples[:32_000] = 0
    samples[40_000:40_100] = 32_767
    write_pair(tmp_path / "x", samples)
    report = report_on(tmp_path)
    frames = samples.reshape(-1, 160) / 32_768
    level = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12))
    assert report.silence_share == pytest.approx((level < -60).mean(), abs=0.005)
    assert report.level_dbfs(0.5) == pytest.approx(np.median(level[level >= -60]), abs=1.0)
    assert report.clipped == 100
    assert report.peak == pytest.approx(32_767 / 32_768)


def test_blocks_give_what_the_whole_gives(data_root, monkeypatch):
    whole = report_on(data_root)
    monkeypatch.setattr(module, "BLOCK_FRAMES", 37)
    blocks = report_on(data_root)
    np.testing.assert_array_equal(whole.levels, blocks.levels)
    assert (whole.clipped, whole.frames, whole.peak) == (blocks.clipped, blocks.frames, blocks.peak)


def test_one_large_pair_of_the_opus_tool(tmp_path, speech, write_pair, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_FRAMES", 300)
    stem = write_pair(tmp_path / "features", speech, 20)
    emphasised = speech[: len(speech) // 160 * 160].astype(np.float64)
    emphasised[1:] -= 0.85 * emphasised[:-1].copy()
    delayed = np.concatenate([np.zeros(80), np.rint(emphasised[:-80])]).clip(-32_767, 32_767)
    write_pcm(tmp_path / "data.pcm", delayed.astype(np.int16))
    stem.with_suffix(".pcm").unlink()
    report = report_on(tmp_path)
    assert report.broken == []
    assert dict(report.kinds) == {PcmKind.EMPHASISED: 1}
    assert dict(report.columns) == {20: 1}
    frames = speech[: report.frames * 160].reshape(-1, 160) / 32_768
    level = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12))
    assert report.silence_share == pytest.approx((level < -60).mean(), abs=0.02)


def spoil_value(value, column):
    def spoil(stem):
        rows = np.fromfile(stem.with_suffix(".f32"), "<f4").reshape(-1, 36)
        rows[70, column] = value
        rows.tofile(stem.with_suffix(".f32"))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda stem: stem.with_suffix(".pcm").unlink(), "a.f32: has no a.pcm beside it"),
        (lambda stem: stem.with_suffix(".f32").unlink(), "a.pcm: has no a.f32 beside it"),
        (lambda stem: stem.with_suffix(".f32").write_bytes(b""), "a.f32: empty"),
        (lambda stem: stem.with_suffix(".pcm").write_bytes(b""), "a.pcm: empty"),
        (lambda stem: stem.with_suffix(".pcm").write_bytes(bytes(320 * 150)), "has 200 frames but a.pcm has 150"),
        (lambda stem: stem.with_suffix(".pcm").write_bytes(bytes(7)), "no whole number of int16"),
        (spoil_value(np.nan, 3), "frame 70, column 3 is nan, not a finite number"),
        (spoil_value(np.inf, 30), "frame 70, column 30 is inf, not a finite number"),
        (spoil_value(1.7, 18), "frame 70, column 18 is 1.7, outside"),
        (spoil_value(0.7, 19), "frame 70, column 19 is 0.7, outside"),
        (spoil_value(99, 0), "frame 70, column 0 is 99, outside"),
        (
            lambda stem: write_pcm(stem.with_suffix(".pcm"), read_pcm(stem.with_suffix(".pcm"))[::-1].copy()),
            "match the features neither",
        ),
    ],
)
def test_a_broken_pair_is_named_and_the_others_are_read(root, spoil, says):
    spoil(root / "a")
    result = run(root)
    assert isinstance(result.exception, AetherError)
    assert str(result.exception) == f"1 broken in {root}"
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("broken:")]
    assert says in line
    assert report_on(root).pairs == 1


def test_many_broken_pairs_are_capped(root):
    for number in range(MOST_LINES + 5):
        (root / f"x{number}.f32").touch()
    result = run(root)
    assert str(result.exception) == f"{MOST_LINES + 5} broken in {root}, 5 not shown"
    assert result.stderr.count("broken:") == MOST_LINES


def test_duplicates_are_shown_and_not_broken(root):
    for suffix in (".f32", ".pcm"):
        shutil.copy(root / f"a{suffix}", root / f"copy{suffix}")
    report = report_on(root)
    assert report.duplicates == [[root / "a.f32", root / "copy.f32"]]
    result = run(root)
    assert result.exit_code == 0
    assert "1 (a.f32 = copy.f32)" in result.output


def test_two_kinds_in_one_root_are_refused(root, speech):
    samples = speech[80_000:112_000]
    emphasised = samples.astype(np.float64)
    emphasised[1:] -= 0.85 * samples[:-1]
    write_f32(root / "c.f32", extract_features(samples))
    write_pcm(root / "c.pcm", np.concatenate([np.zeros(80), np.rint(emphasised[:-80])]).astype(np.int16))
    assert "mixes plain pcm" in report_on(root).broken[0]


def test_silence_and_very_short_pairs_are_no_error(root, write_pair):
    write_pair(root / "silent", np.zeros(16_000, np.int16))
    write_pair(root / "tick", np.full(320, 1000, np.int16))
    assert check_pair((root / "silent.f32", root / "silent.pcm")).kind is None
    report = report_on(root)
    assert report.broken == []
    assert (report.pairs, report.short) == (4, 1)


def test_nothing_to_check(tmp_path):
    with pytest.raises(AetherError, match=r"holds no \.f32"):
        find_tasks(tmp_path)
    with pytest.raises(AetherError, match="no such data folder"):
        find_tasks(tmp_path / "missing")


def test_validation_root_must_be_other_speech(root, tmp_path, speech, write_pair):
    assert "is also trained on" in str(run(root, "--valid-root", root).exception)
    write_pair(tmp_path / "valid" / "v", speech[-32_000:])
    assert run(root, "--valid-root", tmp_path / "valid").exit_code == 0
