"""Feature and sample files."""

from __future__ import annotations

import numpy as np
import pytest

from aether_lite.errors import AetherError
from aether_lite.features import (
    PcmKind,
    detect_pcm_kind,
    extract_features,
    f32_columns,
    read_f32,
    read_pcm,
    write_f32,
    write_pcm,
)


@pytest.mark.parametrize("columns", [36, 20])
@pytest.mark.parametrize("frames", [1, 7, 5, 45, 180])  # 5 * 36 = 9 * 20: the size of 5 k rows fits both
def test_written_rows_read_back(tmp_path, vector, columns, frames):
    path = tmp_path / "clip.f32"
    rows = extract_features(vector.pcm)[100 : 100 + frames]
    write_f32(path, rows[:, :columns], columns)
    assert path.stat().st_size == 4 * columns * frames
    assert f32_columns(path) == columns
    back = read_f32(path)
    assert back.shape == (frames, 36)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rows, atol=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.f32"]


def test_20_columns_of_a_size_that_fits_both(tmp_path, vector):
    rows = vector.exact[90:180]  # 90 rows of 20 = 50 rows of 36
    path = tmp_path / "clip.f32"
    rows.astype("<f4").tofile(path)
    assert f32_columns(path) == 20
    np.testing.assert_array_equal(read_f32(path)[:, :20], rows)


def test_36_columns_by_the_c_extractor_are_taken_as_they_are(tmp_path, vector):
    rows = vector.rows[:500]
    path = tmp_path / "clip.f32"
    rows.tofile(path)
    np.testing.assert_array_equal(read_f32(path), rows)


def test_missing_lpc_are_computed_on_writing(tmp_path, vector):
    path = tmp_path / "clip.f32"
    rows = extract_features(vector.pcm)[:50]
    write_f32(path, rows[:, :20])
    np.testing.assert_allclose(np.fromfile(path, "<f4").reshape(-1, 36), rows, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (bytes(4 * 37), "148 bytes"),
        (bytes(4 * 36 + 1), "145 bytes"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, content, says):
    path = tmp_path / "odd.f32"
    path.write_bytes(content)
    with pytest.raises(AetherError, match=f"odd.f32: .*{says}|odd.f32: {says}"):
        read_f32(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_file_and_frame(tmp_path, vector, value):
    rows = vector.rows[:7].copy()
    rows[3, 5] = value
    path = tmp_path / "bad.f32"
    rows.tofile(path)
    with pytest.raises(AetherError, match=r"bad\.f32: frame 3, column 5"):
        read_f32(path)
    with pytest.raises(AetherError, match="frame 3"):
        write_f32(tmp_path / "new.f32", rows)
    assert not (tmp_path / "new.f32").exists()


def test_pitch_out_of_range_names_file_and_frame(tmp_path, vector):
    rows = vector.rows[:7].copy()
    path = tmp_path / "bad.f32"
    rows[2, 18] = 1.5009
    rows.tofile(path)
    read_f32(path)
    rows[4, 18] = 1.6
    rows.tofile(path)
    with pytest.raises(AetherError, match=r"bad\.f32: frame 4 has pitch 1\.6"):
        read_f32(path)


@pytest.mark.parametrize("value", [45.5, -1e30, 3e38])
def test_a_cepstrum_out_of_range_names_file_and_frame(tmp_path, vector, value):
    rows = vector.rows[:7].copy()
    path = tmp_path / "bad.f32"
    rows[2, 0] = -44.9
    rows.tofile(path)
    read_f32(path)
    rows[4, 17] = value
    rows.tofile(path)
    with pytest.raises(AetherError, match=r"bad\.f32: frame 4, column 17 is .*, outside \[-45, 45\]"):
        read_f32(path)


def test_a_missing_file_is_a_stated_error(tmp_path):
    with pytest.raises(AetherError, match=r"none\.f32: cannot be read \(No such file"):
        read_f32(tmp_path / "none.f32")
    with pytest.raises(AetherError, match=r"none\.pcm: cannot be read \(No such file"):
        read_pcm(tmp_path / "none.pcm")


def test_a_failed_write_leaves_nothing_behind(tmp_path, vector):
    (tmp_path / "clip.f32").mkdir()
    with pytest.raises(AetherError, match=r"clip\.f32: is a folder"):
        write_f32(tmp_path / "clip.f32", vector.rows[:3])
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.f32"]


@pytest.mark.parametrize("shape", [(0, 36), (3, 35), (36,)])
def test_other_shapes_are_not_written(tmp_path, shape):
    with pytest.raises(AetherError, match="features must be"):
        write_f32(tmp_path / "clip.f32", np.zeros(shape, np.float32))
    with pytest.raises(AetherError, match="36 or 20 columns"):
        write_f32(tmp_path / "clip.f32", np.zeros((3, 36), np.float32), columns=18)


def test_pcm_round_trip(tmp_path, vector):
    path = tmp_path / "clip.pcm"
    write_pcm(path, vector.pcm)
    np.testing.assert_array_equal(read_pcm(path), vector.pcm)
    path.write_bytes(b"abc")
    with pytest.raises(AetherError, match=r"clip\.pcm: 3 bytes"):
        read_pcm(path)
    with pytest.raises(AetherError, match="int16"):
        write_pcm(path, np.zeros(4))


def emphasised_and_delayed(pcm: np.ndarray) -> np.ndarray:
    """Samples as the public training tool writes them beside features."""
    x = pcm.astype(np.float64)
    emphasised = x - 0.85 * np.concatenate([[0.0], x[:-1]])
    delayed = np.concatenate([np.zeros(80), emphasised])[: len(pcm)]
    return np.clip(np.rint(delayed), -32_767, 32_767).astype(np.int16)


def test_the_kind_of_pcm_is_detected(vector):
    frames = len(vector.rows)
    for rows in (vector.rows, vector.exact, extract_features(vector.pcm)):
        assert detect_pcm_kind(rows, vector.pcm) is PcmKind.PLAIN
        assert detect_pcm_kind(rows, emphasised_and_delayed(vector.pcm)) is PcmKind.EMPHASISED
        assert detect_pcm_kind(rows, vector.pcm[: 160 * frames]) is PcmKind.PLAIN


def test_pcm_of_another_clip_is_refused(vector):
    with pytest.raises(AetherError, match="neither"):
        detect_pcm_kind(vector.rows, np.roll(vector.pcm, 1600))
    with pytest.raises(AetherError, match="neither"):
        detect_pcm_kind(vector.rows, np.roll(vector.pcm, 80))
    with pytest.raises(AetherError, match="too few"):
        detect_pcm_kind(vector.rows, vector.pcm[:300])


def test_silence_counts_as_plain():
    silence = np.zeros(8000, np.int16)
    assert detect_pcm_kind(extract_features(silence), silence) is PcmKind.PLAIN
