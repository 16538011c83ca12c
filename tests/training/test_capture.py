"""What is recorded on a GPU: the vocoder at one size; here the recorder gives the function back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from aether_lite.training.capture import Vocode, captured_vocoder
from aether_lite.vocoder import load_fargan, periods_from_features


@pytest.mark.parametrize(("known", "gradient"), [(0, True), (320, False)])
def test_the_recorded_vocoder_is_the_plain_one_at_its_size(
    speech_features: Tensor, monkeypatch: pytest.MonkeyPatch, known: int, gradient: bool
) -> None:
    recorded: list[tuple[Tensor, ...]] = []

    def record(function: Callable[..., Tensor], samples: tuple[Tensor, ...]) -> Callable[..., Tensor]:
        recorded.append(samples)
        assert function(*samples).shape == (2, 160 * 6 - known)
        return function

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    vocoder, features = load_fargan().eval(), speech_features[:, 100:110]
    given = [features, periods_from_features(features)]
    given += [0.1 * torch.randn(2, known, generator=torch.Generator().manual_seed(0))] if known else []
    with torch.no_grad():
        made = captured_vocoder(vocoder, 2, 10, known, gradient=gradient)(*given)
        assert torch.equal(made, vocoder(*given[:2], 6 - known // 160, *given[2:]))
        assert torch.equal(made, Vocode(vocoder)(*given))
    (samples,) = recorded
    assert [(tuple(v.shape), v.dtype) for v in samples] == [(tuple(v.shape), v.dtype) for v in given]
    assert samples[0].requires_grad is gradient
