"""Pictures: drawn whole or not at all, of clips short and long, and without touching pyplot."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from aether_lite.errors import AetherError
from aether_lite.plots.transmission import BAND_HZ, rate_snr_picture, transmission_picture

ROWS = [
    {"rate": rate, "snr_db": snr, "feature_loss": 300 / rate * 10 ** (-snr / 20)}
    for rate in (1000, 300)
    for snr in (-3, 0, 10)
]


def transmission(frames: int) -> dict:
    """Arguments for a picture of that many frames: a spoken-like image, a tone, symbols in noise."""
    generator = np.random.default_rng(0)
    image = generator.normal(3, 1, (frames, 20))
    image[:, 18] = np.linspace(-1, 0, frames)
    image[:, 19] = np.where(np.arange(frames) % 50 < 30, 0.3, -0.3)
    audio = 0.1 * np.sin(np.arange(160 * frames))
    symbols = generator.normal(size=(1, frames, 3)) + 1j * generator.normal(size=(1, frames, 3))
    return {
        "original_image": image,
        "received_image": image + generator.normal(0, 0.1, image.shape),
        "original_audio": audio,
        "received_audio": audio,
        "symbols": symbols,
        "received_symbols": symbols + 0.1,
        "title": "300 uses/s, Es/N0 = 6 dB",
    }


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures saved by a test."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k)))
    return figures


def test_a_transmission_on_one_page(tmp_path, drawn):
    transmission_picture(tmp_path / "a.png", **transmission(300))
    pixels = imread(tmp_path / "a.png")
    assert pixels.shape[0] > 1000
    assert pixels.shape[1] > 1300
    assert pixels.std() > 0.1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    titles = {axes.get_title() for axes in drawn[0].axes} - {""}
    assert len(titles) == 6
    limits: dict = {}
    for axes in drawn[0].axes:
        for image in axes.images:
            limits.setdefault((image.get_cmap().name, axes.get_ylim()), []).append(image.get_clim())
    assert sorted(map(len, limits.values())) == [2, 2, 2, 2]  # left and right share each colour scale
    assert all(left == right for left, right in limits.values())


@pytest.mark.parametrize("payload", ["symbols", "bits"])
def test_time_axes_of_a_column_lie_below_each_other(tmp_path, drawn, payload):
    arguments = transmission(120)
    if payload == "bits":
        arguments = {name: value for name, value in arguments.items() if "symbols" not in name}
        arguments["bits"] = np.ones((15, 48))
    transmission_picture(tmp_path / "a.png", **arguments)
    panels = [axes for axes in drawn[0].axes if axes.get_xlim() == (0, 1.2)]
    assert len(panels) == 9 + (payload == "bits")
    places = {(round(axes.get_position().x0, 4), round(axes.get_position().x1, 4)) for axes in panels}
    assert len(places) == 2  # original and received


def test_band_labels_are_the_band_centres():
    assert BAND_HZ[:3] == (0, 200, 400)
    assert BAND_HZ[-1] == 8000
    assert len(BAND_HZ) == 18


def test_a_clip_of_one_frame_and_one_of_a_minute(tmp_path, drawn):
    transmission_picture(tmp_path / "a.png", **transmission(1))
    transmission_picture(tmp_path / "b.png", **transmission(6000))
    assert drawn[0].get_suptitle() == "300 uses/s, Es/N0 = 6 dB"
    assert drawn[1].get_suptitle().endswith("(first 12 s of 60 s)")
    assert drawn[1].axes[0].get_xlim() == (0, 12)


def test_f0_is_drawn_where_voiced(tmp_path, drawn):
    page = transmission(4)
    page["original_image"][:, 18] = [-1.5, -0.5, -0.5, 0.5]
    page["original_image"][:, 19] = [-0.3, 0.3, 0.1, 0.3]
    transmission_picture(tmp_path / "a.png", **page)
    line = next(axes for axes in drawn[0].axes if axes.get_ylabel() == "F0 [Hz]").lines[0]
    np.testing.assert_allclose(line.get_ydata(), [np.nan, 125, np.nan, 250])


def test_bits_in_the_place_of_symbols(tmp_path, drawn):
    page = {**transmission(16), "symbols": None, "received_symbols": None}
    soft = np.linspace(-1, 1, 48).reshape(2, 24)
    transmission_picture(tmp_path / "a.png", **page, bits=soft)
    axes = next(axes for axes in drawn[0].axes if axes.get_ylabel() == "bit of the token")
    np.testing.assert_array_equal(axes.images[0].get_array(), soft.T)
    assert axes.images[0].get_extent() == [0, 0.16, 0, 24]
    with pytest.raises(ValueError, match="neither symbols nor bits"):
        transmission_picture(tmp_path / "b.png", **page)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("received_image", np.zeros((18, 10)), r"\[F, 20\], not \(18, 10\)"),
        ("original_audio", np.zeros((1, 1600)), r"\[N\], not \(1, 1600\)"),
        ("received_symbols", np.zeros(7), "30 symbols were sent but 7 arrived"),
    ],
)
def test_names_the_shape_at_fault(tmp_path, name, value, message):
    with pytest.raises(ValueError, match=message):
        transmission_picture(tmp_path / "a.png", **{**transmission(10), name: value})
    assert not list(tmp_path.iterdir())


def test_a_line_for_each_rate_and_dashes_for_others(tmp_path, drawn):
    rate_snr_picture(tmp_path / "a.png", iter(ROWS))
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["300 uses/s", "1000 uses/s"]
    lines = axes.get_lines()
    assert lines[0].get_color().tolist() != lines[1].get_color().tolist()
    np.testing.assert_array_equal(lines[0].get_xdata(), [-3, 0, 10])
    assert axes.get_yscale() == "log"


def test_one_row_is_a_picture(tmp_path, drawn):
    rate_snr_picture(tmp_path / "a.svg", [{"rate": 600, "snr_db": 3, "feature_loss": 0.2}])
    assert drawn[0].axes[0].get_legend().get_texts()[0].get_text() == "600 uses/s"
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_what_cannot_be_drawn_or_written_is_one_line(tmp_path):
    with pytest.raises(AetherError, match="nothing to draw"):
        rate_snr_picture(tmp_path / "a.png", [])
    with pytest.raises(AetherError, match=r"unknown suffix '\.jpeg'; give \.png"):
        rate_snr_picture(tmp_path / "a.jpeg", ROWS)
    with pytest.raises(AetherError, match="does not exist"):
        rate_snr_picture(tmp_path / "none" / "a.png", ROWS)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_one_line(tmp_path):
    (tmp_path / "a.png").symlink_to("/dev/full")
    with pytest.raises(AetherError, match=r"a\.png: cannot be written, the disk is full"):
        rate_snr_picture(tmp_path / "a.png", ROWS)


def test_importing_the_module_imports_no_matplotlib():
    code = "import sys, aether_lite.plots.transmission; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_drawing_leaves_pyplot_alone(tmp_path):
    code = (
        "import sys; from aether_lite.plots.transmission import rate_snr_picture as draw;"
        "draw('a.png', [{'rate': 600, 'snr_db': 3, 'feature_loss': 0.2}]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)
