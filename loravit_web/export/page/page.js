// The page: an image or the camera on one side, the tasks and their answers on the other.

import { keep, ownAddresses } from "./offline.js";

const SHOWN = 3; // labels per task
const $ = (id) => document.getElementById(id);
const folder = new URL("./model/", location.href).href;

// --- the worker --------------------------------------------------------------------------------------------

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let count = 0;

function ask(job, values, transfer = []) {
  return new Promise((resolve, reject) => {
    waiting.set(++count, { resolve, reject });
    worker.postMessage({ id: count, job, values }, transfer);
  });
}

worker.addEventListener("message", ({ data }) => {
  if (data.progress) return showProgress(data.progress);
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if ("error" in data) reject(new Error(data.error));
  else resolve(data.result);
});
worker.addEventListener("error", () => say("This browser cannot run the module. Update the browser."));

// --- start -------------------------------------------------------------------------------------------------

let about;
let stream = null;
let facing = "environment";
let shown = null; // what is on the stage: a Blob, or null

start().catch((error) => say(error.message));

async function start() {
  if (await isolated()) return; // the page loads again
  about = await ask("load", { folder, options: { provider: new URL(location.href).searchParams.get("provider") ?? "auto" } });
  if (about.tasks.length === 1) document.title = $("input").ownerDocument.querySelector("h1").textContent = about.tasks[0].title;
  $("tasks").replaceChildren(...about.tasks.map(card));
  $("footer").replaceChildren(...footer());
  await ask("preload", { tasks: chosen() });
  $("progress").hidden = true;
  say("Ready.");
  if (shown) await classify(shown);
  await prepareOffline();
}

/**
 * Install the service worker, which keeps the page for use without a network. It also sends the headers that
 * allow several threads, so the first visit loads the page twice.
 */
async function isolated() {
  if (!("serviceWorker" in navigator)) return false;
  try {
    await navigator.serviceWorker.register("sw.js");
  } catch {
    return false; // the page works without it, while there is a network
  }
  if (crossOriginIsolated || sessionStorage.getItem("loaded")) return false;
  sessionStorage.setItem("loaded", "twice");
  await navigator.serviceWorker.ready;
  location.reload();
  return true;
}

/** Load the rest in the background, and say whether the page works without a network. */
async function prepareOffline() {
  const tell = (text) => ($("offline").textContent = text);
  if (!isSecureContext || !navigator.serviceWorker) return tell("Offline use needs an address with https.");
  if (!navigator.serviceWorker.controller) return; // such as after a reload that bypasses it
  if (navigator.connection?.saveData) return tell("To save data, only tasks that were opened work offline.");
  tell("Preparing offline use…");
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const addresses = [location.href, ...loaded, ...(await ask("loaded")), ...about.files, ...about.cards];
  const complete = await keep(ownAddresses(addresses, location.origin));
  tell(complete ? "Works offline." : "Offline use is incomplete. Open the page again with a network.");
}
const prepareAgain = () => about && prepareOffline();
window.addEventListener("online", prepareAgain);
navigator.serviceWorker?.addEventListener("controllerchange", prepareAgain);

// --- images ------------------------------------------------------------------------------------------------

$("choose").addEventListener("change", ({ target }) => {
  if (target.files[0]) take(target.files[0]);
  target.value = "";
});
document.addEventListener("paste", ({ clipboardData }) => {
  const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) take(file);
});
for (const kind of ["dragover", "dragleave", "drop"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("stage").dataset.state = kind === "dragover" ? "over" : shown || stream ? "full" : "empty";
    const file = kind === "drop" && event.dataTransfer.files[0];
    if (file) take(file);
  });

async function take(file) {
  stopCamera();
  shown = file;
  URL.revokeObjectURL($("image").src);
  $("image").src = URL.createObjectURL(file);
  $("image").hidden = false;
  $("hint").hidden = true;
  $("stage").dataset.state = "full";
  if (about) await classify(file);
}

async function classify(image, transfer) {
  try {
    const { answers, milliseconds } = await ask("classify", { image, tasks: chosen(), topK: SHOWN }, transfer);
    if (image !== shown && !stream) return;
    answers.forEach(show);
    if (!stream) say(`${answers.length} ${answers.length === 1 ? "task" : "tasks"} in ${milliseconds.toFixed(0)} ms.`);
  } catch (error) {
    say(error.message);
  }
}

// --- camera ------------------------------------------------------------------------------------------------

$("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
$("turn").addEventListener("click", () => {
  facing = facing === "user" ? "environment" : "user";
  stopCamera();
  startCamera();
});

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: 640 } });
  } catch {
    return say("The camera cannot be used. Allow this page to use it, or choose an image.");
  }
  shown = null;
  $("image").hidden = $("hint").hidden = true;
  $("video").hidden = $("turn").hidden = false;
  $("video").srcObject = stream;
  $("camera").textContent = "Stop camera";
  $("camera").setAttribute("aria-pressed", "true");
  $("stage").dataset.state = "full";
  await $("video").play();
  watch(stream);
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("video").srcObject = null;
  $("video").hidden = $("turn").hidden = true;
  $("hint").hidden = shown !== null;
  $("camera").textContent = "Start camera";
  $("camera").setAttribute("aria-pressed", "false");
  $("stage").dataset.state = shown ? "full" : "empty";
  if (shown) return;
  for (const result of document.querySelectorAll(".result")) result.replaceChildren(); // answers need their image
  if (about) say("Ready.");
}

async function watch(mine) {
  let [frames, since] = [0, performance.now()];
  while (stream === mine) {
    if (about && $("video").videoWidth) {
      const bitmap = await createImageBitmap($("video"));
      if (stream === mine) await classify(bitmap, [bitmap]);
      frames += 1;
    }
    const seconds = (performance.now() - since) / 1000;
    if (seconds > 1 && stream === mine) {
      $("stage").dataset.rate = (frames / seconds).toFixed(1);
      say(`${(frames / seconds).toFixed(1)} images per second.`);
      [frames, since] = [0, performance.now()];
    }
    await new Promise(requestAnimationFrame);
  }
}

// --- tasks -------------------------------------------------------------------------------------------------

function chosen() {
  return about.tasks.map(({ task }) => task).filter((task) => element(task).querySelector("input").checked);
}

function element(task) {
  return document.querySelector(`[data-task="${CSS.escape(task)}"]`);
}

function card({ task, title }, index) {
  const article = make("article", { className: "task" });
  article.dataset.task = task;
  const box = make("input", { type: "checkbox", checked: index < 3 });
  box.addEventListener("change", async () => {
    article.querySelector(".result").replaceChildren();
    if (box.checked) await ask("preload", { tasks: [task] }).catch((error) => say(error.message));
    $("progress").hidden = true;
    if (shown && box.checked) await classify(shown);
  });
  const heading = make("h2");
  heading.append(make("label"));
  heading.firstChild.append(box, title);
  article.append(heading, make("div", { className: "result" }));
  return article;
}

function show({ task, answer, labels, unsure, unlike }) {
  const line = make("p", { className: "answer", textContent: answer.map(({ label }) => label).join(", ") || "none" });
  if (unlike) line.append(make("span", { className: "note", textContent: "unlike the training images" }));
  else if (unsure) line.append(make("span", { className: "note", textContent: "unsure" }));
  const list = make("dl", { className: "labels" });
  for (const { label, score } of labels) {
    const share = `${Math.round(100 * score)} %`;
    const bar = make("dd");
    bar.append(make("meter", { value: score, ariaLabel: `${label}: ${share}` }));
    list.append(make("dt", { textContent: label, title: label }), bar, make("dd", { className: "share", textContent: share }));
  }
  const result = element(task)?.querySelector(".result");
  if (result && element(task).querySelector("input").checked) result.replaceChildren(line, list);
}

// --- texts -------------------------------------------------------------------------------------------------

function footer() {
  const place = about.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${crossOriginIsolated ? "several threads" : "one thread"}`;
  const nodes = [`Computed with ${place}. Made by ${about.madeBy}. Base: ${about.base.name} (license: ${about.base.license}). Model cards: `];
  about.tasks.forEach(({ title }, i) => {
    nodes.push(make("a", { href: about.cards[i], textContent: title }), i < about.tasks.length - 1 ? ", " : ".");
  });
  return nodes;
}

function showProgress({ loaded, total }) {
  $("progress").hidden = loaded === total;
  $("progress").value = loaded / total;
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  say(loaded < total ? `Loading ${megabytes(loaded)} of ${megabytes(total)} MB…` : "Preparing the tasks…");
}

function say(text) {
  $("status").textContent = text;
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
