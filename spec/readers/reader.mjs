// Read a bundle with h5wasm and Node's own crypto: node reader.mjs BUNDLE.h5
// For bundles from people you trust: of the form of the file (section 3) it checks nothing.
import { createHash } from "node:crypto";
import h5wasm from "h5wasm/node";

// what h5wasm calls a type, the format's code for it, and the array that holds its values
const TYPES = {
  "<f": ["f4", Float32Array],
  "<d": ["f8", Float64Array],
  "<B": ["u1", Uint8Array],
  "<i": ["i4", Int32Array],
  "<q": ["i8", BigInt64Array],
};

function refuse(reason) {
  console.error(`refused: ${reason}`);
  process.exit(1);
}

function sha256(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part); // a string counts as its UTF-8 bytes
  return hash.digest("hex");
}

await h5wasm.ready;
const file = new h5wasm.File(process.argv[2], "r");
const [format, version] = ["format", "format_version"].map((key) => file.attrs[key].value.replace(/[\0 ]+$/, ""));
if (format !== "rosetta-bundle") refuse("not a bundle");
if (version.split(".")[0] !== "1") refuse(`its format is ${version}, and this program knows 1`);
const text = file.get("manifest").value.replace(/\0+$/, "");
const manifest = JSON.parse(text);
if (manifest.format_version !== version) refuse("attribute and manifest name different versions");
if (manifest.requires?.length) refuse(`it requires ${manifest.requires}`);

// The manifest is canonical, so its content stands first, up to the brace that leads back to depth 1.
// JSON.stringify(manifest.content) is not the same: JavaScript puts keys that look like numbers first.
let depth = 0, end = 0;
for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
  depth += token[0] === "{" ? 1 : token[0] === "}" ? -1 : 0;
  end = token.index + 1;
  if (token[0] === "}" && depth === 1) break;
}
const content = text.slice('{"content":'.length, end);
if (sha256("rosetta-content-v1\n", content) !== manifest.content_id) refuse("the content has another digest");

const arrays = {};
for (const [name, entry] of Object.entries(manifest.content.arrays)) {
  const { dtype, shape, value } = file.get(name), [code, Values] = TYPES[dtype] ?? [dtype];
  arrays[name] = shape.length ? value : Values.of(value); // one flat array in C order
  const header = JSON.stringify({ dtype: code, shape });
  if (header !== JSON.stringify({ dtype: entry.dtype, shape: entry.shape })) refuse(`${name} is ${header}`);
  const found = sha256("rosetta-array-v1\n", header, "\n", Buffer.from(arrays[name].buffer));
  if (found !== entry.sha256) refuse(`${name} has another digest than the manifest says`);
}
// What the encoder sees: where inputs are stored in 8 bits, the numbers that the levels stand for.
const span = manifest.content.input.stored_range;
const inputs = span
  ? Float32Array.from(arrays["/pairs/inputs"], (level) => span[0] + (level * (span[1] - span[0])) / 255)
  : arrays["/pairs/inputs"];
const { content_id, content: { space: { n_dims } }, provenance: { title } } = manifest;
const [n_anchors, n_checks] = [0, 1].map((role) => arrays["/pairs/roles"].filter((each) => each === role).length);
const first_latent = Array.from(arrays["/pairs/latents"].slice(0, n_dims));
const last_number = Number(inputs.at(-1));
console.log(JSON.stringify({ content_id, n_anchors, n_checks, n_dims, first_latent, last_number, title }));
