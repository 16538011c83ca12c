"""Errors as a speech recogniser hears them: what a listener makes of decoded and of true features, compared.

The feature loss counts an error that turns one sound into another like one that nobody notices. Here both features go
through the encoder of a recogniser (:mod:`aether_lite.losses.asr`) and are compared as states h::

    listening = mean over states and their dimensions of (h(x) - h(y))^2

with x decoded and y true, or as the words that the recogniser's decoder expects after those it has read in y::

    words = mean over tokens of sum over the vocabulary of p(token | y) log(p(token | y) / p(token | x))

On speech every dimension of h has variance 1, so that states of two unrelated clips are about 2 apart; of words the
unit is the nat.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.losses.asr import Listener

TOKENS_PER_STATE = 0.12  # read at most; 6 a second


def listening_loss(states: Tensor, wanted: Tensor) -> Tensor:
    """Mean square distance of every clip's states ``[B]``, at least 0.

    Args:
        states, wanted: what a listener makes of decoded and of true features, ``[B, S, blocks * width]``.

    Raises:
        ValueError: shapes that differ.
    """
    if states.shape != wanted.shape:
        raise ValueError(f"states must have one shape, not {tuple(states.shape)} and {tuple(wanted.shape)}")
    distance: Tensor = (states - wanted).square().mean((-1, -2))
    return distance


def words_loss(listener: Listener, states: Tensor, wanted: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the tokens' probabilities of every clip ``[B]`` [nat], at least 0.

    The tokens are the likeliest of the true features, up to the one that ends them.

    Args:
        listener: has a reader; frozen.
        states, wanted: what it makes of decoded and of true features, ``[B, S, blocks * width]``, of which the last
            block's count; ``wanted`` gets no gradient.

    Raises:
        ValueError: the listener has no reader, or shapes that differ.
    """
    if states.shape != wanted.shape:
        raise ValueError(f"states must have one shape, not {tuple(states.shape)} and {tuple(wanted.shape)}")
    reader = listener.reader
    if reader is None:
        raise ValueError("this listener has no reader")
    with torch.no_grad():
        true = listener.readable(wanted)
        tokens = reader.read(true, 1 + int(TOKENS_PER_STATE * states.shape[1]))
        expected = reader(true, tokens[:, :-1])[:, len(reader.prompt) - 1 :].log_softmax(-1)
    guessed = reader(listener.readable(states), tokens[:, :-1])[:, len(reader.prompt) - 1 :].log_softmax(-1)
    divergence = (expected.exp() * (expected - guessed)).sum(-1)
    counted = tokens[:, len(reader.prompt) - 1 : -1] != reader.end  # what follows an end is not read
    loss: Tensor = (divergence * counted).sum(-1) / counted.sum(-1)
    return loss
