// Runs a WebAssembly program on node: node run_wasi.mjs PROGRAM.wasm FOLDER [ARGUMENT ...]; it sees FOLDER as "/".
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, folder, ...words] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...words], preopens: { "/": folder } });
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
