/**
 * Keeps a sample of raw items beside the records, where the page asks for it.
 *
 * Items may hold personal data: the sample stays in the page until somebody downloads it. Each item
 * has a place that is drawn for it by the seed; kept are those with the lowest. Nothing of a browser.
 */
import { moment } from "./recorder.js";
const WARNING = "raw items of users: they may hold personal data";
// Of the bytes of a file, what its first line may take.
const HEAD = 4096;
const END = 2 ** 32;
/** Return the place that is drawn for an item by its number: below 2^32, no two alike. */
export function placeOf(seed, number) {
    // Spread by the golden ratio, then mixed by the finalizer of MurmurHash3 (Appleby).
    let mixed = (seed + Math.imul(number % END, 0x9e3779b9)) >>> 0;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b) >>> 0;
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
    return (mixed ^ (mixed >>> 16)) >>> 0;
}
/** A sample of at most so many items and so many bytes. */
export class RawItems {
    items;
    mostBytes;
    seed;
    kept = [];
    below = END;
    bytes = HEAD;
    seen = 0;
    tooLarge = 0;
    began = 0;
    constructor(items = 100, mostBytes = 2 ** 24, seed = 0) {
        this.items = items;
        this.mostBytes = mostBytes;
        this.seed = seed;
    }
    /** See one item: its raw inputs and its outputs by name. */
    add(spec, inputs, outputs, now) {
        if (this.seen === 0)
            this.began = now;
        const number = this.seen++;
        const place = placeOf(this.seed, number);
        if (place >= this.below)
            return;
        const line = itemLine(spec, number, inputs, outputs);
        if (HEAD + line.length > this.mostBytes) {
            this.tooLarge++;
            return;
        }
        const at = this.kept.findIndex((one) => one.place > place);
        this.kept.splice(at < 0 ? this.kept.length : at, 0, { place, line });
        this.bytes += line.length;
        while (this.kept.length > this.items || this.bytes > this.mostBytes) {
            // Nothing after it is kept either: each item has the same chance.
            const dropped = this.kept.pop();
            this.below = dropped.place;
            this.bytes -= dropped.line.length;
        }
    }
    /** Return the lines of the file: what it is a sample of, then an item each. */
    lines(spec, device, now) {
        const head = {
            schema_version: 1,
            kind: "raw items",
            warning: WARNING,
            golden: spec.digest,
            name: spec.name,
            version: spec.version,
            device,
            began: moment(this.began),
            ended: moment(now),
            most_items: this.items,
            most_bytes: this.mostBytes,
            seed: this.seed,
            below: this.below,
            seen: this.seen,
            too_large: this.tooLarge,
            kept: this.kept.length,
        };
        return [`${JSON.stringify(head)}\n`, ...this.kept.map((one) => one.line)];
    }
}
function itemLine(spec, number, inputs, outputs) {
    const sides = { input: {}, output: {} };
    for (const tensor of spec.tensors) {
        const values = (tensor.side === "input" ? inputs : outputs)[tensor.name];
        if (values !== undefined)
            sides[tensor.side][tensor.name] = arrayOf(tensor, values);
    }
    return `${JSON.stringify({ item: number, ...sides })}\n`;
}
/** Return values as float32, with the shape of the tensor where they are as many. */
function arrayOf(tensor, values) {
    const content = new DataView(new ArrayBuffer(4 * values.length));
    for (let k = 0; k < values.length; k++)
        content.setFloat32(4 * k, values[k], true);
    let text = "";
    for (let k = 0; k < content.byteLength; k++)
        text += String.fromCharCode(content.getUint8(k));
    const shape = values.length === tensor.values ? tensor.shape : [values.length];
    return { dtype: "float32", shape, b64: btoa(text) };
}
