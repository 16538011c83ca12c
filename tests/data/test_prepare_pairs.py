"""Audio files to pairs: names, splits, resuming, bad files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from aether_lite.audio import write_audio
from aether_lite.cli.options import Command
from aether_lite.cli.prepare import prepare as command
from aether_lite.data import prepare as module
from aether_lite.data.check import check_disjoint
from aether_lite.data.corpus import Corpus
from aether_lite.data.index import INDEX_NAME, read_index
from aether_lite.data.prepare import Task, make_pair, prepare, split_speakers
from aether_lite.data.sources import find_sources
from aether_lite.errors import AetherError
from aether_lite.features import extract_features

app = typer.Typer()
app.command(cls=Command)(command)


def run(*arguments: object, jobs: int = 1):
    return CliRunner().invoke(app, [*map(str, arguments), "--jobs", str(jobs)])


def content(root: Path) -> dict[str, bytes]:
    """All pairs of a root."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".jsonl"
    }


@pytest.fixture(scope="module")
def sources(tmp_path_factory, speech):
    """Six files of 1 s by three speakers; read only."""
    folder = tmp_path_factory.mktemp("speech")
    for number in range(6):
        file = folder / f"s{number // 2}" / f"take{number}.wav"
        file.parent.mkdir(exist_ok=True)
        write_audio(file, speech[number * 32_000 :][:16_000] / 32_768)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory, sources):
    """The pairs of ``sources``, made in one go."""
    root = tmp_path_factory.mktemp("expected")
    assert run(sources, root).exit_code == 0
    return content(root)


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "subtype"),
    [
        (".wav", 48_000, 2, None),
        (".flac", 44_100, 1, None),
        (".ogg", 22_050, 1, None),
        (".opus", 48_000, 1, "OPUS"),
        (".mp3", 32_000, 2, None),
        (".wav", 8_000, 1, "ULAW"),
    ],
)
def test_any_audio_becomes_a_pair(tmp_path, speech, suffix, rate, channels, subtype):
    signal_ = np.interp(np.arange(2 * rate) / rate, np.arange(len(speech)) / 16_000, speech / 32_768)
    (tmp_path / "in" / "a").mkdir(parents=True)
    container = "OGG" if suffix == ".opus" else None
    file = tmp_path / "in" / "a" / f"clip.1{suffix}"
    soundfile.write(file, np.tile(signal_[:, None], channels), rate, subtype=subtype, format=container)
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    pcm = np.fromfile(tmp_path / "out" / "a" / "clip.1.pcm", "<i2")
    rows = np.fromfile(tmp_path / "out" / "a" / "clip.1.f32", "<f4").reshape(-1, 36)
    assert len(pcm) == 160 * len(rows)
    assert 200 <= len(rows) <= 215  # an mp3 is padded
    np.testing.assert_array_equal(rows, extract_features(pcm))
    assert len(Corpus([tmp_path / "out"]).clips) == 1


def test_folders_are_kept_and_jobs_change_nothing(tmp_path, sources, expected):
    assert sorted(expected)[:2] == ["s0/take0.f32", "s0/take0.pcm"]
    assert run(sources, tmp_path, jobs=2).exit_code == 0
    assert content(tmp_path) == expected


def test_a_second_run_makes_nothing(tmp_path, sources):
    assert "6 pairs made, 0 already there" in run(sources, tmp_path).output
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.f32")}
    assert "0 pairs made, 6 already there" in run(sources, tmp_path).output
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.f32")}


def test_what_changed_or_was_lost_is_made_again(tmp_path, sources, speech, expected):
    mine = tmp_path / "in"
    shutil.copytree(sources, mine)
    run(mine, tmp_path / "out")
    write_audio(mine / "s0" / "take0.wav", speech[-20_000:] / 32_768)
    (tmp_path / "out" / "s1" / "take2.pcm").unlink()
    (tmp_path / "out" / "s1" / "take3.f32").write_bytes(b"cut")
    assert "3 pairs made, 3 already there" in run(mine, tmp_path / "out").output
    made = content(tmp_path / "out")
    assert len(made.pop("s0/take0.f32")) == 125 * 144
    assert made == {name: data for name, data in expected.items() if name in made and name != "s0/take0.pcm"} | {
        "s0/take0.pcm": made["s0/take0.pcm"]
    }


def test_names_differ_and_stay(tmp_path, speech):
    for name in ("one/x.wav", "one/x.flac", "two/x.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_audio(tmp_path / name, speech[:16_000] / 32_768)
    out = tmp_path / "out"
    assert run(tmp_path / "one", tmp_path / "two", out).exit_code == 0
    names = {entry.source: entry.name for entry in read_index(out).values()}
    assert len(set(names.values())) == 3
    assert names[str(tmp_path / "one" / "x.flac")] == "x"
    write_audio(tmp_path / "one" / "X.flac", speech[:32_000] / 32_768)  # sorts before the others
    assert run(tmp_path / "two", tmp_path / "one", out).exit_code == 0
    after = {entry.source: entry.name for entry in read_index(out).values()}
    assert {source: after[source] for source in names} == names
    assert len({name.casefold() for name in after.values()}) == 4


def test_lists_single_files_and_folders_mix_without_repeats(tmp_path, sources):
    (tmp_path / "list.txt").write_text(f"{sources}/s0/take0.wav\n\n{sources}/s0/take1.wav\n")
    given = [tmp_path / "list.txt", sources / "s0" / "take1.wav", sources / "s1"]
    found = find_sources(given)
    assert [source.path.stem for source in found] == ["take0", "take1", "take2", "take3"]


def test_bad_files_are_listed_and_not_fatal(tmp_path, sources):
    mine = tmp_path / "in"
    shutil.copytree(sources, mine)
    (mine / "noise.wav").write_bytes(b"RIFF nonsense")
    (mine / "empty.flac").touch()
    data = (mine / "s0" / "take0.wav").read_bytes()
    (mine / "cut.wav").write_bytes(data[: len(data) // 2])
    result = run(mine, tmp_path / "out")
    assert result.exit_code == 0
    assert "6 pairs made" in result.output
    assert "3 bad" in result.output
    for name in ("noise.wav", "empty.flac", "cut.wav"):
        assert sum(name in line for line in result.stderr.splitlines()) == 1
    result = run(mine, tmp_path / "strict", "--strict")
    assert isinstance(result.exception, AetherError)


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    result = run(tmp_path / "in", tmp_path / "out")
    assert isinstance(result.exception, AetherError)
    assert "no audio file" in str(result.exception)
    (tmp_path / "in" / "a.wav").touch()
    result = run(tmp_path / "in", tmp_path / "out")
    assert "none of 1 files could be used" in str(result.exception)
    assert run(tmp_path / "out").exit_code == 2
    with pytest.raises(AetherError, match="no such file or folder"):
        find_sources([tmp_path / "missing"])


def test_short_files_are_left_out_and_long_ones_cut(tmp_path, speech):
    (tmp_path / "in").mkdir()
    for name, seconds in (("short", 0.3), ("middle", 1.0), ("long", 3.0)):
        write_audio(tmp_path / "in" / f"{name}.wav", speech[: int(seconds * 16_000)] / 32_768)
    result = run(tmp_path / "in", tmp_path / "out", "--min-seconds", 0.5, "--max-seconds", 1.5)
    assert "2 pairs made, 0 already there, 0.00 h in all; 1 files too short" in result.output
    assert {entry.name: entry.frames for entry in read_index(tmp_path / "out").values()} == {"middle": 100, "long": 150}
    run(tmp_path / "in", tmp_path / "out", "--min-seconds", 1.2)
    assert sorted(content(tmp_path / "out")) == ["long.f32", "long.pcm"]
    assert len(content(tmp_path / "out")["long.pcm"]) == 96_000


def test_a_split_of_a_manifest(tmp_path, sources):
    table = tmp_path / "manifest.tsv"
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    rows = [f"s{n // 2}/take{n}.wav\t{'train' if n < 4 else 'valid'}\tvoice {n // 2}" for n in range(6)]
    table.write_text("path\tsplit\tspeaker\n" + "\n".join(rows) + "\n")
    assert run(tmp_path / "out", "--manifest", table, "--split", "train").exit_code == 0
    index = read_index(tmp_path / "out")
    assert sorted(index) == ["s0/take0", "s0/take1", "s1/take2", "s1/take3"]
    assert index["s0/take0"].speaker == "voice 0"
    assert [s.name for s in find_sources([tmp_path / "s1"], table, "train")] == ["s1/take2", "s1/take3"]
    with pytest.raises(AetherError, match="no audio file"):
        find_sources([], table, "test")
    table.write_text("file\nx.wav\n")
    with pytest.raises(AetherError, match="no column 'path'"):
        find_sources([], table)


def test_validation_split_has_other_speakers_and_stays(tmp_path, sources):
    train, valid = tmp_path / "train", tmp_path / "valid"
    found = find_sources([sources])
    share = next(s / 50 for s in range(1, 50) if any(module.share_of(f.speaker) < s / 50 for f in found))
    for _ in range(2):
        assert run(sources, train, "--valid-share", share, "--valid-root", valid).exit_code == 0
        speakers = [{entry.speaker for entry in read_index(root).values()} for root in (train, valid)]
        assert speakers[0].isdisjoint(speakers[1])
        assert len(speakers[0] | speakers[1]) == 3
        assert len(read_index(train)) + len(read_index(valid)) == 6
    check_disjoint(Corpus([train]), Corpus([valid]))
    other = run(sources, valid, "--valid-share", share, "--valid-root", train)
    assert "now belong to the other side" in str(other.exception)
    both = run(sources, tmp_path / "all")
    assert both.exit_code == 0
    with pytest.raises(AetherError, match="is made from the same audio as"):
        check_disjoint(Corpus([tmp_path / "all"]), Corpus([valid]))


def test_a_split_that_leaves_one_side_empty(sources):
    found = find_sources([sources])
    with pytest.raises(AetherError, match="leaves none to validate on"):
        split_speakers(found, 1e-9)
    with pytest.raises(AetherError, match="between 0 and 1"):
        split_speakers(found, 1.0)


def test_an_interrupted_run_continues(tmp_path, sources, expected, monkeypatch):
    tasks = [Task(source, tmp_path) for source in find_sources([sources])]
    calls = []

    def interrupted(task):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(task)
        return make_pair(task)

    with monkeypatch.context() as patch:
        patch.setattr(module, "make_pair", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(prepare(tasks, 1))
    assert len(read_index(tmp_path)) == 3
    outcomes = list(prepare(tasks, 1))
    assert sum(outcome.reused for outcome in outcomes) == 3
    assert content(tmp_path) == expected


def test_a_kill_between_the_two_files_leaves_no_features(tmp_path, sources, expected, monkeypatch):
    tasks = [Task(source, tmp_path) for source in find_sources([sources])]

    def killed(path, rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_f32", killed)
        with pytest.raises(KeyboardInterrupt):
            list(prepare(tasks, 1))
    assert [path.suffix for path in tmp_path.rglob("*.*")] == [".jsonl", ".pcm"]
    with (tmp_path / INDEX_NAME).open("w") as index:
        index.write('{"name": "s0/ta')  # a line cut by a kill
    list(prepare(tasks, 1))
    assert content(tmp_path) == expected
    assert len(read_index(tmp_path)) == 6


def test_what_a_killed_run_left_half_written_goes_at_the_next_start(tmp_path, sources, expected):
    (tmp_path / "s1").mkdir()
    for suffix in ("f32", "pcm"):
        (tmp_path / "s1" / f".take2.0123abcd.partial.{suffix}").write_bytes(b"half")
    assert run(sources, tmp_path).exit_code == 0
    assert content(tmp_path) == expected


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
def test_a_killed_run_ends_its_workers_and_continues(tmp_path, sources, expected):
    code = f"""
import time
from pathlib import Path
from aether_lite.data.prepare import Task, prepare
from aether_lite.data.sources import find_sources
if __name__ == "__main__":
    found = find_sources([Path({str(sources)!r})])
    for outcome in prepare([Task(source, Path({str(tmp_path / "out")!r})) for source in found], 2):
        print("made", flush=True)
        time.sleep(60)
"""
    script = tmp_path / "run.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        os.kill(process.pid, signal.SIGKILL)
        began = time.monotonic()
        assert process.stdout.read() == ""  # until the workers, which hold the other end too, are gone
        assert time.monotonic() - began < 20
    assert run(sources, tmp_path / "out").exit_code == 0
    assert content(tmp_path / "out") == expected


def test_shards_make_what_one_process_makes(tmp_path, sources, expected):
    assert run(sources, tmp_path / "one").exit_code == 0
    shards = tmp_path / "shards"
    said = [run(sources, shards, "--shard", f"{number}/4").output for number in (3, 1, 4, 2)]
    assert [line.split()[0] for line in said] == ["1", "2", "1", "2"]
    assert content(shards) == content(tmp_path / "one") == expected
    assert read_index(shards) == read_index(tmp_path / "one")
    assert not (shards / INDEX_NAME).exists()
    assert "0 pairs made, 6 already there" in run(sources, shards).output
    assert "0 pairs made, 1 already there" in run(sources, shards, "--shard", "6/6").output
    assert run(sources, shards, "--shard", "7/7").exit_code == 0  # none of six files is its own
    assert "I from 1 to N" in str(run(sources, shards, "--shard", "5/4").exception)


def test_shards_split_speakers_alike_and_keep_names_apart(tmp_path, sources):
    mine = tmp_path / "in"
    shutil.copytree(sources, mine)
    shutil.copy(mine / "s0" / "take0.wav", mine / "s0" / "take0.flac.wav")
    shutil.copy(mine / "s0" / "take1.wav", mine / "s0" / "TAKE0.wav")
    share = next(s / 50 for s in range(1, 50) if any(module.share_of(f.speaker) < s / 50 for f in find_sources([mine])))
    whole, parts = [tuple(tmp_path / kind / side for side in ("train", "valid")) for kind in ("whole", "parts")]
    assert run(mine, whole[0], "--valid-share", share, "--valid-root", whole[1]).exit_code == 0
    for number in (2, 3, 1):
        split = ["--valid-share", share, "--valid-root", parts[1]]
        assert run(mine, parts[0], *split, "--shard", f"{number}/3").exit_code == 0
    for one, other in zip(whole, parts, strict=True):
        assert content(one) == content(other) != {}
        assert read_index(one) == read_index(other)


@pytest.mark.parametrize("name", ["/abs/x", "../x", "a/../../x", "a/.."])
def test_names_that_lead_outside_the_root_are_refused(tmp_path, sources, name):
    assert run(sources / "s0", tmp_path).exit_code == 0
    index = tmp_path / INDEX_NAME
    lines = index.read_text()
    index.write_text(lines.replace('"take1"', f'"{name}"'))
    with pytest.raises(AetherError, match="leads outside"):
        read_index(tmp_path)
    result = run(sources / "s0", tmp_path)
    assert isinstance(result.exception, AetherError)
    index.write_text(lines.replace('"take1"', "1"))  # no name at all: as a line cut by a kill
    assert list(read_index(tmp_path)) == ["take0"]


def test_a_folder_that_cannot_be_made(tmp_path, sources):
    (tmp_path / "file").touch()
    with pytest.raises(AetherError, match="out: cannot be made a folder"):
        list(prepare([Task(source, tmp_path / "file" / "out") for source in find_sources([sources])], 1))
