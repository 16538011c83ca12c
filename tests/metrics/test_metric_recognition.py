"""WER and CER: by a recogniser that is told what it hears, and by Whisper on real speech."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import aether_lite
from aether_lite.audio import read_audio
from aether_lite.errors import AetherError
from aether_lite.metrics import available, character_error_rate, plain_words, word_error_rate
from aether_lite.metrics.recognition import whisper, whisper_folder
from aether_lite.optional import missing_packages

SAMPLE = Path(aether_lite.__file__).parent / "assets" / "samples" / "en_f_queue.flac"

needs_jiwer = pytest.mark.skipif(missing_packages(["jiwer"]), reason="jiwer is not installed")
needs_whisper = pytest.mark.skipif(not available("wer"), reason="Whisper is not installed")


def hears(*transcripts: str):
    """Clips ``[n, 4]``, and a recogniser that hears these transcripts in them."""
    clips = torch.arange(len(transcripts)).float()[:, None].expand(-1, 4)
    return clips, lambda audio: transcripts[int(audio[0])]


@needs_jiwer
@pytest.mark.parametrize(
    ("heard", "said", "words", "characters"),
    [
        ("Please, leave a MESSAGE!", "please leave a message", 0, 0),
        ("please leave the massage", "please leave a message", 2 / 4, 4 / 22),
        ("leave a message", "please leave a message", 1 / 4, 7 / 22),
        ("", "please leave", 1, 1),
        ("please please please please please leave", "please leave", 1, 1),  # 4 words, 28 characters too many
    ],
)
def test_error_rates_by_hand(heard, said, words, characters):
    clips, recogniser = hears(heard, said)
    assert word_error_rate(clips[0], clips[1], recogniser).item() == pytest.approx(words)
    assert character_error_rate(clips[0], clips[1], recogniser).item() == pytest.approx(characters)


@needs_jiwer
def test_a_batch_is_its_clips_and_an_original_without_words_is_nan():
    clips, recogniser = hears("one two", "one three", "...", "one two")
    decoded, original = clips[:2].repeat(2, 1, 1), clips[[1, 3, 2, 2]].reshape(2, 2, 4)
    found = word_error_rate(decoded, original, recogniser)
    assert found.shape == (2, 2)
    assert found[0].tolist() == [0.5, 0.5]
    assert found[1].isnan().all()


def test_words_are_lower_case_without_marks():
    assert plain_words("  Don’t — it's “Mr. O'Neil's” well-known (2) e-mail_box…") == (
        "dont its mr oneils well known 2 e mail box"
    )
    assert plain_words(" ?!… ") == ""


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_plain_words_stay_as_they_are(text):
    assert plain_words(plain_words(text)) == plain_words(text)


@needs_whisper
def test_whisper_hears_the_bundled_sample():
    audio = read_audio(SAMPLE)[: 6 * 16_000]
    hear = whisper()
    transcript = plain_words(hear(audio))
    assert "representatives are currently busy please stay on the line" in transcript
    assert hear(np.zeros(16_000, np.float32)) == ""
    original = torch.from_numpy(audio)
    assert word_error_rate(original, original).item() == 0
    assert word_error_rate(torch.zeros_like(original), original).item() == 1
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    drowned = original + 0.3 * noise
    assert 0.3 < character_error_rate(drowned, original).item() <= 1


@needs_whisper
def test_whisper_is_unpacked_whole_into_the_named_folder_and_only_once(tmp_path, monkeypatch):
    monkeypatch.setenv("AETHER_LITE_CACHE", str(tmp_path / "models"))
    folder = whisper_folder()
    assert folder == tmp_path / "models" / "whisper-base"
    names = {path.name: path.stat() for path in folder.iterdir()}
    assert set(names) == {"config.json", "model.bin", "tokenizer.json", "vocabulary.json"}
    assert names["model.bin"].st_size == 145_217_607
    assert whisper_folder() == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == {
        name: stat.st_mtime_ns for name, stat in names.items()
    }
    (folder / "config.json").write_text("{}")  # cut short
    whisper_folder()
    assert (folder / "config.json").stat().st_size == names["config.json"].st_size


@needs_whisper
def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AETHER_LITE_CACHE", str(tmp_path / "file"))
    with pytest.raises(AetherError, match=r"file/whisper-base.*AETHER_LITE_CACHE"):
        whisper_folder()


def test_absent_recogniser_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AetherError, match=r"faster_whisper.*pip install '\.\[eval\]'"):
        word_error_rate(torch.zeros(10), torch.zeros(10))
