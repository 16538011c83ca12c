"""Long-term power that holds: mean power near 1 whatever the voice would be sent at, by the sender's past alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.codec import Codec, SpiCodec, save_codec
from aether_lite.codec.loading import load_codec
from aether_lite.export.steps import EncoderStep
from aether_lite.jscc import HELD_RANGE, held
from aether_lite.payload import RATES
from aether_lite.streaming import Encoder
from aether_lite.training.codec_task import constrained


@pytest.fixture(scope="module")
def holding(tiny: SpiCodec) -> SpiCodec:
    return constrained(tiny, "held").eval()


def tokens(power: float, seconds: float, token_frames: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Symbols ``[1, K, 40]`` whose tokens have this mean power, spread over 5 dB, and which of them are sent."""
    count, rng = round(seconds * 100 / token_frames), np.random.default_rng(seed)
    level = power * 10 ** (rng.normal(0, 0.25, (1, count, 1))) / np.exp((0.25 * np.log(10)) ** 2 / 2)
    noise = rng.standard_normal((1, count, 40)) + 1j * rng.standard_normal((1, count, 40))
    return torch.from_numpy(noise * np.sqrt(level / 2)).to(torch.complex64), torch.ones(1, 1, 40, dtype=torch.bool)


def decibels(values: torch.Tensor) -> float:
    return float(10 * torch.log10(values.abs().square().mean()))


@pytest.mark.parametrize("token_frames", [2, 4, 8])
@pytest.mark.parametrize(("power_db", "within_db"), [(-1.2, 0.5), (-0.6, 0.3), (0.0, 0.3), (0.6, 0.3), (1.5, 0.5)])
def test_ten_seconds_have_the_nominal_power(power_db: float, within_db: float, token_frames: int) -> None:
    values, used = tokens(10 ** (power_db / 10), 10, token_frames)
    assert abs(decibels(held(values, used, token_frames)[0])) < within_db
    values, used = tokens(10 ** (power_db / 10), 120, token_frames)
    assert abs(decibels(held(values, used, token_frames)[0])) < 0.1


def test_the_gain_is_slow_bounded_and_of_the_past_alone() -> None:
    values, used = tokens(1.3, 20)
    whole, end = held(values, used, 4)
    gain = (whole / values)[0, :, 0].real
    assert float(gain[0]) == 1
    assert float((20 * torch.log10(gain[1:] / gain[:-1])).abs().max()) < 0.4
    head, between = held(values[:, :200], used, 4)
    tail, again = held(values[:, 200:], used, 4, between)
    assert torch.equal(torch.cat((head, tail), 1), whole)
    assert torch.equal(again, end)
    for power, limit in ((1e-6, HELD_RANGE[1]), (100.0, HELD_RANGE[0])):
        values, used = tokens(power, 60)
        gain = (held(values, used, 4)[0] / values)[0, -1, 0].real
        assert float(gain.square()) == pytest.approx(limit, rel=0.01)
    nothing, saved = held(values[:, :0], used, 4, between)
    assert nothing.shape == (1, 0, 40)
    assert torch.equal(saved, between)


@pytest.mark.parametrize("rate", RATES)
def test_a_codec_holds_the_power_of_speech_it_was_not_measured_on(
    holding: SpiCodec, tiny: SpiCodec, speech_features: torch.Tensor, rate: int
) -> None:
    loud = speech_features.repeat(1, 4, 1)
    loud[..., 0] += 6  # 15 dB louder
    raw, sent = (decibels(model.encode(loud, rate)[0].values) for model in (tiny, holding))
    assert abs(raw) > 0.5
    assert abs(sent) < 0.5 * abs(raw)
    assert torch.equal(
        holding.encode(speech_features, rate)[0].values[:, 0], tiny.encode(speech_features, rate)[0].values[:, 0]
    )


def test_streams_blocks_and_stored_states_send_what_a_clip_sends(holding: SpiCodec, speech: np.ndarray) -> None:
    codec = Codec(holding)
    speech = speech[:, :32_000]
    whole = codec.encode(speech[0], 700).values
    encoder, twin = Encoder(codec, 700), Encoder(codec)
    first = encoder.push(speech[0, :9000]).values
    twin.load_state_dict(encoder.state_dict())
    rest = [torch.cat([each.push(speech[0, 9000:]).values, each.flush().values], 1) for each in (encoder, twin)]
    assert torch.equal(*rest)
    torch.testing.assert_close(torch.cat((first, rest[0]), 1), whole, atol=1e-5, rtol=1e-5)


def test_training_sends_what_the_wire_sends(holding: SpiCodec, speech_features: torch.Tensor) -> None:
    rates = torch.tensor([300, 1000])
    found: list[torch.Tensor] = []

    def channel(symbols):  # type: ignore[no-untyped-def]
        from aether_lite.channels import clean

        found.append(symbols.values)
        return clean(symbols)

    holding(speech_features, rates, channel)
    for item, rate in enumerate(rates.tolist()):
        alone = holding.encode(speech_features[item : item + 1], rate)[0].values
        torch.testing.assert_close(found[0][item, :, : alone.shape[2]], alone[0], atol=1e-5, rtol=1e-5)


def test_the_exported_step_holds_it_too(holding: SpiCodec, speech_features: torch.Tensor) -> None:
    step, frames = EncoderStep(holding), holding.config.token_frames
    states = tuple(port.zeros() for port in step.states)
    expected = holding.encode(speech_features[:1], 600)[0].values[0]
    for number in range(20):
        rows = speech_features[0, number * frames : (number + 1) * frames]
        symbols, *states = step(rows, torch.tensor([600]), torch.tensor([torch.nan]), *states)  # type: ignore[assignment]
        made = torch.view_as_complex(symbols)[: expected.shape[1]]
        torch.testing.assert_close(made, expected[number], atol=1e-5, rtol=1e-5)


def test_the_constraint_stands_in_the_file(holding: SpiCodec, tmp_path: Path, speech_features: torch.Tensor) -> None:
    save_codec(holding, tmp_path / "held.safetensors", {})
    again, _ = load_codec(tmp_path / "held.safetensors")
    assert again.config == replace(holding.config, power="held")
    assert (again.encode(speech_features, 300)[0].values.abs().square().mean() - 1).abs() < 0.1
