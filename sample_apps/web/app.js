/** The page: self-test and latency when it opens, then files and the camera. */
import { goldenItems, selfTest } from "./selftest.js";
import { LiteRtNetwork, latencyOf } from "./litert.js";
import { bestOf, encoded, outputsOf } from "./model.js";
import * as spec from "./model_spec.js";
import { itemOf, readNpy } from "./npy.js";
import { fit } from "./pictures.js";
const only = spec.inputs.length === 1 ? spec.inputs[0] : null;
const picture = only?.picture ?? null;
function element(id) {
    return document.getElementById(id);
}
function show(id, text) {
    element(id).textContent = text;
}
async function golden(file) {
    const response = await fetch(`golden/${file}`);
    if (!response.ok)
        throw new Error(`golden/${file}: ${response.status}`);
    return response.arrayBuffer();
}
/** Return the raw values of a picture: its pixels, as edgekit read them on the host. */
function pixels(source, width, height) {
    const canvas = element("picture");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    canvas.hidden = false;
    return { [only.name]: fit(picture, data, height, width, 4) };
}
/** Return the items of a file: a picture, an array, or JSON of {input: values} or a list of it. */
async function itemsOf(file) {
    if (file.name.endsWith(".npy")) {
        if (only === null)
            throw new Error("a model of several inputs takes its items as JSON");
        const array = readNpy(await file.arrayBuffer());
        return Array.from({ length: array.shape[0] }, (_, at) => ({ [only.name]: itemOf(array, at) }));
    }
    if (file.name.endsWith(".json")) {
        const held = JSON.parse(await file.text());
        return (Array.isArray(held) ? held : [held]).map((item) => {
            const flat = Object.entries(item).map(([name, values]) => [name, values.flat(Infinity)]);
            return Object.fromEntries(flat);
        });
    }
    if (picture === null)
        throw new Error("the model takes no pictures: give it .npy or .json");
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    return [pixels(bitmap, bitmap.width, bitmap.height)];
}
/** Return what the model says to an item, in words. */
async function said(network, item) {
    const outputs = await outputsOf(network, item);
    const best = bestOf(outputs);
    if (best.length)
        return best.map(({ label, score }) => `${label} ${score.toFixed(3)}`).join(", ");
    const values = Object.entries(outputs).map(([name, all]) => {
        const first = Array.from(all.subarray(0, 8), (value) => value.toPrecision(6)).join(" ");
        return `${name}: ${first}${all.length > 8 ? " …" : ""}`;
    });
    return values.join("; ");
}
async function answer(network, items) {
    try {
        const lines = [];
        for (const item of await items())
            lines.push(`item ${lines.length}: ${await said(network, item)}`);
        show("answers", lines.join("\n"));
    }
    catch (error) {
        show("answers", String(error));
    }
}
async function openCamera() {
    const video = element("video");
    try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
        await video.play();
        video.hidden = element("shoot").hidden = false;
    }
    catch (error) {
        show("answers", `no camera: ${error}`);
    }
}
function listen(network) {
    const file = element("file");
    file.addEventListener("change", () => {
        const [chosen] = file.files ?? [];
        if (chosen)
            void answer(network, () => itemsOf(chosen));
    });
    file.disabled = false;
    if (picture === null)
        return;
    const video = element("video");
    element("camera").hidden = false;
    element("camera").addEventListener("click", () => void openCamera());
    element("shoot").addEventListener("click", () => {
        void answer(network, () => [pixels(video, video.videoWidth, video.videoHeight)]);
    });
}
async function main() {
    const threads = Number(new URLSearchParams(location.search).get("threads"));
    const network = await LiteRtNetwork.open("model.tflite", threads);
    const report = await selfTest(network, golden);
    show("runtime", report.runtime);
    const differences = Object.entries(report.differences).map(([name, value]) => `output ${name}: largest difference ${value.toPrecision(3)}`);
    const verdict = `self-test ${report.passed ? "passed" : "FAILED"} on ${report.items} golden items`;
    show("selftest", [verdict, ...report.problems, ...differences].join("\n"));
    const items = await goldenItems(golden);
    const first = Object.entries(items).map(([name, array]) => [name, itemOf(array, 0)]);
    const latency = await latencyOf(network, encoded(Object.fromEntries(first)));
    const of = latency.runs === 1 ? "runs" : `samples of ${latency.runs} runs`;
    show("latency", `p50 ${latency.p50.toFixed(4)} ms of ${latency.samples} ${of}`);
    listen(network);
    document.body.dataset.latency = String(latency.p50);
    document.body.dataset.state = report.passed ? "passed" : "failed";
}
main().catch((error) => {
    show("selftest", `self-test FAILED: ${error}`);
    document.body.dataset.state = "failed";
});
