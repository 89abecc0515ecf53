/** Answers of exported tasks in the browser, with onnxruntime-web and without a server. */

/** A problem that is told to people: its message says what is wrong and what to do. */
export class ExportError extends Error {}

/** An image: a file, an element of the page, or pixels. A video gives its current frame. */
export type Source =
  | Blob
  | ImageBitmap
  | ImageData
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas;

export interface LoadOptions {
  /** How graphs are computed: WebGPU where there is a GPU, otherwise WebAssembly. Default: "auto". */
  provider?: "auto" | "webgpu" | "wasm";
  /** Folder of onnxruntime-web's files. Default: `ort/` beside this module. */
  ortFolder?: string | URL;
  /** The module of onnxruntime-web, if the page has loaded it already. */
  ort?: unknown;
  /** Number of threads of WebAssembly; more than one needs a cross-origin isolated page. */
  threads?: number;
  /** Called while a file is downloaded. */
  onProgress?: (progress: { file: string; loaded: number; total: number }) => void;
}

export interface Task {
  /** Exact version, such as `flowers@2`. */
  task: string;
  title: string;
  classes: string[];
  /** "one" if each image has exactly one label, "many" if it can have none, one or several. */
  labelsPerImage: "one" | "many";
  /** Side of the images that the task sees, in pixels. */
  imageSize: number;
}

export interface Label {
  label: string;
  /** Calibrated probability, 0 to 1. */
  score: number;
}

export interface Answer {
  task: string;
  title: string;
  /** What the image has, best first: one label, or with several labels per image also none. */
  answer: Label[];
  /** Most probable classes, best first. */
  labels: Label[];
  labelsPerImage: "one" | "many";
  /** Whether the scores do not clearly favor a class. */
  unsure: boolean;
  /** Whether the image is unlike the training images; null if the task cannot tell. */
  unlike: boolean | null;
  /** Confidence of the answer, 0 to 1; null with several labels per image. */
  confidence: number | null;
  /** How unlike the training images the image is; null if the task cannot tell. */
  novelty: number | null;
  /** Time of this task; that of shared blocks counts for the first task. */
  milliseconds: number;
}

export interface ClassifyOptions {
  /** `flowers@2`, or `flowers` for its newest exported version. Default: all tasks. */
  tasks?: string[];
  /** Maximum number of labels per task. Default: 5. */
  topK?: number;
}

/** An exported folder that answers. Calls wait for one another. */
export class Model {
  private constructor();
  readonly tasks: readonly Task[];
  /** How graphs are computed. */
  readonly provider: "webgpu" | "wasm";
  /** What export.json says, unchanged. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Addresses of all files of the folder that answers need, those of the first tasks first. */
  readonly files: string[];
  /** Load what some tasks need, so that the first answer is quick. */
  preload(tasks?: string[]): Promise<void>;
  /** Return the answer of each task for an image. */
  classify(image: Source, options?: ClassifyOptions): Promise<Answer[]>;
  /** Return the logits of a task for normalized pixels (3, S, S). */
  logits(task: string, pixels: Float32Array): Promise<Float32Array>;
  /** Free the memory of all graphs. */
  dispose(): Promise<void>;
}

/** Open an exported folder: the address of the folder with export.json, relative to the page. */
export function load(folder: string | URL, options?: LoadOptions): Promise<Model>;

/** Return the tensors of a safetensors file in float32 by name. */
export function readTensors(buffer: ArrayBuffer, name?: string): Record<string, { data: Float32Array; dims: number[] }>;

/** Return the upright pixels of an image on white. */
export function pixelsOf(image: Source): Promise<ImageData>;

/** Return normalized pixels (3, S, S) for a task of export.json. */
export function normalized(
  image: ImageData,
  task: { image_size: number; mean: number[]; std: number[] },
): Float32Array;

/** Return RGB bytes (height, width, 3), resized by Pillow's bicubic filter, bit for bit. */
export function resized(image: ImageData, width: number, height: number): Uint8ClampedArray;
