// The page: it holds the settings, asks for sounds and draws; worker.js computes.

import { CHANNELS } from "./channel.js";
import { Constellation, SpeechImage } from "./pictures.js";
import { fromWav, wav } from "./wav.js";

const RATE = 16000; // Hz
const LONGEST = 60; // s of a file
const SEED = 1;
const MICROPHONE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const $ = (id) => document.getElementById(id);
const say = (text, state = document.body.dataset.state) => {
  $("status").textContent = text;
  document.body.dataset.state = state;
};
const fail = (text) => say(text, "error");

const sent = new SpeechImage($("sent"));
const received = new SpeechImage($("received"));
const constellation = new Constellation($("symbols"));
const clips = new Map(); // samples of files and recordings by the value of their option
let rates = [150, 300, 500, 600, 700, 1000, 1200]; // uses/s
let worker, sound, player, microphone, ready = false, playing = false, name = "speech";

// ---- Settings, which the address carries.

function settings() {
  return { rate: rates[$("rate").value], snr: Number($("snr").value), channel: $("channel").value, seed: SEED };
}

function show() {
  const { rate, snr, channel } = settings();
  const words = { snr: `${snr} dB`, rate: `${rate} symbols/s` };
  for (const [id, text] of Object.entries(words)) {
    $(`${id}-value`).textContent = text;
    $(id).setAttribute("aria-valuetext", text);
  }
  $("snr").disabled = channel === "clean";
}

function changed() {
  show();
  worker?.postMessage({ type: "settings", settings: settings() });
  const { rate, snr, channel } = settings();
  const voice = clips.has($("voice").value) ? {} : { voice: $("voice").value };
  history.replaceState(null, "", `#${new URLSearchParams({ ...voice, rate, snr, channel })}`);
}

/** Take what the address says, where it makes sense; the rest stays as it is. */
function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const snr = Number.parseInt(given.get("snr") ?? "6", 10);
  $("snr").value = Number.isFinite(snr) ? snr : 6;
  const rate = rates.indexOf(Number(given.get("rate")));
  $("rate").value = rate < 0 ? rates.indexOf(1000) : rate;
  const channel = given.get("channel") ?? "awgn";
  $("channel").value = Object.hasOwn(CHANNELS, channel) ? channel : "awgn";
  const voice = given.get("voice");
  if ([...$("voice").options].some(({ value }) => value === voice)) $("voice").value = voice;
  show();
}

// ---- Sources.

/** Samples [n] at 16 kHz, mono, of an audio file's bytes. */
async function decoded(bytes) {
  const exact = fromWav(bytes, RATE);
  if (exact) return { samples: exact.slice(0, LONGEST * RATE), cut: exact.length > LONGEST * RATE };
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const samples = audio.getChannelData(0).slice(0, LONGEST * RATE);
  const channels = audio.numberOfChannels;
  for (let c = 1; c < channels; c++) {
    const other = audio.getChannelData(c);
    for (let i = 0; i < samples.length; i++) samples[i] += other[i];
  }
  if (channels > 1) samples.forEach((value, i) => (samples[i] = value / channels));
  return { samples, cut: audio.length > samples.length };
}

function use(samples) {
  worker.postMessage({ type: "clip", samples });
  $("download").disabled = !ready;
  document.body.dataset.clip = samples.length;
}

async function chooseVoice() {
  const voice = $("voice").value;
  name = voice;
  changed();
  if (!clips.has(voice)) {
    const response = await fetch(`voices/${voice}.flac`).catch(() => ({ ok: false }));
    if (!response.ok) return fail(`The voice cannot be loaded: voices/${voice}.flac`);
    const { samples } = await decoded(await response.arrayBuffer());
    if ($("voice").value === voice) use(samples);
  } else use(clips.get(voice));
}

/** Make samples the newest entry of the list of voices. */
function offer(value, text, samples) {
  let option = [...$("voice").options].find((entry) => entry.value === value);
  if (!option) $("voice").add((option = new Option(text, value)));
  option.text = text;
  clips.set(value, samples);
  $("voice").value = value;
  return chooseVoice();
}

async function takeFile(file) {
  if (!file) return;
  if (microphone) await stop();
  try {
    const { samples, cut } = await decoded(await file.arrayBuffer());
    if (!samples.length) throw new Error("empty");
    await offer("file", file.name, samples);
    name = file.name.replace(/\.[^.]*$/, "");
    say(cut ? `${file.name}: the first ${LONGEST} s are used.` : `${file.name}, ${(samples.length / RATE).toFixed(1)} s`,
        playing ? "playing" : "ready");
  } catch {
    fail(`${file.name}: no audio that this browser can read; give a WAV, FLAC, MP3 or Ogg file.`);
  }
}

// ---- Sound.

/** A running player; called from a press of a button, as browsers ask for. */
async function openPlayer() {
  sound ??= new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  const resumed = sound.resume();
  if (!sound.loaded) sound.loaded = sound.audioWorklet.addModule("player.worklet.js");
  await Promise.all([resumed, sound.loaded]);
  player = new AudioWorkletNode(sound, "player", { numberOfInputs: 0, outputChannelCount: [1] });
  const { port1, port2 } = new MessageChannel();
  player.port.postMessage({ worker: port1, original: $("original").getAttribute("aria-pressed") === "true" }, [port1]);
  player.connect(sound.destination);
  return port2;
}

function begin(state, text) {
  playing = true;
  for (const picture of [sent, received, constellation]) picture.clear();
  $("play").textContent = "Stop";
  say(text, state);
}

async function play() {
  const port = await openPlayer();
  worker.postMessage({ type: "play", player: port }, [port]);
  begin("playing", "Playing. Move a slider: the change is heard at once.");
}

async function speak() {
  if (!navigator.mediaDevices) return fail("The microphone needs a secure page: open this one by https or on localhost.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The browser does not allow the microphone; permit it for this page.",
      NotFoundError: "There is no microphone.",
      NotReadableError: "The microphone is in use by another program.",
    };
    return fail(reasons[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
  if (playing) await stop();
  // A context of its own at the device's rate: Firefox connects no microphone to one of another rate.
  const context = new AudioContext();
  microphone = { stream, context };
  const [output] = await Promise.all([openPlayer(), context.resume(), context.audioWorklet.addModule("capture.worklet.js")]);
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1,
                                                             channelCountMode: "explicit" });
  const { port1, port2 } = new MessageChannel();
  capture.port.postMessage({ worker: port1 }, [port1]);
  context.createMediaStreamSource(stream).connect(capture);
  const given = { type: "play", player: output, microphone: port2, rate: context.sampleRate };
  worker.postMessage(given, [output, port2]);
  $("speak").setAttribute("aria-pressed", "true");
  begin("listening", "Speak: you hear yourself over the channel. Stop keeps the last minute as a voice.");
}

async function stop() {
  playing = false;
  worker.postMessage({ type: "stop" });
  player?.disconnect();
  player?.port.postMessage({ ended: true });
  player = undefined;
  microphone?.stream.getTracks().forEach((track) => track.stop());
  await microphone?.context.close();
  microphone = undefined;
  $("speak").setAttribute("aria-pressed", "false");
  $("play").textContent = "Play";
  say("Stopped.", "ready");
}

// ---- Buttons.

function save({ samples, symbols, crc }) {
  const link = document.createElement("a");
  const { rate, snr, channel } = settings();
  link.href = URL.createObjectURL(wav(samples, RATE));
  link.download = `${name}_${rate}_${channel}${channel === "clean" ? "" : `_${snr}dB`}.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  document.body.dataset.crc = crc.toString(16).padStart(8, "0");
  $("download").disabled = false;
  say(`${link.download}: ${(samples.length / RATE).toFixed(1)} s sent as ${symbols} symbols.`);
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is in the clipboard. It carries the voice and the settings.");
  } catch {
    say("Copy the address of this page: it carries the voice and the settings.");
  }
}

const answers = {
  ready(data) {
    [rates, ready] = [data.rates, true];
    $("rate").max = rates.length - 1;
    fromAddress();
    changed();
    for (const id of ["play", "speak"]) $(id).disabled = false;
    $("download").disabled = !document.body.dataset.clip;
    say(data.simd ? "Ready." : "Ready. This browser has no WebAssembly SIMD; sound may have gaps.", "ready");
  },
  token({ features, rows, received: symbols, erased, frames, load, gaps, delay }) {
    if (!playing) return;
    sent.add(features, frames.sent);
    received.add(rows, frames.received);
    if (symbols || erased) constellation.add(symbols);
    $("load").value = load;
    $("load-value").textContent = `${Math.round(100 * load)} % of a core`;
    $("delay").textContent = `${Math.round(1000 * (delay + (sound.outputLatency || 0)))} ms`;
    $("gaps").textContent = gaps;
  },
  recorded({ samples }) {
    if (samples.length) offer("recording", "Your recording", samples);
  },
  rendered: save,
  failed({ text }) {
    fail(text);
  },
};

function start() {
  fromAddress();
  if (typeof WebAssembly !== "object") return fail("This browser has no WebAssembly; use a current one.");
  if (typeof AudioWorkletNode !== "function")
    return fail("Sound needs a current browser and a secure page: open this one by https or on localhost.");
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => answers[data.type](data);
  worker.onerror = () => fail("The program cannot be loaded; reload the page, or use a current browser.");
  worker.postMessage({ type: "load" });
  for (const id of ["snr", "rate", "channel"]) $(id).addEventListener("input", changed);
  const pressed = { play: () => (playing ? stop() : play()), speak: () => (microphone ? stop() : speak()), share: copyLink,
    choose: () => $("file").click() };
  for (const [id, action] of Object.entries(pressed))
    $(id).addEventListener("click", async () => {
      try {
        await action();
      } catch (error) {
        fail(`Sound cannot be played: ${error.message}`);
      }
    });
  $("voice").addEventListener("change", async () => {
    if (microphone) await stop();
    await chooseVoice();
  });
  $("file").addEventListener("change", () => takeFile($("file").files[0]).then(() => ($("file").value = "")));
  $("original").addEventListener("click", ({ currentTarget: button }) => {
    const original = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", original);
    player?.port.postMessage({ original });
  });
  $("download").addEventListener("click", () => {
    $("download").disabled = true;
    say("Computing…");
    worker.postMessage({ type: "render" });
  });
  addEventListener("hashchange", () => {
    fromAddress();
    chooseVoice();
  });
  for (const kind of ["dragover", "dragleave", "drop"])
    addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop") takeFile(event.dataTransfer.files[0]);
    });
  chooseVoice();
}

start();
