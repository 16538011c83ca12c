"""Variants of speech: what is drawn, what each step does to samples, and folders of their features."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from aether_lite.cli.main import app
from aether_lite.data import variants as module
from aether_lite.data.augment import Change
from aether_lite.data.check import check_disjoint, check_pairs, find_tasks
from aether_lite.data.corpus import Corpus
from aether_lite.data.prepare import Task, prepare, variant_tasks
from aether_lite.data.sources import find_sources
from aether_lite.data.variants import BANDS_HZ, CODECS, NOISES, SPEEDS, Variant, band_limited, coded, room_response
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, read_f32
from aether_lite.features.layout import SAMPLE_RATE, VOICING

UNCHANGED = Change(1.0, (0, 0), (0, 0), 0.0, 0)


def only(**steps):
    """A variant of nothing but the given steps."""
    named = dict.fromkeys(("speed", "room", "noise", "band", "codec")) | steps
    return Variant(change=UNCHANGED, seed=5, **named)


@pytest.fixture(scope="module")
def voice(speech):
    """``[48000] float32`` speech, full scale 1."""
    return speech[16_000:64_000].astype(np.float32) / 32_768


@pytest.fixture
def sources(tmp_path, voice):
    """Eight clips of one speaker and one of another, as audio files."""
    from aether_lite.audio import write_audio

    for number in range(8):
        (tmp_path / "in/a").mkdir(parents=True, exist_ok=True)
        write_audio(tmp_path / f"in/a/{number}.wav", voice[number * 4000 :][:16_000])
    (tmp_path / "in/b").mkdir()
    write_audio(tmp_path / "in/b/0.wav", voice[20_000:36_000])
    return tmp_path / "in"


def test_what_is_drawn_depends_on_number_and_scene_alone():
    drawn = [Variant.draw(number, scene) for number in (1, 2) for scene in ("a/0", "a/1")]
    assert drawn == [Variant.draw(number, scene) for number in (1, 2) for scene in ("a/0", "a/1")]
    assert len({one.seed for one in drawn}) == 4
    many = [Variant.draw(1, str(scene)) for scene in range(400)]
    for name, share in module.SHARES.items():
        assert abs(np.mean([getattr(one, name) is not None for one in many]) - share) < 0.08, name
    speeds = [one.speed for one in many if one.speed is not None]
    assert SPEEDS[0] <= min(speeds) < 0.9
    assert 1.1 < max(speeds) <= SPEEDS[1]


def test_nothing_drawn_changes_nothing(voice):
    np.testing.assert_array_equal(only().apply(voice), voice)


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_moves_pitch_and_length(voice, speed):
    changed = only(speed=speed).apply(voice)
    assert len(changed) == pytest.approx(len(voice) / speed, abs=2)
    before, after = extract_features(voice), extract_features(changed)
    pitch = [np.median(rows[rows[:, VOICING] > 0.2, 18]) for rows in (before, after)]
    assert pitch[1] - pitch[0] == pytest.approx(np.log2(speed), abs=0.08)


def test_room_has_its_decay_and_direct_sound():
    response = room_response(np.random.default_rng(0), 0.5, 6.0)
    assert response[0] == 1
    assert np.sum(response[1:] ** 2) == pytest.approx(10**-0.6, rel=1e-6)
    energy = np.cumsum(response[::-1] ** 2)[::-1]  # Schroeder's backward integral
    at = [10 * np.log10(energy[round(second * SAMPLE_RATE)]) for second in (0.1, 0.3)]
    assert at[0] - at[1] == pytest.approx(24, abs=3)  # 60 dB in 0.5 s


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_its_level(voice, kind):
    noise = only(noise=(kind, 20.0)).apply(voice) - voice
    assert 10 * np.log10(np.mean(voice**2) / np.mean(noise**2)) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("band", BANDS_HZ)
def test_band_limits(band):
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    power = np.abs(np.fft.rfft(band_limited(noise, *band))) ** 2 / np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(32_000, 1 / SAMPLE_RATE)
    assert power[(hertz > 1.3 * band[0]) & (hertz < 0.8 * band[1])].min() > 0.9
    assert power[(hertz < 0.6 * band[0]) | (hertz > 1.5 * band[1])].max(initial=0) < 0.005


@pytest.mark.parametrize("kind", [kind for kind, _ in CODECS])
def test_codecs_damage_but_keep_the_speech(voice, kind):
    for level in dict(CODECS)[kind]:
        changed = coded(voice, kind, level)
        assert changed.shape == voice.shape
        delay = 1105 if kind[0] == "MP3" else 0
        damage = changed[delay:] - voice[: len(voice) - delay]
        assert 3 < 10 * np.log10(np.mean(voice**2) / np.mean(damage**2)) < 30


def test_clips_of_a_scene_share_what_happens(sources, tmp_path):
    tasks = variant_tasks([Task(source, tmp_path / "out") for source in find_sources([sources])], 2)
    assert [task.source.name[:2] for task in tasks] == ["0/"] * 9 + ["1/"] * 9
    scenes = [task.scene for task in tasks if task.variant == 1]
    assert len(set(scenes[:6])) == len(set(scenes[6:8])) == 1
    assert len(set(scenes)) == 3


def test_prepared_variants_are_a_data_root_of_features_alone(sources, tmp_path):
    out = tmp_path / "out"
    command = ["prepare", str(sources), str(out), "--variants", "3", "--jobs", "1"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not list(out.rglob("*.pcm"))
    plain = tmp_path / "plain"
    list(prepare([Task(source, plain) for source in find_sources([sources])], 1))
    np.testing.assert_array_equal(read_f32(out / "0/a/3.f32")[:, :20], read_f32(plain / "a/3.f32")[:, :20])
    for root, clips in ((out, 27), (out / "2", 9)):
        corpus = Corpus([root], consecutive=True)
        assert len(corpus.clips) == clips
        assert corpus.batch(0, 0, range(4), 200).shape == (4, 200, 20)
        train, held = corpus.split(0.2)
        assert len(train.clips) + len(held.clips) == clips
        with pytest.raises(AetherError, match=r"\.f32: has no samples beside it"):
            corpus.batch_with_audio(0, 0, range(2), 32)
        pairs, alone = find_tasks(root)
        assert not alone
        assert all(report.error is None and report.columns == 20 for report in check_pairs(pairs, 1))
    with pytest.raises(AetherError, match="made from the same audio"):
        check_disjoint(Corpus([out]), Corpus([plain]), speakers=False)
    before = {path: path.read_bytes() for path in out.rglob("*.f32")}
    again = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "again.json")])
    assert again.exit_code == 0
    assert json.loads((tmp_path / "again.json").read_text())["reused"] == 27
    (out / "1/a/0.f32").unlink()
    CliRunner().invoke(app, command)
    assert {path: path.read_bytes() for path in out.rglob("*.f32")} == before


def test_pairs_and_variants_do_not_share_a_folder(sources, tmp_path):
    tasks = [Task(source, tmp_path / "out") for source in find_sources([sources])]
    list(prepare(tasks[:1], 1))
    with pytest.raises(AetherError, match="holds pairs; give another folder for variants"):
        list(prepare(variant_tasks(tasks, 1), 1))
