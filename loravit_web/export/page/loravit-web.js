/**
 * Answers of exported tasks in the browser, with onnxruntime-web and without a server.
 *
 *     import { load } from "./loravit-web.js";
 *     const model = await load("./model/");
 *     const answers = await model.classify(file); // a Blob, image, video, canvas, ImageBitmap or ImageData
 *
 * The blocks that tasks share run once per image. Heads, scores, "unsure" and "unlike" are computed as in the
 * app, and images are resized as Pillow resizes them. Types are in loravit-web.d.ts.
 */

const FORMAT = "loravit-onnx";
const VERSION = 1;
const NEARLY_UNLIKE = 0.85; // fraction of the threshold of unlike above which an answer is unsure
const CLEAR_LEAD = 0.3; // lead over the second class, relative to the best score, that is clear enough

/** A problem that is told to people: its message says what is wrong and what to do. */
export class ExportError extends Error {}

/**
 * Open an exported folder.
 *
 * @param {string | URL} folder Address of the folder with export.json; relative to the page.
 * @param {import("./loravit-web").LoadOptions} [options]
 * @returns {Promise<Model>}
 */
export async function load(folder, options = {}) {
  const base = new URL(String(folder).replace(/\/?$/, "/"), globalThis.location?.href);
  const response = await fetch(new URL("export.json", base));
  if (!response.ok) throw new ExportError(`${base} has no export.json. Check the address of the folder.`);
  const document = await response.json();
  if (document.format !== FORMAT) throw new ExportError(`${base} is not an export of tasks as ONNX.`);
  if (document.version !== VERSION)
    throw new ExportError(`The export has version ${document.version}. Use the module that came with it.`);
  const [ort, providers] = await runtime(options);
  return new Model(base, document, ort, providers, options.onProgress ?? (() => {}));
}

/** An exported folder that answers. Calls wait for one another. */
export class Model {
  #base;
  #export;
  #ort;
  #onProgress;
  #weights = null;
  #sessions = new Map();
  #adapters = new Map();
  #queue = Promise.resolve();

  constructor(base, document, ort, providers, onProgress) {
    this.#base = base;
    this.#export = document;
    this.#ort = ort;
    this.#onProgress = onProgress;
    /** How graphs are computed: "webgpu" or "wasm". */
    this.provider = providers[0];
    this.providers = providers;
    this.tasks = document.tasks.map((task) => ({
      task: task.task,
      title: task.title,
      classes: [...task.class_names],
      labelsPerImage: task.labels,
      imageSize: task.image_size,
    }));
  }

  /** What export.json says, unchanged. */
  get document() {
    return this.#export;
  }

  /** Load what some tasks need, so that the first answer is quick. */
  preload(tasks) {
    return this.#inTurn(async () => {
      for (const task of this.#chosen(tasks)) {
        await this.#adapter(task);
        for (const index of task.graphs) await this.#session(index);
      }
    });
  }

  /** Return the addresses of all files of the folder that answers need, those of the first tasks first. */
  get files() {
    const { graphs, weights, tasks } = this.#export;
    const names = tasks.flatMap((task) => [
      `${task.folder}/${task.weights}`,
      weights,
      ...task.graphs.map((index) => graphs[index].file),
    ]);
    return [...new Set(["export.json", ...names])].map((name) => new URL(name, this.#base).href);
  }

  /** Return the answers of tasks for an image, best label first. */
  classify(image, { tasks, topK = 5 } = {}) {
    return this.#inTurn(async () => {
      const chosen = this.#chosen(tasks);
      const raw = await pixelsOf(image);
      const shared = new Map();
      const answers = [];
      for (const task of chosen) {
        const key = JSON.stringify([task.image_size, task.mean, task.std]);
        if (!shared.has(key)) shared.set(key, { pixels: normalized(raw, task), outputs: new Map() });
        const started = performance.now();
        const { logits, novelty } = await this.#run(task, shared.get(key));
        answers.push(answerOf(task, logits, novelty, topK, performance.now() - started));
      }
      return answers;
    });
  }

  /** Return the logits of a task for normalized pixels (3, S, S), as the engine computes them. */
  logits(task, pixels) {
    return this.#inTurn(async () => {
      const found = await this.#run(this.#chosen([task])[0], { pixels, outputs: new Map() });
      return found.logits;
    });
  }

  /** Free the memory of all graphs. */
  dispose() {
    return this.#inTurn(async () => {
      for (const session of this.#sessions.values()) await session.release();
      this.#sessions.clear();
      this.#weights = null;
    });
  }

  #inTurn(job) {
    const result = this.#queue.then(job);
    this.#queue = result.catch(() => {});
    return result;
  }

  #chosen(names) {
    if (names === undefined || names === null) return this.#export.tasks;
    return names.map((name) => {
      const found = this.#export.tasks.filter((one) => [one.task, one.task.split("@")[0]].includes(name));
      if (found.length === 0) throw new ExportError(`The export has no task ${name}.`);
      return found[found.length - 1];
    });
  }

  async #run(task, { pixels, outputs }) {
    const adapter = await this.#adapter(task);
    const size = task.image_size;
    let found = { tokens: new this.#ort.Tensor("float32", pixels, [1, 3, size, size]), pooled: [] };
    for (let count = 1; count <= task.graphs.length; count++) {
      const index = task.graphs[count - 1];
      const key = task.graphs.slice(0, count).join();
      if (this.#export.graphs[index].branch) found = await this.#step(index, found, adapter.inputs);
      else {
        if (!outputs.has(key)) outputs.set(key, await this.#step(index, found, {}));
        found = outputs.get(key);
      }
    }
    return {
      logits: head(task.head, adapter, found),
      novelty: task.novelty ? novelty(task.novelty, adapter.novelty, found.pooled) : null,
    };
  }

  async #step(index, before, inputs) {
    const session = await this.#session(index);
    const first = this.#export.graphs[index].image_size === null ? "tokens" : "pixels";
    const found = await session.run({ [first]: before.tokens, ...inputs });
    return {
      tokens: found.next,
      pooled: found.pooled ? [...before.pooled, ...rows(found.pooled)] : before.pooled,
      features: found.features ? rows(found.features)[0] : undefined,
    };
  }

  async #session(index) {
    if (!this.#sessions.has(index)) {
      const graph = this.#export.graphs[index];
      this.#weights ??= new Uint8Array(await this.#fetched(this.#export.weights));
      const bytes = new Uint8Array(await this.#fetched(graph.file));
      const session = await this.#ort.InferenceSession.create(bytes, {
        executionProviders: this.providers,
        externalData: [{ path: this.#export.weights, data: this.#weights }],
        logSeverityLevel: 3,
      });
      this.#sessions.set(index, session);
      if (this.#sessions.size === this.#export.graphs.length) this.#weights = null;
    }
    return this.#sessions.get(index);
  }

  async #adapter(task) {
    if (!this.#adapters.has(task.task)) {
      const name = `${task.folder}/${task.weights}`;
      const tensors = readTensors(await this.#fetched(name), name);
      const tensor = (key) => tensors[key] ?? fail(`${name} has no ${key}. Export the task again.`);
      const inputs = {};
      for (const [input, shape] of Object.entries(this.#export.graphs[task.graphs.at(-1)].inputs)) {
        const entry = task.inputs[input];
        const dims = entry ? tensor(entry.tensor).dims : shape.map((side) => side ?? 1);
        const data = entry
          ? tensor(entry.tensor).data.map((value) => value * entry.scale)
          : new Float32Array(dims[0] * dims[1]);
        inputs[input] = new this.#ort.Tensor("float32", data, dims);
      }
      this.#adapters.set(task.task, {
        inputs,
        weights: task.head.weights.map(tensor),
        bias: tensor(task.head.bias).data,
        novelty: task.novelty && {
          center: tensor(task.novelty.center).data,
          scale: tensor(task.novelty.scale).data,
          directions: tensor(task.novelty.directions),
        },
      });
    }
    return this.#adapters.get(task.task);
  }

  async #fetched(name) {
    const response = await fetch(new URL(name, this.#base));
    if (!response.ok) throw new ExportError(`${name} could not be loaded (${response.status}). Try again.`);
    const total = Number(response.headers.get("Content-Length")) || 0;
    const parts = [];
    let loaded = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      this.#onProgress({ file: name, loaded, total: Math.max(total, loaded) });
    }
    const bytes = new Uint8Array(loaded);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes.buffer;
  }
}

/** Return onnxruntime-web, and the execution providers to use in their order. */
async function runtime({ ort, provider = "auto", ortFolder, threads }) {
  const gpu = provider !== "wasm" && (await hasGpu(provider === "auto"));
  if (provider === "webgpu" && !gpu) throw new ExportError("This browser has no WebGPU. Use another provider.");
  const folder = new URL(String(ortFolder ?? new URL("./ort/", import.meta.url)).replace(/\/?$/, "/"), globalThis.location?.href);
  const name = gpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  const found = ort ?? (await import(new URL(name, folder).href));
  const module = found.InferenceSession ? found : found.default;
  if (!ort) module.env.wasm.wasmPaths = folder.href;
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
  module.env.wasm.numThreads = globalThis.crossOriginIsolated ? (threads ?? Math.min(cores, 8)) : 1;
  return [module, gpu ? ["webgpu", "wasm"] : ["wasm"]];
}

/**
 * Return whether the browser has WebGPU.
 *
 * Some browsers compute WebGPU on the CPU where there is no GPU, which takes 100 times as long as WebAssembly.
 *
 * @param {boolean} needsHardware
 */
export async function hasGpu(needsHardware) {
  try {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter();
    const isSoftware = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
    return Boolean(adapter) && !(needsHardware && isSoftware);
  } catch {
    return false;
  }
}

function fail(message) {
  throw new ExportError(message);
}

// --- heads -------------------------------------------------------------------------------------------------

/** Return the parts (L, P, D) of a tensor (1, L, P, D), or (P, D) of (1, P, D), as nested arrays. */
function rows(tensor) {
  const dims = tensor.dims.slice(1);
  const width = dims.at(-1);
  const vectors = Array.from({ length: tensor.data.length / width }, (_, i) =>
    tensor.data.slice(i * width, (i + 1) * width),
  );
  if (dims.length === 2) return [vectors];
  return Array.from({ length: dims[0] }, (_, i) => vectors.slice(i * dims[1], (i + 1) * dims[1]));
}

function joined(vectors) {
  const all = new Float32Array(vectors.reduce((sum, vector) => sum + vector.length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}

function head(entry, adapter, found) {
  const features = entry.features.map((part) => found.features[part]);
  const taps = entry.taps.map(([block, part]) => found.pooled[block - 1][part]);
  const read = joined([...features, ...taps]);
  const logits = Float64Array.from(adapter.bias);
  let start = 0;
  for (const { data, dims } of adapter.weights) {
    for (let row = 0; row < dims[0]; row++) {
      let sum = 0;
      for (let column = 0; column < dims[1]; column++) sum += data[row * dims[1] + column] * read[start + column];
      logits[row] += sum;
    }
    start += dims[1];
  }
  return Float32Array.from(logits);
}

function novelty(entry, { center, scale, directions }, pooled) {
  const read = joined(entry.taps.map(([block, part]) => pooled[block - 1][part]));
  const z = read.map((value, i) => (value - center[i]) / scale[i]);
  const [count, width] = directions.dims;
  let residual = z.reduce((sum, value) => sum + value * value, 0);
  for (let row = 0; row < count; row++) {
    let inside = 0;
    for (let column = 0; column < width; column++) inside += directions.data[row * width + column] * z[column];
    residual -= inside * inside;
  }
  return Math.max(residual, 0) / width / entry.threshold;
}

function answerOf(task, logits, howUnlike, topK, milliseconds) {
  if (!logits.every(Number.isFinite)) fail(`The logits of ${task.task} are not finite. Use another version.`);
  const several = task.labels === "many";
  const scores = several ? sigmoid(logits, task.temperature) : softmax(logits, task.temperature);
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  const labels = order.map((i) => ({ label: task.class_names[i], score: scores[i] }));
  const answer = several ? labels.filter((_, rank) => scores[order[rank]] >= task.thresholds[order[rank]]) : labels.slice(0, 1);
  const [best, second = 0] = labels.map(({ score }) => score);
  const confidence = several ? null : Math.min(best, (best - second) / CLEAR_LEAD);
  return {
    task: task.task,
    title: task.title,
    answer,
    labels: labels.slice(0, Math.max(1, topK)),
    labelsPerImage: task.labels,
    unsure:
      confidence !== null &&
      (confidence < task.unsure_below || (howUnlike !== null && howUnlike > NEARLY_UNLIKE * task.unlike_above)),
    unlike: howUnlike === null ? null : howUnlike > task.unlike_above,
    confidence,
    novelty: howUnlike,
    milliseconds,
  };
}

function softmax(logits, temperature) {
  const top = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp((logit - top) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function sigmoid(logits, temperature) {
  return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit / temperature)));
}

// --- safetensors -------------------------------------------------------------------------------------------

/** Return the tensors of a safetensors file in float32, as { data, dims } by name. */
export function readTensors(buffer, name = "The file") {
  const tensors = {};
  try {
    const end = 8 + Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, end - 8)));
    for (const [key, entry] of Object.entries(header)) {
      if (key === "__metadata__") continue;
      const [start, stop] = entry.data_offsets;
      tensors[key] = { data: floats(buffer.slice(end + start, end + stop), entry.dtype), dims: entry.shape };
    }
  } catch (error) {
    if (error instanceof ExportError) throw error;
    throw new ExportError(`${name} is damaged. Export the task again.`);
  }
  return tensors;
}

function floats(bytes, dtype) {
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype === "BF16") return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (half) => half << 16).buffer);
  if (dtype === "F16") return Float32Array.from(new Uint16Array(bytes), fromHalf);
  throw new ExportError(`The kind of number ${dtype} cannot be read. Export the task again.`);
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

// --- images ------------------------------------------------------------------------------------------------

/** Return the upright pixels of an image on white, as ImageData. */
export async function pixelsOf(image) {
  if (image instanceof ImageData) return image;
  const bitmap =
    image instanceof Blob
      ? await createImageBitmap(image, { colorSpaceConversion: "none", imageOrientation: "from-image" }).catch(() =>
          fail("This file cannot be read as an image. Choose a JPEG, PNG or WEBP."),
        )
      : image;
  const width = bitmap.videoWidth || bitmap.naturalWidth || bitmap.width;
  const height = bitmap.videoHeight || bitmap.naturalHeight || bitmap.height;
  if (!width || !height) fail("The image has no pixels yet. Wait until it is loaded.");
  const shrink = Math.min(1, Math.sqrt(16e6 / (width * height))); // phones refuse larger canvases
  const [columns, lines] = [Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink))];
  const canvas = globalThis.OffscreenCanvas
    ? new OffscreenCanvas(columns, lines)
    : Object.assign(document.createElement("canvas"), { width: columns, height: lines });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, columns, lines);
  context.drawImage(bitmap, 0, 0, columns, lines);
  if (image instanceof Blob) bitmap.close();
  return context.getImageData(0, 0, columns, lines);
}

/** Return normalized pixels (3, S, S) of ImageData for a task of export.json. */
export function normalized(image, task) {
  const side = task.image_size;
  const small = resized(image, side, side);
  const pixels = new Float32Array(3 * side * side);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, std] = [task.mean[channel] * 255, task.std[channel] * 255];
    for (let i = 0; i < side * side; i++) pixels[channel * side * side + i] = (small[3 * i + channel] - mean) / std;
  }
  return pixels;
}

/** Return RGB bytes (height, width, 3) of RGBA ImageData, resized by Pillow's bicubic filter, bit for bit. */
export function resized(image, width, height) {
  let { width: columns, height: lines } = image;
  let bytes = new Uint8ClampedArray(3 * columns * lines);
  for (let i = 0; i < columns * lines; i++) {
    bytes[3 * i] = image.data[4 * i];
    bytes[3 * i + 1] = image.data[4 * i + 1];
    bytes[3 * i + 2] = image.data[4 * i + 2];
  }
  if (width !== columns) {
    const filters = bicubic(columns, width);
    const result = new Uint8ClampedArray(3 * width * lines);
    for (let y = 0; y < lines; y++)
      filters.forEach(({ first, weights }, x) =>
        filtered(bytes, 3 * (y * columns + first), 3, weights, result, 3 * (y * width + x)),
      );
    [bytes, columns] = [result, width];
  }
  if (height !== lines) {
    const filters = bicubic(lines, height);
    const result = new Uint8ClampedArray(3 * columns * height);
    filters.forEach(({ first, weights }, y) => {
      for (let x = 0; x < columns; x++)
        filtered(bytes, 3 * (first * columns + x), 3 * columns, weights, result, 3 * (y * columns + x));
    });
    bytes = result;
  }
  return bytes;
}

const UNIT = 2 ** 22; // Pillow's fixed point

function filtered(source, from, step, weights, target, to) {
  let [red, green, blue] = [UNIT / 2, UNIT / 2, UNIT / 2];
  for (let i = 0, at = from; i < weights.length; i++, at += step) {
    red += source[at] * weights[i];
    green += source[at + 1] * weights[i];
    blue += source[at + 2] * weights[i];
  }
  target[to] = Math.floor(red / UNIT);
  target[to + 1] = Math.floor(green / UNIT);
  target[to + 2] = Math.floor(blue / UNIT);
}

function bicubic(before, after) {
  const scale = before / after;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  return Array.from({ length: after }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(before, Math.trunc(center + support + 0.5)) - first;
    const weights = Float64Array.from({ length: count }, (_, j) => cubic((j + first - center + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => roundHalfAway(weight * (1 / sum) * UNIT)) };
  });
}

function roundHalfAway(value) {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
}

function cubic(x) {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}
