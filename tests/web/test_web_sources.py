"""The page's sources: nothing from elsewhere, names that fit each other, labels, and the weight of what is built."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

WEB = Path(__file__).parents[2] / "web"
VOICES = Path(__file__).parents[2] / "src" / "aether_lite" / "assets" / "samples"
TEXTS = sorted(path for path in WEB.iterdir() if path.suffix in (".html", ".css", ".js", ".svg"))
HTML = (WEB / "index.html").read_text(encoding="utf-8")
NAMESPACE = "http://www.w3.org/2000/svg"


class Elements(HTMLParser):
    """Attributes of every element, with its tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append({"tag": tag, **{name: value or "" for name, value in attrs}})


ELEMENTS = Elements(HTML).found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(NAMESPACE, "")
    assert re.findall(r"(?:https?|wss?|ftp)://|[\"'(]//\w", text) == []


def test_the_policy_allows_wasm_and_the_page_itself_alone() -> None:
    policy = next(e["content"] for e in ELEMENTS if e.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'self'"
    assert rules.pop("script-src") == "'self' 'wasm-unsafe-eval'"
    assert set(rules.values()) == {"'none'"}
    assert not [e for e in ELEMENTS if "style" in e or any(name.startswith("on") for name in e)]
    assert "<script>" not in HTML
    assert "SharedArrayBuffer" not in "".join(path.read_text(encoding="utf-8") for path in TEXTS)


def test_every_control_has_a_label() -> None:
    labelled = {e["for"] for e in ELEMENTS if e["tag"] == "label"}
    for element in ELEMENTS:
        if element["tag"] in ("select", "input", "meter"):
            assert element["id"] in labelled or element.get("aria-label"), element
        if element["tag"] == "canvas":
            assert element["role"] == "img"
            assert element["aria-label"]
    assert {"lang": "en", "tag": "html"} in ELEMENTS
    assert [e for e in ELEMENTS if e.get("role") == "status"]


def test_names_in_the_page_fit_the_program_and_the_files() -> None:
    app = (WEB / "app.js").read_text(encoding="utf-8")
    ids = {e["id"] for e in ELEMENTS if "id" in e}
    assert set(re.findall(r'\$\("([\w-]+)"\)', app)) <= ids
    values = [e["value"] for e in ELEMENTS if e["tag"] == "option"]
    channels = re.search(r"CHANNELS = \{(.*?)\n\};", (WEB / "channel.js").read_text(encoding="utf-8"), re.DOTALL)
    assert channels is not None
    names = re.findall(r"^  (\w+):", channels[1], re.MULTILINE)
    assert sorted(values) == sorted([*names, *(path.stem for path in VOICES.glob("*.flac"))])
    for path in TEXTS:
        named = re.findall(r"""(?:from |src=|href=|addModule\(|Worker\()["']([\w./-]+)["']""", path.read_text("utf-8"))
        assert [name for name in named if not (WEB / name).exists() and name != "voices/licences.txt"] == []


RESAMPLE = """
const { Resampler } = await import(process.argv[1]);
const made = [];
for (const [from, hz] of [[48000, 1000], [44100, 1000], [44100, 6000], [48000, 9500], [8000, 1000]]) {
  const resampler = new Resampler(from, 16000), out = [];
  for (let start = 0; start < from; start += 480) {
    const place = (i) => (start + i) / from;
    out.push(...resampler.push(Float32Array.from({ length: 480 }, (_, i) => Math.sin(2 * Math.PI * hz * place(i)))));
  }
  let [re, im, power] = [0, 0, 0];
  const part = out.slice(2000, 14000);
  part.forEach((value, i) => {
    re += value * Math.cos(2 * Math.PI * hz * i / 16000);
    im += value * Math.sin(2 * Math.PI * hz * i / 16000);
    power += value * value;
  });
  made.push([out.length, 2 * Math.hypot(re, im) / part.length, 2 * power / part.length]);
}
console.log(JSON.stringify(made));
"""


def test_a_microphone_of_any_rate_is_resampled(node: str) -> None:
    words = [node, "--no-warnings", "--input-type=module", "-e", RESAMPLE, (WEB / "resample.js").as_uri()]
    *tones, above, low = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    for count, amplitude, power in (*tones, low):
        assert count == pytest.approx(16_000, abs=500)
        assert amplitude == pytest.approx(1, abs=0.01)
        assert power == pytest.approx(1, abs=0.02)  # nothing but the tone
    assert above[2] < 1e-4  # what 16 kHz cannot carry does not fold back


WAV = """
import { readFileSync, writeFileSync } from "node:fs";
const { fromWav, wav } = await import(process.argv[1]);
const read = (path) => fromWav(new Uint8Array(readFileSync(path)).buffer, 16000);
const samples = read(process.argv[2]);
writeFileSync(process.argv[3], new Uint8Array(await wav(samples, 16000).arrayBuffer()));
console.log(JSON.stringify([[...samples], process.argv.slice(4).map(read)]));
"""


def test_wav_files_are_read_and_written_exactly(node: str, tmp_path: Path) -> None:
    steps = np.array([0, 1, -1, 16000, -16000, 32767, -32768], np.int16).repeat(40)
    given, made, *others = (tmp_path / name for name in ("in.wav", "out.wav", "24.wav", "48.wav", "2.wav", "cut.wav"))
    soundfile.write(given, steps, 16000)
    soundfile.write(others[0], steps / 32768, 16000, subtype="PCM_24")
    soundfile.write(others[1], steps, 48000)
    soundfile.write(others[2], np.stack((steps, steps), 1), 16000)
    others[3].write_bytes(given.read_bytes()[:44])
    words = [node, "--no-warnings", "--input-type=module", "-e", WAV, (WEB / "wav.js").as_uri(), given, made, *others]
    read, rest = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert np.array_equal(read, steps / 32768)
    assert np.array_equal(soundfile.read(made, dtype="int16")[0], steps)
    assert rest == [None, None, None, {}]  # for the browser to read; the last has no samples


@pytest.mark.slow
def test_the_built_page_holds_all_and_stays_light(builder: ModuleType, page: Path) -> None:
    for path in TEXTS:
        assert (page / path.name).read_bytes() == path.read_bytes()
    names = {path.name for path in page.rglob("*")} - {path.name for path in TEXTS}
    voices = {path.name for path in VOICES.glob("*.flac")}
    assert names == {"aether.wasm", "aether-plain.wasm", "small.aether", "voices", "licences.txt"} | voices
    assert builder.weight(page) <= builder.PAGE_LIMIT


def test_two_processes_may_compile_at_once(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = builder.core_build()
    monkeypatch.setattr(builder, "ROOT", tmp_path)
    monkeypatch.setattr(builder.importlib.util, "find_spec", lambda _: True)
    made: list[Path] = []

    def compiled(words: list[object]) -> None:
        Path(str(words[-1])).write_bytes(b"module")
        made.append(Path(str(words[-1])))
        for module in builder.MODULES:  # the other process is done meanwhile
            (made[0].parent / module).write_bytes(b"module")

    monkeypatch.setattr(core, "compile_c", lambda _, words: compiled(words))
    monkeypatch.setattr(builder, "core_build", lambda: core)
    folder = builder.wasm()
    assert {path.name for path in folder.iterdir()} == set(builder.MODULES)
    assert builder.wasm() == folder
    assert len(made) == len(builder.MODULES)


def test_a_folder_of_something_else_is_kept(builder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    with pytest.raises(FileExistsError, match="holds something else than a page"):
        builder.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
