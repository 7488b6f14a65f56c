/** The golden pairs: raw items, and the outputs that the model gave where the bundle was made. */
import { answers, inputs, outputs, streams } from "./golden_pairs.js";
import { label, streaming } from "./model.js";
import * as spec from "./model_spec.js";
import { itemOf, readNpy } from "./npy.js";
import { top } from "./values.js";
/** Return the golden items by input; `open` reads a golden file by its name. */
export async function goldenItems(open) {
    const read = Object.entries(inputs).map(async ([name, file]) => [name, readNpy(await open(file))]);
    return Object.fromEntries(await Promise.all(read));
}
/** Run the model on every golden item. */
export async function selfTest(model, open) {
    const items = await goldenItems(open);
    const count = Object.values(items)[0].shape[0];
    const problems = [];
    const differences = {};
    const seen = [];
    for (let at = 0; at < count; at++) {
        if (!streaming || streams.includes(at))
            await model.begin();
        const raw = Object.entries(items).map(([name, array]) => [name, itemOf(array, at)]);
        seen.push(await model.outputs(Object.fromEntries(raw)));
    }
    for (const { name, file, tolerance } of outputs) {
        const expected = readNpy(await open(file));
        if (expected.shape[0] !== count)
            problems.push(`${file} has not ${count} items`);
        const largest = seen.map((values, at) => difference(values[name], itemOf(expected, at)));
        differences[name] = Math.max(...largest);
        if (!(differences[name] <= tolerance)) {
            problems.push(`output ${name} differs by ${differences[name]}, tolerance ${tolerance}`);
        }
        if (name === spec.answers)
            problems.push(...misnamed(expected));
    }
    const passed = count > 0 && problems.length === 0;
    return { runtime: model.network.runtime, items: count, differences, problems, passed };
}
/** Return the largest difference; a value that is not a number, or is missing, differs from all. */
function difference(seen, must) {
    if (seen.length !== must.length)
        return Infinity;
    return seen.reduce((largest, value, at) => {
        const differs = Math.abs(value - must[at]);
        return Number.isNaN(differs) ? Infinity : Math.max(largest, differs);
    }, 0);
}
/** Return the golden items that the labels call otherwise than the bundle's maker did. */
function misnamed(expected) {
    return answers.flatMap((name, at) => {
        const called = label(top(itemOf(expected, at), 1)[0]);
        return called === name ? [] : [`golden item ${at} is ${name}, and would be called ${called}`];
    });
}
