"""The network: names, shapes, noise, priming, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aether_lite.features.layout import period_from_pitch
from aether_lite.vocoder import FARGAN, SubframeState, deemphasize, periods_from_features
from aether_lite.vocoder.fargan import NormedLinear, gather_indices, with_activation_noise

PUBLIC_SHAPES = {
    "cond_net.pembed.weight": (224, 12),
    "cond_net.fdense1.weight": (64, 32),
    "cond_net.fconv1.weight": (128, 64, 3),
    "cond_net.fdense2.weight": (320, 128),
    "sig_net.cond_gain_dense.weight": (1, 80),
    "sig_net.cond_gain_dense.bias": (1,),
    "sig_net.fwc0.conv.weight_g": (192, 1),
    "sig_net.fwc0.conv.weight_v": (192, 328),
    "sig_net.fwc0.glu.gate.weight_g": (192, 1),
    "sig_net.fwc0.glu.gate.weight_v": (192, 192),
    "sig_net.gru1.weight_ih": (480, 272),
    "sig_net.gru1.weight_hh": (480, 160),
    "sig_net.gru2.weight_ih": (384, 240),
    "sig_net.gru2.weight_hh": (384, 128),
    "sig_net.gru3.weight_ih": (384, 208),
    "sig_net.gru3.weight_hh": (384, 128),
    "sig_net.gru1_glu.gate.weight_g": (160, 1),
    "sig_net.gru1_glu.gate.weight_v": (160, 160),
    "sig_net.gru2_glu.gate.weight_g": (128, 1),
    "sig_net.gru2_glu.gate.weight_v": (128, 128),
    "sig_net.gru3_glu.gate.weight_g": (128, 1),
    "sig_net.gru3_glu.gate.weight_v": (128, 128),
    "sig_net.skip_glu.gate.weight_g": (128, 1),
    "sig_net.skip_glu.gate.weight_v": (128, 128),
    "sig_net.skip_dense.weight": (128, 688),
    "sig_net.sig_dense_out.weight": (40, 128),
    "sig_net.gain_dense_out.weight": (4, 192),
    "sig_net.gain_dense_out.bias": (4,),
}


def chunk(features: Tensor, rows: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Stretches of voiced speech ``[B, rows, 20]`` and their periods ``[B, rows]``."""
    rows_of = [features[60 + 40 * item : 60 + 40 * item + rows, :20] for item in range(batch)]
    return torch.stack(rows_of), periods_from_features(torch.stack(rows_of))


def test_parameters_are_named_and_shaped_as_in_public_checkpoints():
    shapes = {name: tuple(value.shape) for name, value in FARGAN().state_dict().items()}
    assert shapes == PUBLIC_SHAPES


def test_parameter_count():
    sizes = {name: value.numel() for name, value in FARGAN().named_parameters()}
    assert sum(sizes.values()) == 817_525
    assert sum(size for name, size in sizes.items() if not name.endswith("weight_g")) == 816_597


def test_normed_linear_equals_torch_weight_norm():
    layer = NormedLinear(12, 7)
    torch.nn.init.normal_(layer.weight_v)
    expected = torch._weight_norm(layer.weight_v, layer.weight_g, 0)
    torch.testing.assert_close(layer.weight(), expected)


def test_a_new_model_makes_finite_sound(features):
    rows, period = chunk(features, 8)
    samples = FARGAN().eval()(rows, period, 4)
    assert samples.shape == (1, 640)
    assert samples.isfinite().all()
    assert samples.std() > 0


def test_evaluation_is_deterministic_and_training_is_noisy(vocoder, features):
    rows, period = chunk(features, 8)
    assert torch.equal(vocoder(rows, period, 4), vocoder(rows, period, 4))
    vocoder.train()
    try:
        first, second = vocoder(rows, period, 4), vocoder(rows, period, 4)
    finally:
        vocoder.eval()
    assert not torch.equal(first, second)


def test_activation_noise_is_half_an_int8_step():
    x = torch.linspace(-1, 1, 100_001)
    noise = with_activation_noise(x, noisy=True) - x
    assert noise.abs().max() <= 1 / 254 + 1e-6
    assert noise[1000:-1000].std() == pytest.approx(1 / 127 / 12**0.5, rel=0.02)
    assert with_activation_noise(x, noisy=True).abs().max() <= 1
    assert torch.equal(with_activation_noise(2 * x, noisy=False), (2 * x).clamp(-1, 1))


@pytest.mark.parametrize("period", [32, 43, 44, 100, 253, 254, 255, 256])
def test_gather_repeats_the_last_period_and_stays_inside_the_memory(period):
    expected = []
    position = 256 - period - 2
    for _ in range(44):
        if position == 256:
            position -= period
        expected.append(max(0, position))
        position += 1
    assert gather_indices(torch.tensor(period)).tolist() == expected


@pytest.mark.parametrize("pitch", [-1.5, 1.5])
def test_extreme_periods_work(vocoder, features, pitch):
    rows = features[60:70, :20].clone()
    rows[:, 18] = pitch
    period = periods_from_features(rows)
    assert set(period.tolist()) == ({255} if pitch < 0 else {32})
    assert vocoder(rows[None], period[None], 6).isfinite().all()


def test_periods_equal_the_feature_layouts():
    pitch = torch.linspace(-2.0, 2.0, 10_001)
    rows = torch.zeros(10_001, 20)
    rows[:, 18] = pitch
    assert periods_from_features(rows).tolist() == period_from_pitch(rows[:, 18].numpy()).tolist()


def test_conditioning_sees_three_rows(vocoder, features):
    rows, period = chunk(features, 9)
    changed = rows.clone()
    changed[:, 4, :18] += 1.0
    difference = (vocoder.cond_net(rows, period) - vocoder.cond_net(changed, period)).abs().amax(dim=(0, 2, 3))
    assert (difference > 1e-4).nonzero().flatten().tolist() == [2, 3, 4]


def test_frame_n_sees_rows_up_to_n_plus_4(vocoder, features):
    rows, period = chunk(features, 14)
    changed = rows.clone()
    changed[:, 8, 0] += 3.0
    difference = (vocoder(rows, period, 10) - vocoder(changed, period, 10)).abs()[0].view(10, 160).amax(dim=1)
    assert (difference[:4] == 0).all()
    assert difference[4] > 1e-5


def test_known_frames_prime_the_network(vocoder, features, speech):
    rows, period = chunk(features, 16)
    emphasised = speech - 0.85 * torch.cat((torch.zeros(1), speech[:-1]))
    start = 160 * (60 + 3) - 80  # frame 0 belongs to row 3 of the chunk
    known = emphasised[None, start : start + 320]
    primed = vocoder(rows, period, 10, pre=known)
    assert primed.shape == (1, 1600)
    assert not torch.equal(primed, vocoder(rows, period, 10, pre=torch.zeros(1, 320)))
    one_frame = vocoder(rows[:, 1:], period[:, 1:], 10, pre=known[:, 160:])
    assert one_frame.shape == (1, 1600)  # only the memory is filled: no state has run
    assert not torch.equal(primed, one_frame)


def test_priming_by_hand_equals_forward(vocoder, features):
    rows, period = chunk(features, 7)
    known = 0.1 * torch.randn(1, 320, generator=torch.Generator().manual_seed(3))
    cond = vocoder.cond_net(rows[:, 2:], period[:, 2:])
    weights = vocoder.sig_net.normed_weights()
    state = SubframeState.zeros(1, cond)
    state.memory[:, -160:] = known[:, :160]
    for k in range(4):
        _, state = vocoder.sig_net(cond[:, 1, k], gather_indices(period[:, 4]), state, weights)
        state.memory[:, -40:] = known[:, 160 + 40 * k : 200 + 40 * k]
    expected, _ = vocoder.sig_net(cond[:, 2, 0], gather_indices(period[:, 5]), state, weights)
    torch.testing.assert_close(vocoder(rows, period, 1, pre=known)[:, :40], expected)


def test_gradients_reach_every_parameter_and_every_feature():
    torch.manual_seed(0)
    model = FARGAN()
    rows = torch.randn(2, 9, 20, requires_grad=True)
    period = torch.full((2, 9), 90)
    model(rows, period, 4, pre=torch.zeros(2, 160)).square().sum().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert rows.grad is not None
    seen = rows.grad.abs().amax(dim=(0, 2)) > 0
    assert seen.tolist() == [False] * 3 + [True] * 6  # rows 0-2 lie before frame 1, the first that runs


def test_gradients_flow_back_through_the_loop():
    torch.manual_seed(0)
    model = FARGAN().eval()
    rows = torch.randn(1, 10, 20, requires_grad=True)
    samples = model(rows, torch.full((1, 10), 90), 6)
    samples[:, -40:].square().sum().backward()
    assert rows.grad is not None
    assert rows.grad[0, 2].abs().max() > 0  # row 2 is seen by frame 0 only


def test_batch_equals_single(vocoder, features):
    rows, period = chunk(features, 12, batch=3)
    together = vocoder(rows, period, 8)
    for item in range(3):
        single = vocoder(rows[item : item + 1], period[item : item + 1], 8)
        torch.testing.assert_close(together[item : item + 1], single, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("shape", "frames", "pre"),
    [((1, 7, 20), 4, None), ((1, 8, 36), 4, None), ((8, 20), 4, None), ((1, 9, 20), 4, 320), ((1, 9, 20), 4, 100)],
)
def test_wrong_shapes_are_refused(shape, frames, pre):
    rows = torch.zeros(shape)
    known = None if pre is None else torch.zeros(1, pre)
    with pytest.raises(ValueError, match=r"features must be|pre must be"):
        FARGAN()(rows, torch.full(shape[:-1], 90), frames, pre=known)


def test_periods_must_fit_the_features():
    with pytest.raises(ValueError, match="period must be"):
        FARGAN()(torch.zeros(1, 8, 20), torch.full((1, 7), 90), 4)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 1000])
def test_deemphasis_equals_the_recursion(length):
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(2, length, generator=generator, dtype=torch.float64)
    memory = torch.randn(2, generator=generator, dtype=torch.float64)
    expected, last = [], memory
    for n in range(length):
        last = signal[:, n] + 0.85 * last
        expected.append(last)
    result = deemphasize(signal, memory)
    assert result.shape == (2, length)
    if length:
        torch.testing.assert_close(result, torch.stack(expected, dim=1), atol=1e-10, rtol=0)


def test_deemphasis_is_differentiable_after_use_without_gradients():
    with torch.inference_mode():
        deemphasize(torch.zeros(1, 320))
    signal = torch.randn(1, 320, requires_grad=True)
    deemphasize(signal).sum().backward()
    assert signal.grad is not None
    assert signal.grad[0, 0] == pytest.approx(1 / 0.15, rel=1e-3)
