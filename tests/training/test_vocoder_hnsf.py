"""Training of the harmonic-plus-noise vocoder: steps, what is exported, and the one pass of the discriminators."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from vocoder_runs import new_trainer, options

from aether_lite.errors import AetherError
from aether_lite.features.layout import voiced_frames
from aether_lite.losses.adversarial import discriminator_loss, feature_matching_loss, generator_loss
from aether_lite.losses.spectral import item_stft_loss, root_stft_loss
from aether_lite.training.vocoder_task import VocoderTask
from aether_lite.vocoder import load_network
from aether_lite.vocoder.hnsf import HarmonicNoise

LIGHT = {"vocoder": "hnsf", "log_weight": 0.15, "discriminator_channels": 8}


@pytest.fixture
def trainer(data_root: Path, tmp_path: Path):
    return new_trainer(data_root, tmp_path, **LIGHT)


def test_both_stages_train_all_of_it_and_the_weights_load(trainer, tmp_path: Path) -> None:
    assert isinstance(trainer.task, VocoderTask)
    for step in range(trainer.config.steps):
        before = {name: p.detach().clone() for name, p in trainer.task.vocoder.named_parameters()}
        parts = trainer.train_step()
        changed = {name for name, p in trainer.task.vocoder.named_parameters() if not torch.equal(p, before[name])}
        assert changed == (set() if step == 2 else before.keys()), step  # in step 2 the discriminators learn alone
        gan = {"feature_matching", "adversarial", "discriminator"}
        spectral = {"total", "gradient", "spectral"}
        assert parts.keys() == [spectral, spectral, {"total", "discriminator"}, spectral | gan, spectral | gan][step]
    trainer.task.export(trainer.config.steps)
    loaded = load_network(tmp_path / "vocoder.safetensors")
    assert isinstance(loaded, HarmonicNoise)
    for name, value in trainer.task.average.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not (tmp_path / "vocoder.pth").exists()  # the public layout is FARGAN's


def test_one_pass_of_the_discriminators_gives_the_gradients_of_two(trainer, monkeypatch) -> None:
    task, config = trainer.task, trainer.config
    step = config.spectral_steps + config.discriminator_steps
    batch = next(iter(task.batches(step)))
    reference, judge = copy.deepcopy(task.vocoder), copy.deepcopy(task.discriminator)
    torch.manual_seed((config.seed * 2**20 + step) * 2**10)
    features = batch.features  # the smallest run decodes none
    draws, target = reference(features, 2), batch.audio
    made = draws[: len(target)]
    matching = feature_matching_loss(judge(target), judge(made))
    loss = config.spectral_weight * item_stft_loss(draws, target, 0.15, (~voiced_frames(features[:, 24:-3])).float())
    (loss + config.matching_weight * matching + generator_loss(judge(made))).backward()
    judge.zero_grad()
    discriminator_loss(judge(target), judge(made.detach())).backward()

    monkeypatch.setattr("aether_lite.training.vocoder_task.with_decoded", lambda batch, *_: batch.features)
    monkeypatch.setattr(task.optimisers["discriminator"], "step", lambda: None)
    monkeypatch.setattr("aether_lite.training.vocoder_task.descend", lambda _, total, *__: total.backward() or total)
    task.train_step(batch, step)
    for (name, own), other in zip(task.vocoder.named_parameters(), reference.parameters(), strict=True):
        scale = float(other.grad.abs().max())
        assert float((own.grad - other.grad).abs().max()) <= 1e-5 * scale + 1e-9, name
    for (name, own), other in zip(task.discriminator.named_parameters(), judge.parameters(), strict=True):
        scale = float(other.grad.abs().max())
        assert float((own.grad - other.grad).abs().max()) <= 1e-5 * scale + 1e-9, name


def test_the_distance_weighs_items_alike_at_any_level() -> None:
    torch.manual_seed(1)
    original = torch.randn(2, 4000) * 0.1
    decoded = original + 0.03 * torch.randn(2, 4000)
    quiet = torch.tensor([[1.0], [0.03]])
    changed, plain = item_stft_loss(decoded * quiet, original * quiet, 0.0), item_stft_loss(decoded, original, 0.0)
    torch.testing.assert_close(changed, plain, rtol=0.02, atol=0)
    single = [item_stft_loss(decoded[i : i + 1], original[i : i + 1], 0.15) for i in (0, 1)]
    torch.testing.assert_close(item_stft_loss(decoded, original, 0.15), torch.stack(single).mean())
    alone = item_stft_loss(decoded[:1], original[:1], 0.0)
    assert single[0] > alone
    torch.testing.assert_close(alone, root_stft_loss(decoded[:1], original[:1]))


def test_noisy_frames_ask_for_noise_like_the_original_and_others_for_less() -> None:
    generator = torch.Generator().manual_seed(3)
    first, second, original = torch.randn(3, 8, 12_000, generator=generator) * 0.05
    pulses = torch.zeros(8, 12_000)
    pulses[:, ::100] = 0.5  # of the same power

    def distance(noisy: bool, level: float, share: float) -> float:
        """Of noise with a share of its power replaced by pulses."""
        made = [level * ((1 - share) ** 0.5 * noise + share**0.5 * pulses) for noise in (first, second)]
        return float(item_stft_loss(torch.cat(made), original, 0.15, torch.full((8, 75), float(noisy))))

    levels = torch.linspace(0.7, 1.3, 13).tolist()
    best = {noisy: min(levels, key=lambda level: distance(noisy, level, 0.0)) for noisy in (False, True)}
    assert best[True] == pytest.approx(1.0)
    assert best[False] <= 0.9
    assert distance(True, 1.0, 0.0) < distance(True, 1.0, 0.1) - 0.001


def test_noisy_frames_are_those_at_their_place() -> None:
    generator = torch.Generator().manual_seed(5)
    first, second, original = torch.randn(3, 2, 16_000, generator=generator) * 0.05
    second[:, :8000] = first[:, :8000]  # so that only the second half gains by being noisy
    made, halves = torch.cat((first, second)), torch.zeros(2, 100)
    whole, none = (item_stft_loss(made, original, 0.15, torch.full((2, 100), value)) for value in (1.0, 0.0))
    torch.testing.assert_close(none, item_stft_loss(made, original.repeat(2, 1), 0.15))
    halves[:, 50:] = 1
    late, early = item_stft_loss(made, original, 0.15, halves), item_stft_loss(made, original, 0.15, 1 - halves)
    assert float(none - late) > 0.95 * float(none - whole) > 19 * float(none - early) > 0


def test_another_kind_is_a_stated_error(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="vocoder: one of fargan, hnsf"):
        options(data_root, tmp_path, vocoder="other")
