/** Items from files and fields: raw values, as the model's preprocessing takes them. */
import { sizeOf } from "./model.js";
import * as spec from "./model_spec.js";
import { itemOf, readNpy } from "./npy.js";
import { fit } from "./pictures.js";
import { features } from "./signals.js";
/** Return the raw values of a picture: its pixels, as edgekit read them on the host. */
export function pixels(input, canvas, source, width, height) {
    if (input.picture === null)
        throw new Error(`input ${input.name} takes no pictures: give it .npy`);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    canvas.hidden = false;
    return fit(input.picture, data, height, width, 4);
}
/** Return the items of an input that a file holds: an array, numbers as JSON, or a picture. */
export async function valuesOf(input, canvas, file) {
    if (file.name.endsWith(".npy"))
        return arrays(input, await file.arrayBuffer());
    if (file.name.endsWith(".json"))
        return [flat(JSON.parse(await file.text()))];
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    return [pixels(input, canvas, bitmap, bitmap.width, bitmap.height)];
}
/** Return the items of an array; one alone may lack its first dimension. */
function arrays(input, content) {
    const array = readNpy(content);
    if (array.values.length === sizeOf(input))
        return [array.values];
    const { signal } = spec;
    const one = signal !== null && array.shape.length === 1;
    const items = one
        ? [array.values]
        : Array.from({ length: array.shape[0] ?? 0 }, (_, at) => itemOf(array, at));
    if (signal === null)
        return items;
    return items.map((item) => (item.length === sizeOf(input) ? item : features(signal, item)));
}
function flat(values) {
    const numbers = [values].flat(Infinity);
    const wrong = numbers.find((value) => typeof value !== "number" && typeof value !== "boolean");
    if (wrong !== undefined)
        throw new Error(`${JSON.stringify(wrong)} is not a number`);
    return numbers.map(Number);
}
/** Return the numbers of a text: between them are commas or spaces. */
export function numbersOf(text) {
    const words = text.split(/[\s,;]+/).filter((word) => word !== "");
    const wrong = words.find((word) => Number.isNaN(Number(word)) && word !== "NaN");
    if (wrong !== undefined)
        throw new Error(`${JSON.stringify(wrong)} is not a number`);
    return words.map(Number);
}
/** Return whole items of JSON: {input: values}, or a list of it. */
export async function wholeItems(file) {
    const held = JSON.parse(await file.text());
    return [held].flat().map((item) => {
        if (typeof item !== "object" || item === null) {
            throw new Error(`${file.name} has to hold {"${spec.inputs[0].name}": values}, or a list of it`);
        }
        return Object.fromEntries(Object.entries(item).map(([name, values]) => [name, flat(values)]));
    });
}
/** Return items of values by input: what is one for an input goes with every item of the others. */
export function together(values) {
    const count = Math.max(...Object.values(values).map((items) => items.length));
    for (const [name, items] of Object.entries(values)) {
        if (items.length !== count && items.length !== 1) {
            throw new Error(`input ${name} has ${items.length} items, another has ${count}`);
        }
    }
    return Array.from({ length: count }, (_, at) => {
        const item = Object.entries(values).map(([name, items]) => [name, items[items.length > 1 ? at : 0]]);
        return Object.fromEntries(item);
    });
}
