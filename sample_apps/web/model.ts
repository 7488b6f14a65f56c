/** The model with what happens before and after it. Nothing of a browser: it runs in node too. */

import * as spec from "./model_spec.js";
import { activate, decode, encode, top, type Values } from "./values.js";

/** Values of one item, by the name of the input or output. */
export type Named<T> = Record<string, T>;

/** What runs the model's file: inputs and outputs are by name, each of one item. */
export interface Network {
  /** The runtime's name and version. */
  readonly runtime: string;
  run(inputs: Named<Values>): Promise<Named<ArrayLike<number>>>;
}

/** A class and how sure the model is of it. */
export interface Answer {
  label: string;
  score: number;
}

/** Return what a class is called; its number where it has no name. */
export function label(place: number): string {
  return spec.labels[place] ?? String(place);
}

/** Return what the model's inputs hold, of raw inputs by name. */
export function encoded(raw: Named<ArrayLike<number>>): Named<Values> {
  const inputs = spec.inputs.map((input) => {
    const values = raw[input.name];
    const size = input.shape.reduce((a, b) => a * b, 1);
    if (values === undefined) throw new Error(`input ${input.name} is missing`);
    if (values.length !== size) {
      throw new Error(`input ${input.name} takes ${size} values, not ${values.length}`);
    }
    return [input.name, encode(input, values)];
  });
  return Object.fromEntries(inputs);
}

/** Return the outputs of one item as real numbers, by name, of raw inputs by name. */
export async function outputsOf(
  network: Network,
  raw: Named<ArrayLike<number>>,
): Promise<Named<Float32Array>> {
  const answers = await network.run(encoded(raw));
  return Object.fromEntries(spec.outputs.map((one) => [one.name, decode(one, answers[one.name])]));
}

/** Return the best classes, best first; none where no output scores classes. */
export function bestOf(outputs: Named<Float32Array>, limit = 3): Answer[] {
  const output = spec.outputs.find(({ name }) => name === spec.answers);
  if (output === undefined) return [];
  const scores = activate(output.activation, outputs[output.name]);
  return top(scores, limit).map((place) => ({ label: label(place), score: scores[place] }));
}
