"""The built page in Chromium: voices, a file with the native core's symbols and speech, a microphone, stated errors."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser, command

from aether_lite.audio import read_audio, write_audio
from aether_lite.cli.web import server
from aether_lite.core.library import Decoder, Encoder, Model, default

STATE = "document.body.dataset.state"
LOADED = f"{STATE} === 'ready' && document.body.dataset.clip"
Opened = Callable[..., Browser]
pytestmark = pytest.mark.slow


@pytest.fixture
def opened(page: Path, tmp_path: Path) -> Iterator[Opened]:
    """Open the page, with an address, options of the browser and a program that runs before it."""
    if not command():
        pytest.skip("no Chromium: apt install chromium")
    browsers = []

    def open_page(address: str = "", *options: str, before: str = "") -> Browser:
        browsers.append(Browser(tmp_path / "profile", *options))
        browsers[-1].call("Page.addScriptToEvaluateOnNewDocument", source=before)
        browsers[-1].call("Page.navigate", url=f"http://127.0.0.1:{running.server_port}/{address}")
        browsers[-1].wait("document.readyState === 'complete' && location.href.startsWith('http')")
        return browsers[-1]

    with server(page, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield open_page
        for browser in browsers:
            browser.close()
        running.shutdown()


def press(browser: Browser, name: str) -> None:
    """Press a button."""
    browser.run(f"document.getElementById('{name}').click()")


def move(browser: Browser, name: str, value: object) -> None:
    """Set a slider or list as a user does."""
    browser.run(f"""{{ const e = document.getElementById('{name}'); e.value = '{value}';
        e.dispatchEvent(new Event('input', {{ bubbles: true }})); }}""")


def drop(browser: Browser, path: Path) -> None:
    """Choose a file."""
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


def saved(browser: Browser, folder: Path) -> tuple[Path, int]:
    """The file that "Save as WAV" gives, and the CRC-32 of the symbols that were sent for it."""
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    press(browser, "download")
    crc = browser.wait("document.body.dataset.crc")
    end = time.monotonic() + 60
    while not (found := list(folder.glob("*.wav"))) and time.monotonic() < end:
        time.sleep(0.1)
    return found[0], int(crc, 16)


def test_a_voice_is_played_and_settings_change_on_the_way(opened: Opened) -> None:
    browser = opened("#voice=it_m_intro&rate=600&snr=3&channel=fading1")
    browser.wait(LOADED)
    assert browser.run("document.getElementById('voice').value") == "it_m_intro"
    assert browser.run("document.getElementById('rate-value').textContent") == "600 symbols/s"
    empty = browser.run("document.getElementById('received').toDataURL()")
    press(browser, "play")
    browser.wait(f"{STATE} === 'playing'")
    browser.wait("document.getElementById('load').value > 0")
    browser.wait(f"document.getElementById('received').toDataURL() !== {empty!r}")
    for channel in ("erasures30", "clean", "fading10", "awgn"):
        move(browser, "channel", channel)
        move(browser, "rate", 0)
        time.sleep(0.3)
    assert browser.run("location.hash") == "#voice=it_m_intro&rate=150&snr=3&channel=awgn"
    press(browser, "original")
    assert browser.run("document.getElementById('original').getAttribute('aria-pressed')") == "true"
    press(browser, "play")
    browser.wait(f"{STATE} === 'ready'")
    assert browser.faults == []


def test_a_file_gives_the_symbols_and_the_speech_of_the_native_core(
    opened: Opened, page: Path, tmp_path: Path, speech: np.ndarray
) -> None:
    write_audio(str(tmp_path / "clip.wav"), speech[0])
    clip = read_audio(str(tmp_path / "clip.wav"))
    browser = opened("#rate=600&channel=clean")
    browser.wait(LOADED)
    drop(browser, tmp_path / "clip.wav")
    browser.wait(f"document.body.dataset.clip == {len(clip)}")
    (tmp_path / "saved").mkdir()
    path, crc = saved(browser, tmp_path / "saved")
    model = Model(default(), page / "small.aether")
    encoder, decoder = Encoder(model), Decoder(model)
    encoder.rate = decoder.rate = 600
    tokens = [*encoder.push(clip), *encoder.flush()]
    expected = np.concatenate([*(decoder.push(token)[0] for token in tokens), decoder.flush()[0]])[: len(clip)]
    assert path.name == "clip_600_clean.wav"
    assert crc == zlib.crc32(np.concatenate(tokens).astype("<f4").tobytes())
    assert np.allclose(read_audio(str(path)), expected, atol=1 / 32767)
    assert browser.faults == []


def test_what_is_spoken_becomes_a_voice(opened: Opened, tmp_path: Path, speech: np.ndarray) -> None:
    write_audio(str(tmp_path / "voice.wav"), speech[1])
    browser = opened("#channel=clean", f"--use-file-for-fake-audio-capture={tmp_path / 'voice.wav'}")
    browser.wait(LOADED)
    press(browser, "speak")
    browser.wait(f"{STATE} === 'listening'")
    browser.wait("document.getElementById('load').value > 0")
    time.sleep(4)
    press(browser, "speak")
    browser.wait("document.getElementById('voice').value === 'recording'")
    browser.wait("document.getElementById('speak').getAttribute('aria-pressed') === 'false'")
    count = int(browser.run("document.body.dataset.clip"))
    (tmp_path / "saved").mkdir()
    path, _ = saved(browser, tmp_path / "saved")
    samples = read_audio(str(path))
    assert len(samples) == count > 16_000
    assert np.abs(samples).max() > 0.05
    assert browser.faults == []


def test_errors_are_words_and_the_rest_goes_on(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"this is no audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.int16), 16_000)
    browser = opened(before="Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    browser.wait(LOADED)
    press(browser, "speak")
    browser.wait(f"{STATE} === 'error'")
    assert "secure page" in browser.run("document.getElementById('status').textContent")
    for name in ("no.wav", "empty.wav"):
        drop(browser, tmp_path / name)
        browser.wait(f"document.getElementById('status').textContent.startsWith('{name}: no audio')")
    press(browser, "play")
    browser.wait(f"{STATE} === 'playing'")
    browser.wait("document.getElementById('load').value > 0")
    assert browser.faults == []


def test_a_browser_without_webassembly_is_told(opened: Opened) -> None:
    browser = opened(before="delete globalThis.WebAssembly")
    browser.wait(f"{STATE} === 'error'")
    assert "has no WebAssembly" in browser.run("document.getElementById('status').textContent")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_screen(opened: Opened, width: int) -> None:
    browser = opened()
    browser.wait(LOADED)
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    assert browser.run("document.documentElement.scrollWidth") <= width
    right = "Math.max(...[...document.querySelectorAll('body *')].map((e) => e.getBoundingClientRect().right))"
    assert browser.run(right) <= width
