/** The page: self-test and latency when it opens, then items from fields, files and the camera. */

import type { Box } from "./boxes.js";
import { draw } from "./drawing.js";
import { goldenItems, selfTest } from "./selftest.js";
import { numbersOf, pixels, together, valuesOf, wholeItems, type Item } from "./items.js";
import { LiteRtNetwork, latencyOf } from "./litert.js";
import { bestOf, boxesOf, label, Model, sizeOf, streaming, type Named } from "./model.js";
import * as spec from "./model_spec.js";
import { monitoring } from "./monitoring_spec.js";
import { itemOf } from "./npy.js";
import { RawItems } from "./raw_items.js";
import { Recorder } from "./recorder.js";
import type { InputSpec } from "./values.js";

const only = spec.inputs.length === 1 ? spec.inputs[0] : null;
const pictured = spec.inputs.filter((input) => input.picture !== null);
// So many numbers are typed; more come from a file.
const TYPED = 32;
// The picture of each input that takes one.
const canvases: Named<HTMLCanvasElement> = {};

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

function show(id: string, text: string): void {
  element(id).textContent = text;
}

async function golden(file: string): Promise<ArrayBuffer> {
  const response = await fetch(`golden/${file}`);
  if (!response.ok) throw new Error(`golden/${file}: ${response.status}`);
  return response.arrayBuffer();
}

/** Return a detector's boxes in words, those that score enough, and draw them. */
function sayBoxes(boxes: Box[], drawn: boolean): string {
  const least = element<HTMLInputElement>("least").valueAsNumber || 0;
  const shown = boxes.filter(({ score }) => score >= least);
  if (drawn && pictured.length === 1) draw(canvases[pictured[0].name], shown);
  const share = (from: number, to: number) => `${(100 * from).toFixed(0)} to ${(100 * to).toFixed(0)} %`;
  const lines = shown.map(({ category, score, left, right, top, bottom }) => {
    return `  ${label(category)} ${score.toFixed(3)}: across ${share(left, right)}, down ${share(top, bottom)}`;
  });
  return [`${shown.length} of ${boxes.length} boxes score ${least} or more`, ...lines].join("\n");
}

/** Return what the model says to an item, in words. */
async function said(model: Model, item: Item, drawn: boolean): Promise<string> {
  const outputs = await model.outputs(item);
  const boxes = boxesOf(outputs);
  if (boxes !== null) return sayBoxes(boxes, drawn);
  const best = bestOf(outputs);
  if (best.length) return best.map(({ label, score }) => `${label} ${score.toFixed(3)}`).join(", ");
  const values = Object.entries(outputs).map(([name, all]) => {
    const first = Array.from(all.subarray(0, 8), (value) => value.toPrecision(6)).join(" ");
    return `${name}: ${first}${all.length > 8 ? " …" : ""}`;
  });
  return values.join("; ");
}

type Source = () => Item[] | Promise<Item[]>;
let latest: Source | null = null;

/** Show what the model says to items; of one item, on its picture too. */
async function answer(model: Model, source: Source): Promise<void> {
  latest = source;
  try {
    for (const canvas of Object.values(canvases)) canvas.hidden = true;
    const items = await source();
    const lines: string[] = [];
    for (const item of items) {
      // A file is a stream of its own, where the model keeps a state.
      if (lines.length === 0 || !streaming) await model.begin();
      lines.push(`item ${lines.length}: ${await said(model, item, items.length === 1)}`);
    }
    show("answers", lines.join("\n") || "there are no items");
  } catch (error) {
    show("answers", String(error));
  }
}

async function openCamera(): Promise<void> {
  const video = element<HTMLVideoElement>("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await video.play();
    video.hidden = element("shoot").hidden = false;
  } catch (error) {
    show("answers", `no camera: ${error}`);
  }
}

/** Let a file of the page's one control be items: of the only input, or whole ones as JSON. */
async function itemsOf(file: File): Promise<Item[]> {
  if (file.name.endsWith(".json")) return wholeItems(file);
  if (only === null) throw new Error("items of several inputs are JSON; or give each input its own");
  return together({ [only.name]: await valuesOf(only, canvases[only.name], file) });
}

/** Add a canvas for the picture of an input. */
function addCanvas(input: InputSpec): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.hidden = true;
  canvas.setAttribute("aria-label", `picture for ${input.name}`);
  canvases[input.name] = canvas;
  return canvas;
}

/** Add what gives one of several inputs its values: numbers where they are few, and a file. */
function addField(input: InputSpec, first: ArrayLike<number>, changed: (values: Given) => void): void {
  const row = element<HTMLTemplateElement>("field").content.cloneNode(true) as DocumentFragment;
  const part = <T extends HTMLElement>(name: string) => row.querySelector<T>(`.${name}`)!;
  const kind = `${input.picture ? "a picture, or " : ""}${input.shape.join("×") || "1"} numbers`;
  const [numbers, file, source] = [part<HTMLInputElement>("numbers"), part<HTMLInputElement>("file"), part("source")];
  part("name").textContent = `${input.name} (${kind})`;
  const canvas = part("row").appendChild(addCanvas(input));
  numbers.hidden = sizeOf(input) > TYPED;
  numbers.value = numbers.hidden ? "" : Array.from(first).join(", ");
  numbers.setAttribute("aria-label", `numbers for ${input.name}`);
  numbers.addEventListener("change", () => {
    [source.textContent, file.value] = ["as typed", ""];
    changed(() => Promise.resolve([numbersOf(numbers.value)]));
  });
  file.accept = `${input.picture ? "image/*," : ""}.npy,.json`;
  file.setAttribute("aria-label", `file for ${input.name}`);
  // The same file again is a choice too, of which browsers tell only where the last is forgotten.
  file.addEventListener("click", () => (file.value = ""));
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (!chosen) return;
    [source.textContent, numbers.value] = [`from ${chosen.name}`, ""];
    changed(() => valuesOf(input, canvas, chosen));
  });
  element("fields").append(row);
}

type Given = () => Promise<ArrayLike<number>[]>;

/** Let each of several inputs be given by itself: it begins with that of the first golden item. */
function addFields(model: Model, first: Item): void {
  const given: Named<Given> = {};
  for (const input of spec.inputs) {
    given[input.name] = () => Promise.resolve([first[input.name]]);
    addField(input, first[input.name], (values) => {
      given[input.name] = values;
      void answer(model, async () => {
        const read = Object.entries(given).map(async ([name, open]) => [name, await open()] as const);
        return together(Object.fromEntries(await Promise.all(read)));
      });
    });
  }
}

function listen(model: Model, first: Item): void {
  const file = element<HTMLInputElement>("file");
  file.addEventListener("click", () => (file.value = ""));
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (chosen) void answer(model, () => itemsOf(chosen));
  });
  file.disabled = false;
  element("least").addEventListener("change", () => {
    if (latest) void answer(model, latest);
  });
  element("scores").hidden = spec.boxes === null;
  if (only === null) addFields(model, first);
  else element("pictures").append(addCanvas(only));
  if (only === null || pictured.length === 0) return;
  const video = element<HTMLVideoElement>("video");
  element("camera").hidden = false;
  element("camera").addEventListener("click", () => void openCamera());
  element("shoot").addEventListener("click", () => {
    const { videoWidth, videoHeight } = video;
    const still = document.createElement("canvas");
    [still.width, still.height] = [videoWidth, videoHeight];
    still.getContext("2d")!.drawImage(video, 0, 0);
    const take = () => pixels(only, canvases[only.name], still, videoWidth, videoHeight);
    void answer(model, () => [{ [only.name]: take() }]);
  });
}

/** Let the page count what the model meets, once its box is ticked; send the lines if asked to. */
function listenToRecord(model: Model): void {
  if (monitoring === null) return;
  const url = new URLSearchParams(location.search).get("records");
  const send = (line: string) => {
    if (url === null) return;
    const sent = fetch(url, { method: "POST", body: `${line}\n`, keepalive: true });
    sent.catch((error: unknown) => show("recorded", `a record was not sent to ${url}: ${error}`));
  };
  const [bins, device] = [monitoring, navigator.userAgent.slice(0, 200)];
  const recorder = new Recorder(bins, device, send);
  const raw = new RawItems();
  const [box, keep] = [element<HTMLInputElement>("record"), element<HTMLInputElement>("raw")];
  element("monitoring").hidden = false;
  box.addEventListener("change", () => {
    model.recorder = box.checked ? recorder : null;
    element("download").hidden = element("keep").hidden = false;
  });
  keep.addEventListener("change", () => {
    recorder.raw = keep.checked ? raw : null;
    element("items").hidden = false;
  });
  element("download").addEventListener("click", () => {
    recorder.close();
    download("records.jsonl", recorder.lines.map((line) => `${line}\n`));
  });
  // What they hold is never sent: whoever downloads it decides.
  element("items").addEventListener("click", () => {
    download("items.jsonl", raw.lines(bins, device, Date.now()));
  });
  addEventListener("pagehide", () => recorder.close());
}

function download(name: string, lines: string[]): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines));
  link.download = name;
  link.click();
}

async function main(): Promise<void> {
  const threads = Number(new URLSearchParams(location.search).get("threads"));
  const network = await LiteRtNetwork.open("model.tflite", threads);
  const model = new Model(network);
  const report = await selfTest(model, golden);
  show("runtime", report.runtime);
  const differences = Object.entries(report.differences).map(
    ([name, value]) => `output ${name}: largest difference ${value.toPrecision(3)}`,
  );
  const verdict = `self-test ${report.passed ? "passed" : "FAILED"} on ${report.items} golden items`;
  show("selftest", [verdict, ...report.problems, ...differences].join("\n"));
  const items = Object.entries(await goldenItems(golden)).map(([name, all]) => [name, itemOf(all, 0)]);
  const first: Item = Object.fromEntries(items);
  await model.begin();
  const latency = await latencyOf(network, model.encoded(first));
  const of = latency.runs === 1 ? "runs" : `samples of ${latency.runs} runs`;
  show("latency", `p50 ${latency.p50.toFixed(4)} ms of ${latency.samples} ${of}`);
  listen(model, first);
  listenToRecord(model);
  document.body.dataset.latency = String(latency.p50);
  document.body.dataset.state = report.passed ? "passed" : "failed";
}

main().catch((error: unknown) => {
  show("selftest", `self-test FAILED: ${error}`);
  document.body.dataset.state = "failed";
});
