// Speech through the page's own modules: node run_chain.mjs PAGE MODULE WEIGHTS SPEECH.f32 OUT SETTINGS
// writes OUT.symbols, OUT.samples, OUT.rows and OUT.features (float32) and prints the kernels in use.
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [page, module, weights, speech, out, settings] = process.argv.slice(2);
const { Core } = await import(pathToFileURL(`${page}/core.js`));
const { Chain } = await import(pathToFileURL(`${page}/chain.js`));
const bytes = async (path) => new Uint8Array(await readFile(path)).buffer;
const core = await Core.load(await bytes(module), await bytes(weights));
const made = await new Chain(core).run(new Float32Array(await bytes(speech)), JSON.parse(settings));
for (const [name, values] of Object.entries(made)) await writeFile(`${out}.${name}`, values);
console.log(core.kernels);
