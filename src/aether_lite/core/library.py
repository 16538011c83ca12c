"""Binding of libaether by cffi: models and streams over numpy arrays.

The declarations are those of ``aether.h``, which lies beside the shared library.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError

Float32 = NDArray[np.float32]
HEADER = "aether.h"
LIBRARY = {"win32": "aether.dll", "darwin": "libaether.dylib"}.get(sys.platform, "libaether.so")


class Library:
    """The shared library in a folder, beside its header.

    Raises:
        AetherError: one of the two is not there, or the library cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, ffi = folder, cffi.FFI()
        self.ffi: Any = ffi
        try:
            self.ffi.cdef(_declarations((folder / HEADER).read_text(encoding="utf-8")))
            self.functions: Any = self.ffi.dlopen(str(folder / LIBRARY))
        except OSError as error:
            raise AetherError(f"{folder}: no native core that this machine can load ({error})") from error

    def checked(self, code: int, what: object) -> None:
        """Raise AetherError, about ``what``, where a function returned an error."""
        if code:
            raise AetherError(f"{what}: {self.ffi.string(self.functions.aether_error_text(code)).decode()}")

    def memory(self, size: int) -> Any:
        """Zeroed memory of ``size`` bytes on a cache line, as a pointer that keeps it."""
        room = np.zeros(size + 64, np.uint8)
        start = -room.ctypes.data % 64
        return self.ffi.from_buffer(room[start : start + size])


@cache
def library(folder: Path) -> Library:
    """The library of a folder, loaded once."""
    return Library(folder)


@cache
def default() -> Library:
    """The library of this package: beside this module, or in a checkout built from its sources where they changed.

    Raises:
        AetherError: there is none, and none can be built.
    """
    here = Path(__file__).parent
    script = here.parents[2] / "core" / "build.py"
    if (here / LIBRARY).exists() or not script.exists():
        return library(here)
    sources = sorted([*script.parent.glob("src/*"), *script.parent.glob("include/*"), script])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = script.parents[1] / "build" / f"core-{digest[:16]}"
    if not (folder / LIBRARY).exists():
        print(f"aether-lite: building the native core into {folder}, once", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise AetherError(f"{folder}: the native core cannot be built ({reason})")
    return library(folder)


def _declarations(header: str) -> str:
    """What cffi reads of the header: no preprocessor, no C++."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    defines = re.findall(r"^#define (AETHER_VERSION_\w+ \d+)$", header, flags=re.MULTILINE)
    header = re.sub(r"^#ifdef __cplusplus\n.*?^#endif", "", header, flags=re.MULTILINE | re.DOTALL)
    header = re.sub(r"^#.*$", "", header, flags=re.MULTILINE).replace("AETHER_API ", "")
    return "\n".join([*(f"#define {define}" for define in defines), header])


class Model:
    """Networks of a file of native weights; any number of streams, in any threads, may share one.

    Args:
        core: the library.
        weights: ``NAME.aether``, which stays mapped, or the bytes of such a file.
        kernels: name of a set, None for the fastest of this machine.

    Raises:
        AetherError: no such file, not one of native weights, damaged, or no such kernels.
    """

    def __init__(self, core: Library, weights: str | Path | bytes, kernels: str | None = None) -> None:
        self.core, name = core, core.ffi.NULL if kernels is None else kernels.encode()
        if isinstance(weights, bytes):
            path: str | Path = "weights"
            self._file = core.memory(len(weights))
            core.ffi.memmove(self._file, weights, len(weights))
        else:
            path = weights
            try:
                with Path(path).open("rb") as file:
                    self._file = core.ffi.from_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (OSError, ValueError) as error:
                raise AetherError(f"{path}: cannot be read ({error})") from error
        size, made = core.ffi.new("size_t *"), core.ffi.new("aether_model **")
        given = self._file, len(self._file), name
        core.checked(core.functions.aether_model_size(*given, size), path)
        self._memory = core.memory(size[0])
        core.checked(core.functions.aether_model_init(self._memory, size[0], *given, made), path)
        self.pointer = made[0]
        self.memory_bytes: int = size[0]

    @property
    def info(self) -> Any:
        """The C structure ``aether_info``."""
        info = self.core.ffi.new("aether_info *")
        self.core.checked(self.core.functions.aether_model_info(self.pointer, info), "info")
        return info

    @property
    def kernels(self) -> str:
        """Name of the kernels in use."""
        name: bytes = self.core.ffi.string(self.core.functions.aether_model_kernels(self.pointer))
        return name.decode()

    @property
    def delay(self) -> int:
        """Delay of the vocoder [samples], see :class:`aether_lite.vocoder.synthesis.Vocoder`."""
        delay: int = self.info.vocoder_delay
        return delay

    def stream(self) -> Vocoder:
        """A stream of feature rows to speech."""
        return Vocoder(self)


class Stream:
    """What streams have in common; ``kind`` is the name of their functions in the library, ``aether_KIND_init``."""

    kind: str

    def __init__(self, model: Model, *arguments: Any) -> None:
        self._model, self._core = model, model.core  # the model's memory must stay
        self._size: int = self._function("size")(model.pointer)
        self._memory = self._core.memory(self._size)
        made = self._core.ffi.new(f"aether_{self.kind} **")
        self._call("init", self._memory, self._size, model.pointer, *arguments, made)
        self._pointer, self._count = made[0], self._core.ffi.new("size_t *")

    @property
    def memory_bytes(self) -> int:
        """Memory of the stream beside its model."""
        return self._size

    def save(self) -> bytes:
        """The state, for :meth:`load` here or on another machine."""
        state = self._core.memory(self._function("state_size")(self._pointer))
        self._call("save", self._pointer, state, len(state))
        return bytes(self._core.ffi.buffer(state))

    def load(self, state: bytes) -> None:
        """Go on where :meth:`save` was called, to the bit; AetherError, and nothing is changed, for another state."""
        self._call("load", self._pointer, self._core.ffi.from_buffer(state), len(state))

    def _function(self, name: str) -> Any:
        return getattr(self._core.functions, f"aether_{self.kind}_{name}")

    def _call(self, name: str, *arguments: Any) -> None:
        self._core.checked(self._function(name)(*arguments), self.kind)

    def _floats(self, array: Float32) -> Any:
        """Pointer to a contiguous array."""
        return self._core.ffi.from_buffer("float[]", array, require_writable=array.flags.writeable)


class TokenStream(Stream):
    """A stream of tokens, at first of the model's default rate."""

    def __init__(self, model: Model, *arguments: Any) -> None:
        super().__init__(model, *arguments)
        self.rate = model.info.default_rate

    @property
    def rate(self) -> int:
        """Rate [uses/s or bit/s] of the tokens from now on."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        self._call("set_rate", self._pointer, rate)
        self._rate = rate


class Encoder(TokenStream):
    """Speech to tokens of symbols or bits; as :class:`aether_lite.streaming.Encoder`, over arrays.

    Args:
        model: with a codec.
        condition: remove DC and rumble first.
    """

    kind = "encoder"

    def __init__(self, model: Model, condition: bool = True) -> None:
        super().__init__(model, int(condition))
        self._ready = self._core.ffi.new("int *")

    def set_target(self, snr_db: float | None) -> None:
        """Design symbols from now on for an Es/N0 [dB], limited to -10..30; None: for any channel."""
        given = self._core.ffi.NULL if snr_db is None else self._core.ffi.new("float *", snr_db)
        self._call("set_target", self._pointer, given)

    def push(self, samples: ArrayLike) -> Float32:
        """Tokens ``[K, n] float32`` (I and Q in turn, or bits) that samples ``[n]``, full scale 1, make known."""
        given, done, tokens = np.ascontiguousarray(samples, np.float32), 0, list[Float32]()
        while done < len(given):
            rest, token = self._floats(given[done:]), self._token()
            self._call("push", self._pointer, rest, len(rest), self._count, self._floats(token), self._ready)
            done += self._count[0]
            tokens += [token] if self._ready[0] else []
        return np.array(tokens, np.float32).reshape(-1, len(self._token()))

    def push_features(self, features: ArrayLike) -> Float32:
        """The token ``[n] float32`` of its features ``[token_frames, 20]``."""
        given, token = np.ascontiguousarray(features, np.float32), self._token()
        self._call("push_features", self._pointer, self._floats(given.reshape(-1)), self._floats(token))
        return token

    def flush(self) -> Float32:
        """The last tokens, the speech filled up with silence; the next sample begins a new stream."""
        tokens: list[Float32] = []
        while True:
            token = self._token()
            self._call("flush", self._pointer, self._floats(token), self._ready)
            if not self._ready[0]:
                return np.array(tokens, np.float32).reshape(-1, len(token))
            tokens.append(token)

    def _token(self) -> Float32:
        return np.empty(self._core.functions.aether_token_floats(self._model.pointer, self._rate), np.float32)


class Decoder(TokenStream):
    """Received tokens to speech; as :class:`aether_lite.streaming.Decoder`, over arrays.

    Args:
        model: with a codec and a vocoder.
        mute: silence in long gaps and where nobody sends.
        speech: False for features alone, which no vocoder is run for.
    """

    kind = "decoder"

    def __init__(self, model: Model, mute: bool = True, speech: bool = True) -> None:
        super().__init__(model, int(mute))
        self._speech = speech
        frames, behind = model.info.token_frames, model.info.vocoder_delay
        self._samples, self._features = np.empty(160 * frames + behind, np.float32), np.empty((frames, 20), np.float32)
        self._rows = self._core.ffi.new("size_t *")

    @property
    def muted(self) -> bool:
        """Whether the newest token was muted."""
        return bool(self._function("muted")(self._pointer))

    def push(
        self, values: ArrayLike | None, gain: ArrayLike | None = None, noise_variance: float | None = None
    ) -> tuple[Float32, Float32]:
        """Samples ``[m]`` and features ``[rows, 20]`` that one token makes known.

        Args:
            values: ``[n] float32``, received symbols as I and Q in turn, or soft bits; None for a lost token. They may
                be any, in any unit, see :mod:`aether_lite.reception`.
            gain: ``[n]``, the receiver's estimate of each symbol's gain as I and Q; None if unknown.
            noise_variance: the receiver's estimate of N0; None if unknown.
        """
        token = self._core.ffi.new("aether_received *")
        kept = [np.ascontiguousarray(part, np.float32) for part in (values, gain) if part is not None]
        needed = self._core.functions.aether_token_floats(self._model.pointer, self._rate)
        if any(part.shape != (needed,) for part in kept):
            raise AetherError(f"a token at rate {self._rate} has {needed} numbers, not {[p.shape for p in kept]}")
        token.lost = values is None
        token.noise_variance = np.nan if noise_variance is None else noise_variance
        token.values = self._core.ffi.NULL if values is None else self._floats(kept[0])
        token.gain = self._core.ffi.NULL if gain is None else self._floats(kept[-1])
        return self._handed("push", self._pointer, token)

    def flush(self) -> tuple[Float32, Float32]:
        """The last samples and features; the next token begins a new stream."""
        return self._handed("flush", self._pointer)

    def _handed(self, name: str, *arguments: Any) -> tuple[Float32, Float32]:
        samples = self._floats(self._samples) if self._speech else self._core.ffi.NULL
        self._call(name, *arguments, samples, self._count, self._floats(self._features.reshape(-1)), self._rows)
        made = self._count[0] if self._speech else 0
        return self._samples[:made].copy(), self._features[: self._rows[0]].copy()


class Features(Stream):
    """Speech to feature rows; rows as :class:`aether_lite.features.StreamingExtractor` gives them.

    Args:
        model: any; the features need no weights.
        condition: remove DC and rumble first.
    """

    kind = "features"

    def __init__(self, model: Model, condition: bool = False) -> None:
        super().__init__(model, int(condition))
        self._ready = self._core.ffi.new("int *")

    def push(self, samples: ArrayLike) -> Float32:
        """Rows ``[f, 36] float32`` that samples ``[n]``, full scale 1, make known."""
        given, done = np.ascontiguousarray(samples, np.float32), 0
        rows, made = np.empty((len(given) // 160 + 2, 36), np.float32), 0  # with room for one that is not whole
        while done < len(given):
            rest = self._floats(given[done:])
            self._call("push", self._pointer, rest, len(rest), self._count, self._floats(rows[made]), self._ready)
            done, made = done + self._count[0], made + self._ready[0]
        return rows[:made]

    def flush(self) -> Float32:
        """The last rows; the next sample begins a new stream."""
        rows = np.empty((1, 36), np.float32)
        self._call("flush", self._pointer, self._floats(rows[0]), self._ready)
        return rows[: self._ready[0]]


class Vocoder(Stream):
    """Feature rows to speech; rows and samples as :class:`aether_lite.vocoder.StreamingVocoder` takes and gives them.
    """

    kind = "vocoder"

    def push(self, rows: ArrayLike) -> Float32:
        """Samples ``[m] float32`` that rows ``[n, 20]`` make known."""
        given = np.ascontiguousarray(rows, np.float32)
        samples = np.empty(len(given) * 160, np.float32)
        values = self._floats(given.reshape(-1))
        self._call("push", self._pointer, values, len(given), self._floats(samples), self._count)
        return samples[: self._count[0]]

    def flush(self) -> Float32:
        """The last samples; the next row begins a new stream."""
        samples = np.empty(self._model.info.vocoder_delay, np.float32)
        self._call("flush", self._pointer, self._floats(samples), self._count)
        return samples[: self._count[0]]
