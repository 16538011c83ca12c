"""``train-prior`` on prepared speech: bits of the codec, files that save bytes, a label that finds them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.cli.main import main
from aether_lite.codec import Codec, SpiCodec, load
from aether_lite.container.layout import Header, bit_array
from aether_lite.container.prior import adaptive_prior, load_prior, read_label
from aether_lite.container.weights import weights_id
from aether_lite.data.pairs import find_clips, read_frames
from aether_lite.features import write_f32
from aether_lite.training.prior import at_rate, clip_bits, file_sizes

DATA = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of unlike length, cut from two speakers."""
    folder = tmp_path_factory.mktemp("prior") / "data"
    folder.mkdir()
    for name in ("en_f_intro", "it_m_intro"):
        rows = np.fromfile(DATA / f"{name}.f32", "<f4").reshape(-1, 36)
        pcm = np.fromfile(DATA / f"{name}.pcm", "<i2")
        for k, (start, frames) in enumerate(((0, 130), (130, 101), (231, 160), (391, 99))):
            write_f32(folder / f"{name}{k}.f32", rows[start : start + frames], 36)
            pcm[160 * start : 160 * (start + frames)].tofile(folder / f"{name}{k}.pcm")
    return folder


def test_bits_of_clips_are_those_of_the_codec(root: Path, tiny_hash: SpiCodec, tiny_hash_codec: Codec) -> None:
    clips = find_clips(root)
    done: list[tuple[int, int]] = []
    found = clip_bits(tiny_hash, clips, lambda *step: done.append(step))
    assert done[-1] == (8, 8)
    for clip, bits in zip(clips, found, strict=True):
        rows = torch.from_numpy(read_frames(clip, 0, clip.frames))
        expected = bit_array(tiny_hash_codec.encode_features(rows[None], 2400))[0]
        assert bits.shape == expected.shape == (-(-clip.frames // 8), 192)
        assert (bits != expected).mean() < 1e-3  # rounding alone
    assert [clip.shape[1] for clip in at_rate(found, 300, 8)] == [24] * 8


def test_sizes_count_everything(root: Path, tiny_hash: SpiCodec) -> None:
    clips = at_rate(clip_bits(tiny_hash, find_clips(root)), 600, 8)
    prior = adaptive_prior(48)
    plain, coded = file_sizes(clips, Header(600, b"12345678"), prior)
    tokens = sum(map(len, clips))
    blocks = sum(-(-len(clip) // 12) for clip in clips)
    assert plain == 8 * (28 + 22) + 6 * tokens + 2 * blocks
    assert coded > 8 * 50


def test_the_command_writes_priors_that_files_find(
    root: Path, hash_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--codec", hash_file, "--data_root", root, "--valid_root", root / "none", "--bitrate", 300, 600]
    arguments += ["--steps", 20, "--hidden", 4, "--out", tmp_path / "priors"]
    with pytest.raises(SystemExit) as stopped:
        main(["train-prior", *map(str, arguments)])
    assert stopped.value.code == 1  # no such validation data
    assert "no such data folder" in capsys.readouterr().err
    del arguments[4:6]
    with pytest.raises(SystemExit) as stopped:
        main(["train-prior", *map(str, arguments)])
    assert not stopped.value.code
    said = " ".join(capsys.readouterr().err.split())
    assert len(re.findall(r"clips, one file each, take \d+\.\d % of \d+ bytes, and decode to the same bits", said)) == 2
    model_id = weights_id(load(hash_file).model.state_dict())
    for rate in (300, 600):
        path = tmp_path / "priors" / f"prior_hash_tiny_{rate}.safetensors"
        label, prior = read_label(path), load_prior(path)
        assert (label.model_id, label.token_bits) == (model_id, rate * 8 // 100)
        assert label.identity == prior.identity
        assert prior.hidden == 4
        assert label.provenance["steps_done"] == 20
        assert label.provenance["options"]["data_root"] == ["data"]
        assert str(root.parent) not in str(label.provenance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bitrate", "500"), "bitrate: of 300, 600, 1200, 2400"),
        (("--hours", "0"), "hours: above 0"),
        (("--hidden", "999"), "hidden: 0 to 512"),
        ((), "no training data"),
    ],
)
def test_options_that_cannot_be_used(
    arguments: tuple[str, ...], message: str, hash_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train-prior", "--codec", str(hash_file), *arguments])
    assert stopped.value.code == 1
    assert message in capsys.readouterr().err
