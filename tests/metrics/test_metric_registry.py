"""The registry: what metrics say of themselves, accumulators, one clip at once, absent packages."""

import importlib.util
import math
import pkgutil
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import aether_lite.metrics as package
from aether_lite.errors import AetherError
from aether_lite.metrics import (
    AUDIO_METRICS,
    FEATURE_METRICS,
    METRICS,
    Metric,
    Needs,
    Pooling,
    available,
    evaluate_audio,
    metric,
    missing_line,
)
from aether_lite.metrics.clips import ClipCache

LIGHT_AUDIO = ("log_mel", "mr_stft", "lsd_audio_db")


def noisy(features: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return features + 0.2 * torch.randn(features.shape, generator=torch.Generator().manual_seed(seed))


def test_names_are_columns_and_every_metric_has_its_source():
    assert list(METRICS) == [*FEATURE_METRICS, *AUDIO_METRICS]
    for name, known in METRICS.items():
        assert known.name == name
        assert name.isidentifier()
        assert name == name.lower()
        assert known.title
        assert known.low < known.high
    assert len({known.title for known in METRICS.values()}) == len(METRICS)
    assert all(known.source for known in AUDIO_METRICS.values())
    assert METRICS["pesq_wb"].heading() == "PESQ-WB [MOS-LQO] ↑"
    assert METRICS["f0_spread_ratio"].heading() == "F0 spread ratio"


def test_values_lie_in_the_stated_range(speech_features, speech):
    for seed in range(3):
        for name, known in FEATURE_METRICS.items():
            values = known(noisy(speech_features, seed), speech_features)
            assert ((values >= known.low) & (values <= known.high)).all(), name
    audio = torch.from_numpy(speech)
    for name in LIGHT_AUDIO:
        assert (AUDIO_METRICS[name](noisy(audio), audio) > AUDIO_METRICS[name].low).all()


def test_parts_add_up_to_the_feature_loss(speech_features):
    decoded = noisy(speech_features)
    parts = [FEATURE_METRICS[f"loss_{part}"](decoded, speech_features) for part in ("cepstrum", "pitch", "correlation")]
    torch.testing.assert_close(sum(parts), FEATURE_METRICS["feature_loss"](decoded, speech_features))
    shifted = speech_features.clone()
    shifted[..., 19] += 0.3
    assert FEATURE_METRICS["loss_correlation"](shifted, speech_features).tolist() == pytest.approx([0.09 / 18] * 2)
    assert FEATURE_METRICS["loss_cepstrum"](shifted, speech_features).tolist() == [0, 0]
    assert FEATURE_METRICS["loss_pitch"](shifted, speech_features).tolist() == [0, 0]


@pytest.mark.parametrize("name", FEATURE_METRICS)
def test_clips_one_by_one_are_the_batch(name, speech_features):
    metric = METRICS[name]
    original = torch.cat((speech_features, speech_features.flip(1)))[:, :400]
    decoded = noisy(original)
    mask = torch.arange(400) < torch.tensor([400, 150, 300, 77])[:, None]
    values = metric(decoded, original, mask)
    single = [metric(decoded[row][mask[row]], original[row][mask[row]]) for row in range(4)]
    torch.testing.assert_close(values, torch.stack(single), rtol=1e-4, atol=1e-6)
    weights = mask.sum(-1).float()
    wanted = {
        Pooling.FRAMES: (values * weights).sum() / weights.sum(),
        Pooling.MEDIAN: torch.quantile(values, 0.5),
        Pooling.MEAN: values.mean(),
    }[metric.pooling]
    assert metric.over_clips(values.tolist(), weights.tolist()) == pytest.approx(wanted.item(), rel=1e-5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-10, 10) | st.just(math.nan), st.integers(1, 9)), max_size=8))
def test_undefined_clips_do_not_count(clips):
    values, weights = [value for value, _ in clips], [float(weight) for _, weight in clips]
    for pooling in Pooling:
        metric = Metric("x", "X", "", lambda x: x, Needs.AUDIO, pooling=pooling)
        defined = [(value, weight) for value, weight in zip(values, weights, strict=True) if not math.isnan(value)]
        found = metric.over_clips(values, weights)
        if defined:
            assert min(defined)[0] - 1e-9 <= found <= max(defined)[0] + 1e-9
            assert found == metric.over_clips(*(list(column) for column in zip(*defined, strict=True)))
        else:
            assert math.isnan(found)


def test_a_comparison_needs_the_original(speech):
    with pytest.raises(ValueError, match="log_mel compares with the original audio"):
        METRICS["log_mel"](torch.from_numpy(speech))


def test_audio_of_one_clip_skips_missing_packages_and_other_languages(speech, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    original = torch.from_numpy(speech[0])
    found = evaluate_audio(0.5 * original, original, language="en")
    assert list(found) == list(AUDIO_METRICS)
    assert {name for name, value in found.items() if not math.isnan(value)} == set(LIGHT_AUDIO)
    line = missing_line(METRICS)
    assert line is not None
    assert "\n" not in line
    for word in ("PESQ-WB", "DNSMOS overall", "WER", "Speaker similarity", "ESTOI", "pip install '.[eval]'"):
        assert word in line
    assert "Log-mel" not in line
    assert missing_line(["feature_loss", "log_mel"]) is None
    assert not available("wer")
    assert available("feature_loss")


def test_word_errors_are_measured_in_english_only(speech, monkeypatch):
    italian = torch.from_numpy(speech[1])
    for language in ("it", ""):
        assert math.isnan(evaluate_audio(italian, italian, ["wer"], language)["wer"])
    assert METRICS["wer"].speaks("en-GB")
    assert METRICS["wer"].speaks("en(zh-accent)")
    assert not METRICS["wer"].speaks("eng")
    assert METRICS["pesq_wb"].speaks("")


@pytest.mark.skipif(missing_line(METRICS) is not None, reason=str(missing_line(METRICS)))
def test_every_audio_metric_prefers_the_less_noisy_clip(speech):
    original = torch.from_numpy(speech[0])
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    names = [name for name in AUDIO_METRICS if name not in ("wer", "cer")]
    better, worse = (evaluate_audio(original + level * noise, original, names) for level in (0.002, 0.05))
    for name in names:
        metric = AUDIO_METRICS[name]
        assert metric.low <= better[name] <= metric.high
        assert (better[name] > worse[name]) == metric.higher_is_better, name
    assert evaluate_audio(original + 0.002 * noise, original, names) == better


def test_unknown_metrics_and_shapes_are_refused():
    with pytest.raises(AetherError, match="pesq is not an audio metric"):
        evaluate_audio(torch.zeros(10), torch.zeros(10), ["pesq"])
    with pytest.raises(AetherError, match="loudness is not a metric"):
        available("loudness")
    with pytest.raises(ValueError, match=r"\(1, 10\)"):
        evaluate_audio(torch.zeros(1, 10), torch.zeros(1, 10))


def test_a_clip_is_measured_once_and_the_oldest_is_forgotten():
    measured = []
    memory = ClipCache(lambda audio: measured.append(float(audio[0])) or len(measured), clips=2)
    clips = [torch.full((3,), float(value)).numpy() for value in range(3)]
    assert [memory(clips[i]) for i in (0, 1, 0, 2, 0, 1)] == [1, 2, 1, 3, 1, 4]
    assert measured == [0, 1, 2, 1]


def test_a_new_metric_is_one_function_under_the_decorator(monkeypatch):
    for group in (METRICS, AUDIO_METRICS):
        monkeypatch.setitem(group, "peak", None)  # restores both afterwards
        del group["peak"]

    @metric("peak", "Peak", "dB", needs=Needs.AUDIO, reference="", low=-math.inf, packages=("torch",))
    def peak(decoded: torch.Tensor) -> torch.Tensor:
        """Level of the largest sample."""
        return 20 * decoded.abs().amax(-1).log10()

    assert peak.__doc__ == "Level of the largest sample."
    assert evaluate_audio(torch.tensor([0.1, -1.0]), torch.zeros(2), ["peak"]) == {"peak": 0}
    assert METRICS["peak"].heading() == "Peak [dB] ↓"
    with pytest.raises(ValueError, match="there is a metric peak already"):
        metric("peak", "Peak", needs=Needs.AUDIO)(peak)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AetherError, match=r"Peak needs the package torch, .*: pip install '\.\[eval\]'"):
        peak(torch.zeros(1))


def test_every_module_of_the_package_is_imported():
    """A metric in a file of its own is found without a list."""
    names = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    code = f"import sys; from aether_lite.metrics import METRICS; sys.exit(not {set(names)} <= set(sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
