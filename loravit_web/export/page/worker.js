// Computes answers beside the page, so that the page stays quick.
import { load } from "./loravit-web.js";

let model;

const jobs = {
  async load({ folder, options }) {
    model = await load(folder, { ...options, onProgress: (progress) => postMessage({ progress }) });
    const { made_by: madeBy, base, tasks } = model.document;
    return {
      tasks: model.tasks,
      provider: model.provider,
      madeBy,
      base,
      cards: tasks.map((task) => new URL(`${task.folder}/README.md`, folder).href),
      files: model.files,
    };
  },
  loaded: () => performance.getEntriesByType("resource").map(({ name }) => name),
  preload: ({ tasks }) => model.preload(tasks),
  async classify({ image, tasks, topK }) {
    const started = performance.now();
    const answers = await model.classify(image, { tasks, topK });
    if (image instanceof ImageBitmap) image.close();
    return { answers, milliseconds: performance.now() - started };
  },
};

addEventListener("message", async ({ data: { id, job, values } }) => {
  try {
    postMessage({ id, result: await jobs[job](values) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
});
