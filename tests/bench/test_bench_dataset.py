"""What a folder of speech is taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.audio import write_audio
from aether_lite.bench.dataset import bundled, clip_hash, load_clip, open_dataset
from aether_lite.bench.grid import default_systems
from aether_lite.errors import AetherError
from aether_lite.features import extract_features, write_f32, write_pcm


def test_the_bundled_clips_name_their_language() -> None:
    data = bundled()
    assert {source.language for source in data.sources} == {"en", "es", "fr", "it", "ru"}
    clip = load_clip(data.sources[0], 1.0)
    assert clip.speech.shape == (16_000,)
    assert clip.features.shape == (100, 20)


def test_a_folder_of_audio_with_a_manifest(tmp_path: Path, speech: np.ndarray) -> None:
    for name in ("b", "a", "left_out"):
        write_audio(tmp_path / f"{name}.wav", speech[0])
    (tmp_path / "manifest.tsv").write_text("path\tlanguage\na.wav\tde\nb.wav\t\n")
    data = open_dataset(tmp_path, tmp_path / "manifest.tsv")
    assert [(source.name, source.language) for source in data.sources] == [("a.wav", "de"), ("b.wav", "")]
    assert data.has_audio
    assert len(open_dataset(tmp_path).sources) == 3


def test_pairs_give_their_own_features_and_samples(tmp_path: Path, speech: np.ndarray) -> None:
    samples = (speech[0] * 32768).astype(np.int16)
    rows = extract_features(samples.astype(np.float32) / 32768)
    write_f32(tmp_path / "x.f32", rows)
    write_pcm(tmp_path / "x.pcm", samples)
    data = open_dataset(tmp_path)
    clip = load_clip(data.sources[0])
    np.testing.assert_array_equal(clip.features, rows[:, :20])
    np.testing.assert_allclose(clip.speech, samples / 32768, atol=1e-7)


def test_features_alone_are_joined_in_name_order(tmp_path: Path, speech_features: torch.Tensor) -> None:
    (tmp_path / "z").mkdir()
    for path, rows in (("z/a.f32", speech_features[0]), ("b.f32", speech_features[1])):
        write_f32(tmp_path / path, rows.numpy(), 20)
    data = open_dataset(tmp_path)
    assert (len(data.sources), data.files, data.has_audio) == (1, 2, False)
    assert torch.equal(load_clip(data.sources[0]).features, speech_features.flatten(0, 1))


def test_the_hash_follows_what_is_sent() -> None:
    clip = load_clip(bundled().sources[0], 0.5)
    assert clip_hash(clip) == clip_hash(load_clip(bundled().sources[0], 0.5))
    assert clip_hash(clip) != clip_hash(load_clip(bundled().sources[0], 0.6))


def test_folders_without_speech_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="no such data folder"):
        open_dataset(tmp_path / "missing")
    with pytest.raises(AetherError, match="holds no speech"):
        open_dataset(tmp_path)


def test_a_manifest_needs_its_columns(tmp_path: Path, speech: np.ndarray) -> None:
    write_audio(tmp_path / "a.wav", speech[0])
    (tmp_path / "m.tsv").write_text("file\ta.wav\n")
    with pytest.raises(AetherError, match=r"m\.tsv: not a manifest \(it has no column 'path'"):
        open_dataset(tmp_path, tmp_path / "m.tsv")


def test_a_clip_of_nothing_is_refused(tmp_path: Path, speech: np.ndarray) -> None:
    write_audio(tmp_path / "short.wav", speech[0, :800])
    with pytest.raises(AetherError, match=r"short\.wav: holds 5 frames"):
        load_clip(open_dataset(tmp_path).sources[0])


def test_coders_of_speech_need_audio() -> None:
    names = ["codec-small", "codec2-ldpc", "codec2-700c-qpsk", "codec2-1300-qpsk"]
    assert default_systems(names, quick=False, has_audio=True) == names[:3]
    assert default_systems(names, quick=True, has_audio=True) == names[:2]
    assert default_systems(names, quick=False, has_audio=False) == names[:1]
