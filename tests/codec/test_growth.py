"""A codec grows without changing what it computes, and all that is new learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.channels.binary import bsc
from aether_lite.codec import SpiCodec, grown, preset
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.losses.feature import feature_loss

SMALL = replace(preset("tiny"), token_frames=4, lookahead=1)
LARGE = replace(SMALL, encoder_blocks=2, decoder_blocks=3, expansion=4)


@pytest.fixture
def small(speech_features: Tensor) -> SpiCodec:
    torch.manual_seed(0)
    model = SpiCodec(SMALL)
    start(model, speech_features)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    return model.eval()


def test_features_and_symbols_stay(small: SpiCodec, speech_features: Tensor) -> None:
    large = grown(small, LARGE).eval()
    assert large.config == LARGE
    symbols, states = zip(*(model.encode(speech_features, 600) for model in (small, large)), strict=True)
    torch.testing.assert_close(symbols[0].values, symbols[1].values, rtol=1e-4, atol=1e-5)
    assert len(states[1]) == len(states[0]) + 1  # a block more
    received = awgn(symbols[0], 6.0, seed=0)
    torch.testing.assert_close(small.decode(received)[0], large.decode(received)[0], rtol=1e-4, atol=1e-5)


def test_all_that_is_new_learns(small: SpiCodec, speech_features: Tensor) -> None:
    large = grown(small, LARGE).train()
    before = {name: value.detach().clone() for name, value in large.named_parameters()}
    optimiser = torch.optim.Adam(large.parameters(), lr=1e-3)
    for seed in range(2):  # what is read by zeros has a gradient once these have moved
        optimiser.zero_grad()
        sent = large(speech_features, 600, lambda symbols, seed=seed: awgn(symbols, 6.0, seed=seed), torch.zeros(1))
        terms = feature_loss(sent.features, speech_features).mean()
        reads = [sent.encoder_semantics, sent.decoder_semantics]
        (terms + sum(value.square().mean() for read in reads for value in vars(read).values())).backward()
        optimiser.step()
    stuck = [name for name, value in large.named_parameters() if torch.equal(value, before[name])]
    assert not stuck


@pytest.mark.parametrize("hashed", [False, True])
def test_a_decoder_begins_to_look_ahead(speech_features: Tensor, hashed: bool) -> None:
    torch.manual_seed(1)
    size = replace(preset("tiny"), hash="sign" if hashed else "")
    model = SpiCodec(size)
    start(model, speech_features)
    ahead = grown(model.eval(), replace(size, lookahead=1)).eval()
    assert type(ahead) is type(model)
    found = []
    for each in (model, ahead):
        if each.config.hash:
            received = bsc(each.encode(speech_features, 600)[0], 0.05, seed=0)
        else:
            received = awgn(each.encode(speech_features, 600)[0], 6.0, seed=0)
        found.append(each.decode_clip(received))
    difference = (found[0] - found[1]).abs()
    assert difference.max() < 0.1  # the empty token that comes first leaves a trace in the memory
    assert difference[:, -80:].max() < 1e-4


def test_only_blocks_their_units_and_the_look_ahead_grow(small: SpiCodec) -> None:
    for wrong in (
        replace(LARGE, expansion=1),
        replace(LARGE, width=48),
        replace(LARGE, lookahead=0),
    ):
        with pytest.raises(AetherError, match="only encoder_blocks, decoder_blocks, expansion, lookahead may differ"):
            grown(small, wrong)
