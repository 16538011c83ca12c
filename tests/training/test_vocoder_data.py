"""Batches of the vocoder's trainer: targets belong to their features, and nothing but (seed, step) decides them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from vocoder_runs import options

from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.metrics import frame_levels
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import draw
from aether_lite.training.loop import Batch
from aether_lite.training.vocoder_config import KNOWN_FRAMES, VocoderConfig
from aether_lite.training.vocoder_task import MakeBatch, goes_through_codec, with_decoded
from aether_lite.vocoder.fargan import FIRST_ROW

TOKEN_FRAMES = 8


@pytest.fixture
def plain(data_root: Path, tmp_path: Path) -> VocoderConfig:
    """Long crops, nothing augmented, half of the items for the codec."""
    return options(data_root, tmp_path, frames=60, augment_share=0.0, decoded_share=0.5)


def made(config: VocoderConfig, data_root: Path, step: int = 3, rank: int = 0, ranks: int = 1) -> Batch:
    return MakeBatch(Corpus([data_root]), config, rank, ranks, TOKEN_FRAMES)(step % config.spectral_steps)


def by_item(batch: Batch) -> dict[int, tuple[Tensor, Tensor]]:
    rows = zip(batch.items, batch.features, batch.audio, strict=True)
    return {item: (features, target) for item, features, target in rows}


def test_a_target_frame_is_the_emphasised_speech_around_its_row(plain: VocoderConfig, data_root: Path) -> None:
    batch = made(plain, data_root)
    frames = KNOWN_FRAMES + plain.frames
    assert batch.features.shape == (4, frames + 4, 20)
    assert batch.audio.shape == (4, 160 * frames)
    corpus = Corpus([data_root])
    for item, (features, target) in list(by_item(batch).items())[2:]:  # the first two begin with the codec's history
        rows, speech = corpus.crop_with_audio(plain.seed, 1, item, frames + 4)
        assert torch.equal(rows, features)
        expected = np.convolve(speech.numpy().astype(np.float64), [1.0, -0.85])[: len(speech)]
        start = 160 * FIRST_ROW - 80
        sign = np.sign(np.dot(expected[start : start + 160 * frames], target.numpy()))
        assert np.abs(sign * expected[start : start + 160 * frames] - target.numpy()).max() < 1e-6


def test_loudness_of_frames_follows_that_of_rows_three_later_and_no_others(
    plain: VocoderConfig, data_root: Path
) -> None:
    batch = made(plain, data_root)
    levels = torch.log10(torch.unflatten(batch.audio, 1, (-1, 160)).square().mean(-1) + 1e-9)
    frames = levels.shape[1]
    for level, features in zip(levels, batch.features, strict=True):  # decoded ones and others
        told = frame_levels(features)
        similar = [float(torch.corrcoef(torch.stack((level, told[lag : lag + frames])))[0, 1]) for lag in range(5)]
        assert int(np.argmax(similar)) == FIRST_ROW
        assert similar[FIRST_ROW] > 0.9


def test_the_codec_gets_what_lies_before_the_crop(plain: VocoderConfig, data_root: Path) -> None:
    batch = made(plain, data_root)
    assert len(batch.history) == 2
    assert batch.history.shape[1] % TOKEN_FRAMES == 0
    assert batch.history.shape[1] >= batch.features.shape[1] + 64
    assert torch.equal(batch.history[:, -batch.features.shape[1] :], batch.features[:2])


@pytest.mark.parametrize(("batch", "ranks"), [(4, 2), (4, 4), (6, 3)])
def test_ranks_together_make_the_batch_of_one(plain: VocoderConfig, data_root: Path, batch: int, ranks: int) -> None:
    config = replace(plain, batch=batch, frames=12, augment_share=0.5, decoded_share=0.25)
    whole = by_item(made(config, data_root))
    assert sorted(whole) == list(range(batch))
    shares = [made(config, data_root, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert sum(len(share.history) for share in shares) == len(made(config, data_root).history) == 1
    for share in shares:
        for item, (features, target) in by_item(share).items():
            assert torch.equal(features, whole[item][0])
            assert torch.equal(target, whole[item][1])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 1.0])
def test_the_share_for_the_codec_is_even(share: float) -> None:
    chosen = [goes_through_codec(item, share) for item in range(120)]
    assert sum(chosen) == round(120 * share)
    assert abs(sum(chosen[:60]) - 60 * share) < 1


def test_workers_and_late_starts_change_nothing(plain: VocoderConfig, data_root: Path) -> None:
    config = replace(plain, frames=12, spectral_steps=3)
    corpus = Corpus([data_root])
    make = MakeBatch(corpus, config, 0, 1, TOKEN_FRAMES)
    inline, ahead = Loader(make, range(config.steps)), Loader(make, range(1, config.steps), workers=1)
    try:
        next(inline)
        for _ in range(3):  # over the border of the stages
            one, other = next(inline), next(ahead)
            assert one.items == other.items
            assert all(torch.equal(getattr(one, n), getattr(other, n)) for n in ("features", "audio", "history"))
    finally:
        inline.close()
        ahead.close()


def test_other_steps_and_seeds_bring_other_crops(plain: VocoderConfig, data_root: Path) -> None:
    here = made(plain, data_root, step=0)
    assert not torch.equal(here.audio, made(plain, data_root, step=1).audio)
    assert not torch.equal(here.audio, made(replace(plain, seed=1), data_root, step=0).audio)


def test_half_of_the_items_are_turned_with_the_same_features(data_root: Path, tmp_path: Path) -> None:
    config = options(data_root, tmp_path, batch=32, decoded_share=0.0, augment_share=0.0)
    corpus = Corpus([data_root])
    batch = MakeBatch(corpus, config, 0, 1, TOKEN_FRAMES)(0)
    signs = []
    for item, (features, target) in by_item(batch).items():
        rows, speech = corpus.crop_with_audio(config.seed, 0, item, len(features))
        assert torch.equal(rows, features)
        expected = (speech[1:] - 0.85 * speech[:-1])[160 * FIRST_ROW - 81 :][: len(target)]
        signs.append(1 if torch.allclose(target, expected, atol=1e-6) else -1)
        assert torch.allclose(signs[-1] * target, expected, atol=1e-6)
    assert 8 <= signs.count(-1) <= 24


def test_decoded_items_went_through_a_noisy_channel_and_only_they_differ(
    plain: VocoderConfig, data_root: Path, tiny: SpiCodec
) -> None:
    batch = made(plain, data_root)
    sent = with_decoded(batch, tiny, 0, 3)
    assert sent.shape == batch.features.shape
    assert torch.equal(sent[2:], batch.features[2:])
    assert all(float((sent[i] - batch.features[i]).abs().mean()) > 0.01 for i in range(2))
    assert torch.equal(sent, with_decoded(batch, tiny, 0, 3))
    other = with_decoded(batch, tiny, 0, 4)  # another step: another rate, SNR and noise over the same speech
    assert not torch.equal(other[:2], sent[:2])
    assert torch.equal(other[2:], sent[2:])


def test_the_last_token_of_a_crop_is_decoded_with_the_one_behind_it(
    plain: VocoderConfig, data_root: Path, speech_features: Tensor
) -> None:
    """A decoder that looks ahead must not take the token behind the crop for a lost one."""
    torch.manual_seed(0)
    codec = SpiCodec(replace(preset("tiny"), lookahead=1))
    start(codec, speech_features)
    for parameter in codec.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # the look-ahead begins with zeros
    codec.eval()
    batch = MakeBatch(Corpus([data_root]), plain, 0, 1, TOKEN_FRAMES, lookahead=1)(0)
    rows = batch.features.shape[1]
    history, end = batch.history, batch.history.shape[1] - TOKEN_FRAMES
    assert torch.equal(history[:, end - rows : end], batch.features[:2])
    found = with_decoded(batch, codec, 0, 0)[:2]
    conditions = draw(TrainConfig(), 0, 0, batch.items[:2])
    ends = replace(batch, history=torch.cat((history[:, :end], history[:, end:].flip(1) + 1.0), 1))
    with torch.no_grad():
        sent = codec(history, conditions.rate, conditions.transmit, conditions.target_snr_db)
    assert torch.equal(found, sent.features[:, end - rows : end])
    assert not torch.equal(found[:, -TOKEN_FRAMES:], with_decoded(ends, codec, 0, 0)[:2, -TOKEN_FRAMES:])


def test_without_a_share_nothing_is_decoded(plain: VocoderConfig, data_root: Path, tiny: SpiCodec) -> None:
    batch = made(replace(plain, decoded_share=0.0), data_root)
    assert len(batch.history) == 0
    assert torch.equal(with_decoded(batch, tiny, 0, 3), batch.features)
