"""The decoder of Whisper tiny as a PyTorch network, with gradients: which words its encoder's states say.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. Tokens so far and states go
through transformer blocks, each with attention to the tokens before and to all states; what comes out are logits of
the next token. Vocabularies end with the same special tokens, counted here from the last one.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.losses.asr.ctranslate import Arrays, Sizes, block_names, layers, read_network, sizes_of, tensor

ENGLISH_ONLY = 51864  # tokens of the vocabulary of a model of English alone; others have more
_END, _NO_TIMES = 1608, 1502  # places before the vocabulary's end; the start token follows the end token
_ENGLISH, _TRANSCRIBE = 1606, 1506
Cache = tuple[Tensor, Tensor]
"""Keys and values ``[B, heads, T, width / heads]``."""


class ReaderBlock(nn.Module):
    """A pre-norm transformer block ``[B, T, width]`` that looks at the tokens before and at states."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.heads = sizes.heads
        self.attention_norm, self.states_norm, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.states_query, self.states_key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.states_out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, sizes.hidden), nn.Linear(sizes.hidden, width)

    def seen(self, states: Tensor) -> Cache:
        """Keys and values of states ``[B, S, width]``."""
        key, value = self._split(self.states_key_value(states), 2)
        return key, value

    def forward(self, x: Tensor, seen: Cache, before: Cache | None) -> tuple[Tensor, Cache]:
        """What follows from tokens ``[B, T, width]``, states and the tokens before; T is 1 where there are such."""
        query, key, value = self._split(self.query_key_value(self.attention_norm(x)), 3)
        if before is not None:
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        x = x + self.out(_joined(F.scaled_dot_product_attention(query, key, value, is_causal=before is None)))
        (asked,) = self._split(self.states_query(self.states_norm(x)), 1)
        x = x + self.states_out(_joined(F.scaled_dot_product_attention(asked, *seen)))
        return x + self.down(F.gelu(self.up(self.norm(x)))), (key, value)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """``[B, T, parts * width]`` to as many ``[B, heads, T, width / heads]``."""
        return x.view(*x.shape[:2], parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


class Reader(nn.Module):
    """States ``[B, S, width]`` and tokens ``[B, T]`` to logits of the tokens that follow ``[B, T, V]``."""

    def __init__(self, sizes: Sizes, vocabulary: int, longest: int) -> None:
        super().__init__()
        self.end = vocabulary - _END
        start, no_times = self.end + 1, vocabulary - _NO_TIMES
        spoken = (vocabulary - _ENGLISH, vocabulary - _TRANSCRIBE) if vocabulary > ENGLISH_ONLY else ()
        self.prompt = (start, *spoken, no_times)
        self.tokens = nn.Embedding(vocabulary, sizes.width)
        self.positions: Tensor
        self.register_buffer("positions", torch.zeros(longest, sizes.width))
        self.blocks = nn.ModuleList(ReaderBlock(sizes) for _ in range(sizes.blocks))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        seen = self._seen(states)
        return self._next(tokens, 0, seen, [None] * len(seen))[0]

    @torch.no_grad()
    def read(self, states: Tensor, most: int) -> Tensor:
        """The likeliest tokens one after another ``[B, P + N] int64``: the prompt's P, then up to ``most``.

        An item that has ended goes on with end tokens; N ends where all have.
        """
        tokens = torch.tensor(self.prompt, device=states.device).expand(len(states), -1)
        seen = self._seen(states)
        caches: list[Cache | None] = [None] * len(seen)
        fresh, ended = tokens, torch.zeros(len(states), dtype=torch.bool, device=states.device)
        for _ in range(min(most, len(self.positions) - len(self.prompt))):
            logits, caches = self._next(fresh, tokens.shape[1] - fresh.shape[1], seen, caches)
            fresh = logits[:, -1].argmax(-1).masked_fill(ended, self.end)[:, None]
            tokens = torch.cat([tokens, fresh], 1)
            ended = ended | (fresh[:, 0] == self.end)
            if bool(ended.all()):
                break
        return tokens

    def _seen(self, states: Tensor) -> list[Cache]:
        return [block.seen(states) for block in self.blocks]  # type: ignore[operator]

    def _next(
        self, tokens: Tensor, first: int, seen: list[Cache], caches: list[Cache | None]
    ) -> tuple[Tensor, list[Cache | None]]:
        """Logits after tokens from place ``first`` on, and keys and values of all so far."""
        x = self.tokens(tokens) + self.positions[first : first + tokens.shape[1]]
        kept: list[Cache | None] = []
        for block, states, before in zip(self.blocks, seen, caches, strict=True):
            x, cache = block(x, states, before)
            kept.append(cache)
        return F.linear(self.norm(x), self.tokens.weight), kept


def _joined(x: Tensor) -> Tensor:
    """``[B, heads, T, n]`` to ``[B, T, heads n]``."""
    return x.transpose(1, 2).flatten(2)


def load_reader(path: Path) -> Reader:
    """The decoder of a CTranslate2 Whisper model file, frozen, in float32.

    Raises:
        AetherError: not such a file; the message names it.
    """
    return read_network(path, _reader)


def _reader(arrays: Arrays) -> Reader:
    sizes = sizes_of(arrays, "decoder")
    embeddings = tensor(arrays["decoder/embeddings/weight"])
    positions = tensor(arrays["decoder/position_encodings/encodings"])
    if len(embeddings) <= _END:
        raise ValueError(f"a vocabulary of {len(embeddings)} tokens")
    model = Reader(sizes, len(embeddings), len(positions))
    attention = {
        "states_norm": "attention/layer_norm",
        "states_query": "attention/linear_0",
        "states_key_value": "attention/linear_1",
        "states_out": "attention/linear_2",
    }
    names = {"norm": "decoder/layer_norm", **block_names("decoder", sizes.blocks, attention)}
    model.load_state_dict({"tokens.weight": embeddings, "positions": positions, **layers(arrays, names)})
    return model
