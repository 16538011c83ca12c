"""Reading pairs: places, alignment of audio and features, kinds of files, bad input."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from aether_lite.data.check import check_disjoint
from aether_lite.data.corpus import Corpus
from aether_lite.data.pairs import find_clips, read_frames, read_speech
from aether_lite.errors import AetherError
from aether_lite.features import PcmKind, extract_features, write_pcm

EDGE = 20  # frames at a crop's borders whose pitch may differ: the tracker starts and ends there
ITEMS = range(6)


def emphasised(samples):
    """What the Opus training tool writes beside the features of ``samples``."""
    signal = samples.astype(np.float64)
    signal[1:] -= 0.85 * samples[:-1]
    return np.rint(np.concatenate([np.zeros(80), signal[:-80]])).clip(-32767, 32767).astype(np.int16)


def assert_same_speech(rows, audio, first=1, last=None, cepstrum=1e-3):
    """``rows`` are the features of ``audio``, away from the borders."""
    again = extract_features(audio)
    last = len(rows) if last is None else last
    np.testing.assert_allclose(again[first:last, :18], rows[first:last, :18], atol=cepstrum)
    inner = slice(EDGE, len(rows) - EDGE)
    assert (np.abs(again[inner, 18] - rows[inner, 18]) < 0.01).mean() > 0.98


def test_crops_are_a_function_of_seed_step_and_item(data_root):
    corpus = Corpus([data_root])
    one, other = corpus.batch(1, 5, ITEMS, 64), Corpus([data_root]).batch(1, 5, ITEMS, 64)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    torch.testing.assert_close(corpus.batch(1, 5, [4], 64)[0], one[4], rtol=0, atol=0)
    assert not torch.equal(corpus.batch(1, 6, ITEMS, 64), one)
    assert not torch.equal(corpus.batch(2, 5, ITEMS, 64), one)


def test_consecutive_clips_follow_in_name_order(tmp_path, speech, write_pair):
    for name, start in [("a/1", 0), ("a/2", 16_000), ("a/3", 32_000), ("b/1", 48_000)]:
        write_pair(tmp_path / name, speech[start : start + 16_000])
    corpus = Corpus([tmp_path / "a", tmp_path / "b"], consecutive=True)
    followers = {0: 1, 1: 2, 2: 0, 3: 3}  # none leaves its root; behind the last comes the first
    seen = set()
    for step in range(40):
        (first, *_), (second, start, length) = corpus._places(0, step, 0, 150)
        assert (second, start, length) == (followers[first], 0, 150 - corpus.clips[first].frames)
        seen.add(first)
    assert seen == {0, 1, 2, 3}
    random = {tuple(c for c, *_ in Corpus([tmp_path / "a"])._places(0, step, 0, 150)) for step in range(40)}
    assert len(random) > 3


def test_weights_choose_the_root(tmp_path, speech, write_pair):
    write_pair(tmp_path / "a" / "long", speech[:160_000])
    write_pair(tmp_path / "b" / "short", speech[160_000:192_000])
    corpus = Corpus([tmp_path / "a", tmp_path / "b"], [1, 3])
    places = [corpus._places(0, step, 0, 32)[0][0] for step in range(400)]
    assert 0.68 < np.mean(places) < 0.82
    alone = Corpus([tmp_path / "a", tmp_path / "b"], [0, 3])  # a root of weight 0 is not read
    assert alone.roots == [tmp_path / "b"]
    assert {clip.path.parent for clip in alone.clips} == {tmp_path / "b"}


@pytest.mark.parametrize("frames", [64, 100])
def test_audio_belongs_to_the_features(data_root, frames):
    corpus = Corpus([data_root])
    features, audio = corpus.batch_with_audio(0, 0, ITEMS, frames)
    assert features.shape == (6, frames, 20)
    assert audio.shape == (6, 160 * frames)
    assert audio.dtype == features.dtype == torch.float32
    torch.testing.assert_close(features, corpus.batch(0, 0, ITEMS, frames), rtol=0, atol=0)
    for rows, signal in zip(features.numpy(), audio.numpy(), strict=True):
        assert_same_speech(rows, signal)


def test_audio_of_joined_clips_belongs_to_the_features(data_root):
    corpus = Corpus([data_root])
    frames = 700  # longer than any clip
    features, audio = corpus.crop_with_audio(0, 0, 0, frames)
    assert features.shape == (frames, 20)
    assert audio.shape == (160 * frames,)
    np.testing.assert_array_equal(extract_features(audio.numpy())[:, :20], features.numpy())
    plain = corpus.crop(0, 0, 0, frames)
    joint = corpus._places(0, 0, 0, frames)[0][2]
    assert audio[160 * joint - 1].abs() < 1e-2 > audio[160 * joint].abs()  # faded
    assert (features[:, 0] - plain[:, 0]).abs().median() < 1e-4  # the same places


def test_twenty_columns_give_the_same_crops(tmp_path, data_root):
    for clip in find_clips(data_root):
        target = tmp_path / clip.path.relative_to(data_root)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(clip.pcm, target.with_suffix(".pcm"))
        read_frames(clip, 0, clip.frames).tofile(target)
    corpus = Corpus([tmp_path])
    assert {clip.columns for clip in corpus.clips} == {20}
    expected = Corpus([data_root]).batch(0, 0, ITEMS, 90)
    torch.testing.assert_close(corpus.batch(0, 0, ITEMS, 90), expected, rtol=0, atol=0)


def test_emphasised_samples_become_plain_speech(tmp_path, data_root):
    for clip in find_clips(data_root):
        target = tmp_path / clip.path.relative_to(data_root)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(clip.path, target)
        write_pcm(target.with_suffix(".pcm"), emphasised(np.fromfile(clip.pcm, "<i2")))
    plain, other = Corpus([data_root]), Corpus([tmp_path])
    assert plain.kinds == [PcmKind.PLAIN]
    assert other.kinds == [PcmKind.EMPHASISED]
    for step in range(4):
        _, expected = plain.batch_with_audio(0, step, ITEMS, 64)
        _, audio = other.batch_with_audio(0, step, ITEMS, 64)
        # Both files are rounded to int16; the de-emphasis multiplies that error by at most 1 / (1 - 0.85).
        assert (audio[:, :-80] - expected[:, :-80]).abs().max() < 4 / 32_768
    clip = other.clips[2]
    whole = read_speech(clip, PcmKind.EMPHASISED, 0, clip.frames)
    tail = read_speech(clip, PcmKind.EMPHASISED, clip.frames - 1, 1)
    np.testing.assert_allclose(tail, whole[-160:], atol=1e-7)
    assert np.abs(tail[-20:]).max() < 1e-3  # not in the file: faded out


def test_one_pair_of_any_names_in_a_folder(tmp_path, speech, write_pair):
    write_pair(tmp_path / "run" / "x", speech[:80_000])
    (tmp_path / "run" / "x.f32").rename(tmp_path / "run" / "features.f32")
    (tmp_path / "run" / "x.pcm").rename(tmp_path / "run" / "data.pcm")
    (clip,) = find_clips(tmp_path)
    assert (clip.path.name, clip.pcm.name, clip.frames) == ("features.f32", "data.pcm", 500)


def test_a_few_frames_missing_at_the_end_are_accepted(tmp_path, speech, write_pair):
    stem = write_pair(tmp_path / "clip", speech[:80_000])
    pcm = stem.with_suffix(".pcm")
    pcm.write_bytes(pcm.read_bytes()[: -320 * 4])
    (clip,) = find_clips(tmp_path)
    assert clip.frames == 496
    features, audio = Corpus([tmp_path]).batch_with_audio(0, 0, ITEMS, 496)
    assert features.shape[1] * 160 == audio.shape[1]


@pytest.mark.parametrize(
    ("spoil", "names", "says"),
    [
        (lambda f, p: p.unlink(), "clip.f32", "no clip.pcm beside it"),
        (lambda f, p: f.unlink(), "clip.pcm", "no clip.f32 beside it"),
        (lambda f, p: f.write_bytes(b""), "clip.f32", "empty"),
        (lambda f, p: p.write_bytes(b""), "clip.pcm", "empty"),
        (lambda f, p: p.write_bytes(p.read_bytes()[:-1]), "clip.pcm", "no whole number of int16"),
        (lambda f, p: f.write_bytes(f.read_bytes()[:-4]), "clip.f32", "no whole number of frames"),
        (lambda f, p: p.write_bytes(p.read_bytes()[:-3200]), "clip.f32", "has 500 frames but clip.pcm has 490"),
    ],
)
def test_a_spoilt_pair_is_named_before_the_first_step(tmp_path, speech, write_pair, spoil, names, says):
    stem = write_pair(tmp_path / "clip", speech[:80_000])
    spoil(stem.with_suffix(".f32"), stem.with_suffix(".pcm"))
    with pytest.raises(AetherError, match=says) as caught:
        Corpus([tmp_path])
    assert str(tmp_path / names) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_samples_of_other_speech_are_named(tmp_path, speech, write_pair):
    stem = write_pair(tmp_path / "clip", speech[:80_000])
    write_pcm(stem.with_suffix(".pcm"), speech[200_000:280_000])
    with pytest.raises(AetherError, match=r"clip\.f32: the samples match the features neither"):
        _ = Corpus([tmp_path]).kinds


def test_no_data(tmp_path):
    with pytest.raises(AetherError, match="no such data folder"):
        Corpus([tmp_path / "missing"])
    with pytest.raises(AetherError, match=r"holds no \.f32"):
        Corpus([tmp_path])
    with pytest.raises(AetherError, match="at least one data root"):
        Corpus([])


@pytest.mark.parametrize("weights", [[1.0, 2.0], [0.0], [-1.0], [float("nan")], []])
def test_weights_that_cannot_be_used(data_root, weights):
    with pytest.raises(AetherError, match="weights"):
        Corpus([data_root], weights)


def test_validation_data_must_be_other_speech(tmp_path, data_root, speech, write_pair):
    train = Corpus([data_root])
    with pytest.raises(AetherError, match="is also trained on"):
        check_disjoint(train, Corpus([data_root]))
    shutil.copytree(data_root / "speaker0", tmp_path / "copy")
    with pytest.raises(AetherError, match="is a copy of"):
        check_disjoint(train, Corpus([tmp_path / "copy"]))
    write_pair(tmp_path / "same" / "speaker1" / "new", speech[-80_000:])
    with pytest.raises(AetherError, match="has the speaker speaker1 of"):
        check_disjoint(train, Corpus([tmp_path / "same"]))
    check_disjoint(train, Corpus([tmp_path / "same"]), speakers=False)
    write_pair(tmp_path / "other" / "speaker9" / "new", speech[-80_000:])
    check_disjoint(train, Corpus([tmp_path / "other"]))
