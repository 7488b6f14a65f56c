// Records items.bin, big-endian float32: each input and output in the order of the spec.
import { readFileSync, writeFileSync } from "node:fs";
import { RawItems } from "./raw_items.js";
import { Recorder } from "./recorder.js";
import { monitoring } from "./monitoring_spec.js";

const content = readFileSync("items.bin");
const sent = [];
const recorder = new Recorder(monitoring, "test", (line) => sent.push(line), 100);
recorder.raw = new RawItems(20, 90_000, 7);
let at = 0;
for (const time of readFileSync("times.txt", "utf8").trim().split("\n").map(Number)) {
  const named = { input: {}, output: {} };
  for (const { name, side, values } of monitoring.tensors) {
    named[side][name] = Float32Array.from({ length: values }, (_, k) => content.readFloatBE(at + 4 * k));
    at += 4 * values;
  }
  recorder.add(named.input, named.output, time);
}
recorder.error();
recorder.add({ picture: new Float32Array(5) }, {}, 7);
recorder.close();
if (sent.join() !== recorder.lines.join()) throw new Error("not every line was sent");
process.stdout.write(recorder.lines.map((line) => `${line}\n`).join(""));
writeFileSync("items.jsonl", recorder.raw.lines(monitoring, "test", Date.now()).join(""));
