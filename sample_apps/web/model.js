/** The model with what happens before and after it. Nothing of a browser: it runs in node too. */
import * as spec from "./model_spec.js";
import { activate, decode, encode, top } from "./values.js";
/** Return what a class is called; its number where it has no name. */
export function label(place) {
    return spec.labels[place] ?? String(place);
}
/** Return what the model's inputs hold, of raw inputs by name. */
export function encoded(raw) {
    const inputs = spec.inputs.map((input) => {
        const values = raw[input.name];
        const size = input.shape.reduce((a, b) => a * b, 1);
        if (values === undefined)
            throw new Error(`input ${input.name} is missing`);
        if (values.length !== size) {
            throw new Error(`input ${input.name} takes ${size} values, not ${values.length}`);
        }
        return [input.name, encode(input, values)];
    });
    return Object.fromEntries(inputs);
}
/** Return the outputs of one item as real numbers, by name, of raw inputs by name. */
export async function outputsOf(network, raw) {
    const answers = await network.run(encoded(raw));
    return Object.fromEntries(spec.outputs.map((one) => [one.name, decode(one, answers[one.name])]));
}
/** Return the best classes, best first; none where no output scores classes. */
export function bestOf(outputs, limit = 3) {
    const output = spec.outputs.find(({ name }) => name === spec.answers);
    if (output === undefined)
        return [];
    const scores = activate(output.activation, outputs[output.name]);
    return top(scores, limit).map((place) => ({ label: label(place), score: scores[place] }));
}
